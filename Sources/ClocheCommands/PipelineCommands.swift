import ArgumentParser
import JobScheduling
import Pipelines
import SystemPackage
import TerminalOutput

struct PipelineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Look at a pipeline's file.",
        subcommands: [PipelineValidateCommand.self, PipelineGraphCommand.self])
}

struct PipelineValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check a pipeline, its parameters file and the files that it names.")

    @Argument(help: "The pipeline's file.") var pipeline: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let plan = try JobCreation.plan(
            JobRequest(pipeline: FilePath(pipeline), policy: try CommandContext.policy("default")))
        if output.json {
            return try context.print(
                Documents.object([
                    ("valid", .bool(true)), ("steps", Documents.value(plan.pipeline.steps.count)),
                    ("runs", Documents.value(plan.selected.count)),
                    ("warnings", .array(plan.warnings.map { .string("\($0)") })),
                ]))
        }
        for warning in plan.warnings { context.say("warning: \(warning)") }
        try context.print(
            "\(printable(plan.pipelinePath)): \(counted(plan.pipeline.steps.count, "step")), "
                + "\(counted(plan.selected.count, "run")) in its grid, no errors")
    }
}

struct PipelineGraphCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Draw a pipeline: as text, or in Graphviz's language.")

    @Argument(help: "The pipeline's file.") var pipeline: String
    @Flag(help: "Print it for `dot`.") var dot = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let file = FilePath(pipeline)
        let plan = try JobCreation.plan(JobRequest(pipeline: file, policy: try CommandContext.policy("default")))
        let drawing = PipelineDrawing(plan.pipeline)
        if output.json {
            let steps = plan.pipeline.steps.map { step in
                Documents.object([
                    ("uuid", .string(step.uuid)), ("title", .string(step.title)),
                    ("parents", .array(step.incomingConnections.map { .string($0) })),
                ])
            }
            return try context.print(Documents.object([("steps", .array(steps))]))
        }
        let text = dot ? drawing.dot() : drawing.text(style: context.streams.output.styling.unicode ? .unicode : .ascii)
        try context.print(String(text.hasSuffix("\n") ? text.dropLast() : text[...]))
    }
}

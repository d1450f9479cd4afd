import ArgumentParser
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

struct PipelineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Look at a pipeline's file.",
        subcommands: [PipelineValidateCommand.self, PipelineGraphCommand.self])
}

struct PipelineValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Check a pipeline, its parameters file and the files that it names.",
        discussion: """
            Examples:
              cloche pipeline validate main.orchest
            """)

    @Argument(help: "The pipeline's file.", completion: Completion.pipelines) var pipeline: String
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
        context.say(plan.warnings)
        try context.print(
            "\(printable(plan.pipelinePath)): \(counted(plan.pipeline.steps.count, "step")), "
                + "\(counted(plan.selected.count, "run")) in its grid, no errors")
    }
}

struct PipelineGraphCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "graph", abstract: "Draw a pipeline, or that of a run with the states of its steps.",
        discussion: """
            Examples:
              cloche pipeline graph main.orchest
              cloche pipeline graph main.orchest --svg > main.svg
              cloche pipeline graph sweep/7 --svg > run.svg
              cloche pipeline graph sweep/7 --png > run.png
              cloche pipeline graph main.orchest --dot | dot -Tpdf > main.pdf
            """)

    @Argument(help: "The pipeline's file, or JOB/7.", completion: Completion.pipelines) var pipeline: String
    @Flag(help: "Print it for `dot`.") var dot = false
    @Flag(help: "Print a picture: SVG.") var svg = false
    @Flag(help: "Print the same picture as PNG; needs Debian's package librsvg2-bin.") var png = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        if [dot, svg, png, output.json].count(where: \.self) > 1 {
            throw ValidationError("--dot, --svg, --png and --json are forms of their own: name one")
        }
        if png, Syscall.isTerminal(1) {
            throw ValidationError("a picture is nothing for a terminal: write it to a file, as in `--png > graph.png`")
        }
        let context = CommandContext()
        let (pipeline, states) = try subject(context)
        let drawing = PipelineDrawing(pipeline, states: states)
        if output.json {
            let steps = pipeline.steps.map { step in
                Documents.object([
                    ("uuid", .string(step.uuid)), ("title", .string(step.title)),
                    ("state", states[step.uuid].map { .string($0) } ?? .null),
                    ("parents", .array(step.incomingConnections.map { .string($0) })),
                ])
            }
            return try context.print(Documents.object([("steps", .array(steps))]))
        }
        if png { return try context.write(try PNGPicture.drawn(from: drawing.svg())) }
        let style: PipelineDrawing.Style = context.streams.output.styling.unicode ? .unicode : .ascii
        let text = svg ? drawing.svg() : dot ? drawing.dot() : drawing.text(style: style)
        try context.print(String(text.hasSuffix("\n") ? text.dropLast() : text[...]))
    }

    /// A file where there is one of that name, else the run of a job.
    private func subject(_ context: CommandContext) throws -> (Pipeline, states: [String: String]) {
        let file = FilePath(pipeline)
        guard !Syscall.exists(file), !pipeline.hasSuffix(".orchest"), (try? RunReference(pipeline))?.run != nil else {
            let request = JobRequest(pipeline: file, policy: try CommandContext.policy("default"))
            return (try JobCreation.plan(request).pipeline, [:])
        }
        let store = try context.openStore()
        let target = try Target(pipeline, in: store)
        guard let run = target.run, target.step == nil else { throw ValidationError("name a run: JOB/7") }
        let pipeline = try store.pipeline(of: store.document(target.job.uuid))
        let steps = try store.database.steps(of: run.address).map { ($0.uuid, $0.state.rawValue) }
        return (pipeline, Dictionary(steps) { first, _ in first })
    }
}

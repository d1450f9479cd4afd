import ArgumentParser
import Environments
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Runs
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct ExecCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exec", abstract: "Run any command in a sandbox; ends with the command's own exit code.",
        discussion: """
            Everything that the command writes is thrown away, but for /data.

            Examples:
              cloche exec -- python3 -c 'print("inside")'
              cloche exec --project . --policy online -- bash -c 'pip download requests'
            """)

    @Option(help: "What the sandbox may do: the name of a policy.") var policy = "default"
    @Option(help: "The environment: a base, or the uuid of one of the project's.") var environment = "python"
    @Option(help: "A directory that is shown, with throw-away changes, at /project-dir.") var project: String?
    @Option(name: .customLong("env-var"), help: "Set a variable: NAME=VALUE.") var variables: [String] = []
    @Flag(help: "Print what the sandbox would be, and start nothing.") var explain = false
    @Flag(help: "With --explain: one JSON document.") var json = false
    @Argument(parsing: .postTerminator, help: "The command and its arguments, after `--`.") var command: [String]

    func run() throws {
        let context = CommandContext()
        guard !command.isEmpty else { throw ValidationError("name a command after `--`, as in `cloche exec -- ls`") }
        let policy = try CommandContext.policy(policy)
        let store = try SandboxStore(try CommandContext.storePath())
        guard let record = try store.environment(environment) else {
            throw CommandFailure(
                .notFound, "find the environment `\(environment)`: it has not been built",
                hint: "build it with `cloche env build \(environment)`")
        }
        var sandbox = SandboxSpec(policy: policy, arguments: command, variables: record.variables)
        sandbox.umask = 0o002
        // Nothing of the output is kept here: how much there may be is the caller's affair.
        sandbox.policy.limits.output = nil
        for (name, value) in [
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/home/jovyan",
            "TERM": environmentVariable("TERM") ?? "dumb",
        ] where sandbox.variables[name] == nil {
            sandbox.variables[name] = value
        }
        for text in variables {
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw ValidationError("--env-var needs NAME=VALUE, not `\(printable(text))`")
            }
            sandbox.variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        if json, !explain { throw ValidationError("--json needs --explain: the output is the command's") }
        let name = JobID.random().description
        for warning in try store.register(sandbox: name) { context.say("warning: \(printable(warning))") }
        var stage = StageSpec(environments: [.init(layers: record.layers)])
        if policy.network == .outbound { stage.outbound = .init() }
        if policy.data != .none {
            sandbox.mounts.append(.init(.bind(stage.binds.count), at: "/data"))
            stage.binds.append(.init(source: store.data, readOnly: policy.data == .readOnly))
        }
        if let project {
            guard Syscall.exists(FilePath(project)) else {
                throw CommandFailure(
                    .notFound, "show the project `\(project)`: there is no such directory", hint: "check the name")
            }
            sandbox.mounts.append(.init(.scratchOver(stage.binds.count), at: "/project-dir"))
            stage.binds.append(.init(source: project, readOnly: true))
            sandbox.directory = "/project-dir"
        }
        let request = OneSandbox(
            identity: store.identity, stage: stage, sandbox: sandbox, name: name, scratch: store.scratch)
        if explain {
            defer { store.forget(sandbox: name) }
            let explanation = try request.explanation()
            return try json ? context.print(json: explanation) : context.print(SandboxDescription(explanation).text)
        }
        try request.run(afterwards: { store.forget(sandbox: name) }) { result in
            if let lost = result.lostOutput {
                // A reader that wants no more is no failure to talk of, and neither is what the command makes of it.
                guard let failure = CommandFailure(writing: "standard output", lost) else { return result.exitCode }
                context.say(failure.description)
                return failure.exitCode
            }
            if result.verdict.cause != .succeeded,
                result.verdict.cause != .exit || result.exitCode == 126 || result.exitCode == 127
            {
                context.say("cloche: \(printable(result.verdict.summary))")
                if let remedy = result.verdict.remedy { context.say("hint: \(printable(remedy))") }
            }
            return result.exitCode
        }
    }
}

struct PipelineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Look at a pipeline's file.",
        subcommands: [PipelineValidateCommand.self, PipelineGraphCommand.self])
}

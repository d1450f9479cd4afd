import ArgumentParser
import Environments
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Runs
import SandboxLaunch
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

    @OptionGroup var options: SandboxOptions
    @Flag(help: "Print what the sandbox would be, and start nothing.") var explain = false
    @Flag(help: "With --explain: one JSON document.") var json = false
    @Flag(name: .customLong("timings"), help: "Tell on standard error where the time of the launch went.")
    var showsTimings = false
    @Argument(parsing: .postTerminator, help: "The command and its arguments, after `--`.") var command: [String]

    func run() throws {
        let timings = showsTimings ? LaunchTimings() : nil
        let context = CommandContext()
        guard !command.isEmpty else { throw ValidationError("name a command after `--`, as in `cloche exec -- ls`") }
        if json, !explain { throw ValidationError("--json needs --explain: the output is the command's") }
        let policy = try CommandContext.policy(options.policy)
        let store = try SandboxStore(try CommandContext.storePath())
        guard let record = try store.environment(options.environment) else {
            throw CommandFailure(
                .notFound, "find the environment `\(options.environment)`: it has not been built",
                hint: "build it with `cloche env build \(options.environment)`")
        }
        var request = try options.request(command, under: policy, in: record, of: store)
        if Syscall.isTerminal(0), Syscall.isTerminal(1) {
            request.sandbox.terminal = Syscall.isTerminal(2) ? [.input, .output, .errors] : [.input, .output]
        }
        let name = request.name
        for warning in try store.register(sandbox: name) { context.say("warning: \(printable(warning))") }
        if explain {
            defer { store.forget(sandbox: name) }
            let explanation = try request.explanation()
            return try json ? context.print(json: explanation) : context.print(SandboxDescription(explanation).text)
        }
        context.sayClips(of: policy)
        timings?.mark("read the command line, the policy and the environment")
        do throws(LaunchError) {
            try start(request, store, context, timings)
        } catch {
            store.forget(sandbox: name)
            throw error
        }
    }

    private func start(
        _ request: OneSandbox, _ store: SandboxStore, _ context: CommandContext, _ timings: LaunchTimings?
    ) throws(LaunchError) -> Never {
        try request.run(timings: timings, afterwards: { store.forget(sandbox: request.name) }) { result in
            for stage in timings?.stages ?? [] {
                let number = String(Int(stage.seconds * 1e6))
                context.say(String(repeating: " ", count: max(0, 9 - number.count)) + "\(number) µs  \(stage.name)")
            }
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

import ArgumentParser
import Environments
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import PlainText
import Runs
import SandboxLaunch
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// A command to execute in a sandbox.
struct ExecRequest: Hashable {
    var wishes = SandboxWishes()
    var explains = false
    var json = false
    var showsTimings = false
    var command: [String]

    func run() throws {
        let timings = showsTimings ? LaunchTimings() : nil
        let context = CommandContext()
        guard !command.isEmpty else { throw ValidationError("name a command after `--`, as in `cloche exec -- ls`") }
        if json, !explains { throw ValidationError("--json needs --explain: the output is the command's") }
        let policy = try CommandContext.policy(wishes.policy)
        let store = try SandboxStore(try CommandContext.storePath())
        let record = try context.environment(wishes.environment, of: store)
        var request = try wishes.request(
            command, under: policy, in: record, of: store, isOnlyShown: explains)
        if Syscall.isTerminal(0), Syscall.isTerminal(1) {
            request.sandbox.terminal = Syscall.isTerminal(2) ? [.input, .output, .errors] : [.input, .output]
        }
        let name = request.name
        for warning in try store.register(sandbox: name) { context.say("warning: \(printable(warning))") }
        if explains {
            defer { store.forget(sandbox: name) }
            let explanation = try request.explanation()
            return try json ? context.print(json: explanation) : context.print(SandboxDescription(explanation).text)
        }
        context.sayClips(of: policy)
        do {
            try DeviceChecks.check(policy, for: store.identity, context)
        } catch {
            store.forget(sandbox: name)
            throw error
        }
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
            for (index, line) in result.report.networkRefusals(beside: result.verdict).enumerated() {
                context.say((index == 0 ? "cloche: " : "") + printable(line))
            }
            return result.exitCode
        }
    }
}

extension ExecRequest {
    /// Reads `exec` and what follows it, where that says nothing but what to do; nil for what the parser has to judge.
    ///
    /// The parser takes as long as bubblewrap does for the whole sandbox: most of it to find out at run time what types
    /// its options have.
    init?(_ words: some Collection<String>) {
        guard words.first == "exec" else { return nil }
        self.init(command: [])
        var rest = words.dropFirst()
        while let word = rest.popFirst() {
            switch word {
            case "--explain": explains = true
            case "--json": json = true
            case "--timings": showsTimings = true
            case "--":
                command = Array(rest)
                return
            default:
                guard let value = rest.popFirst(), !value.hasPrefix("-") else { return nil }
                switch word {
                case "--policy": wishes.policy = value
                case "--environment": wishes.environment = value
                case "--project": wishes.project = value
                case "--bind-ro": wishes.binds.append(value)
                case "--env-var": wishes.variables.append(value)
                case "--secret": wishes.secrets.append(value)
                default: return nil
                }
            }
        }
        return nil
    }
}

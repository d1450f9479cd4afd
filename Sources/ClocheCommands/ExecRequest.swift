import ArgumentParser
import Environments
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import PlainText
import Policies
import PreparedCommands
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
        let began = Syscall.wallClockSeconds()
        let context = CommandContext()
        guard !command.isEmpty else { throw ValidationError("name a command after `--`, as in `cloche exec -- ls`") }
        if json, !explains { throw ValidationError("--json needs --explain: the output is the command's") }
        let resolved = try CommandContext.resolvedPolicy(wishes.policy)
        let policy = resolved.policy
        let store = try SandboxStore(try CommandContext.storePath())
        let record = try context.environment(wishes.environment, of: store)
        var request = try wishes.request(
            command, under: policy, in: record, of: store, isOnlyShown: explains)
        request.sandbox.terminal = .ofTerminal
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
        timings?.mark(ExecWords.readingStage)
        do throws(LaunchError) {
            try start(request, try keep(request, of: resolved, store, since: began), store, context, timings)
        } catch {
            store.abandon(sandbox: name)
            throw error
        }
    }

    /// Compiles the filters, and keeps all that was worked out for the next command that asks for the same.
    private func keep(
        _ request: OneSandbox, of resolved: ResolvedPolicy, _ store: SandboxStore, since began: Double
    ) throws(LaunchError) -> PreparedFilters {
        let policy = resolved.policy
        let filters = try PreparedFilters.compile(policy.seccomp)
        // Secrets are nobody's to keep, nor variables that may be some, and whose data it is depends on where the project
        // lies.
        guard wishes.secrets.isEmpty, wishes.variables.isEmpty,
            wishes.project == nil || policy.dataScope == .shared || policy.data == .none,
            let words = ExecWords(CommandLine.arguments), words.command == command,
            !ExecWords.isElsewhere(environmentVariable)
        else { return filters }
        do {
            let programs = FilePath(bytes: try Syscall.readLink("/proc/self/exe")).removingLastComponent()
            let key = try CommandLineKey(
                words: words.options, store: store.path, programs: programs, variable: environmentVariable)
            guard let sources = try store.sources(of: wishes.environment) else { return filters }
            let prepared = PreparedCommand(
                request, filters,
                sources: try PolicyCatalogue.sources(of: resolved.lineage, store: store.path) + sources.files,
                builds: sources.builds, since: began)
            if let prepared { PreparedCommandStore(store: store.path).keep(prepared, for: key) }
        } catch {
            // It is worked out again the next time, which tells what is wrong.
        }
        return filters
    }

    private func start(
        _ request: OneSandbox, _ filters: PreparedFilters, _ store: SandboxStore, _ context: CommandContext,
        _ timings: LaunchTimings?
    ) throws(LaunchError) -> Never {
        try request.run(
            prepared: filters, timings: timings, afterwards: { store.forget(sandbox: request.name) },
            finish: { CommandReport.end($0, timings, say: context.say) })
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

    private static let flags: Set = ["--explain", "--json", "--timings"]
    private static let options: Set = ["--policy", "--environment", "--project", "--bind-ro", "--env-var", "--secret"]

    /// The options of an `exec` whose command does not stand behind `--`, and that command; nil for any other line.
    static func bareCommand(_ words: [String]) -> (options: [String], command: [String])? {
        guard words.count > 2, words[1] == "exec", !words.contains("--") else { return nil }
        var index = 2
        while index < words.count, words[index].hasPrefix("-") {
            let name = words[index].prefix { $0 != "=" }
            guard flags.contains(String(name)) || options.contains(String(name)) else { return nil }
            index += options.contains(words[index]) ? 2 : 1
        }
        guard index < words.count else { return nil }
        return (Array(words[2..<index]), Array(words[index...]))
    }
}

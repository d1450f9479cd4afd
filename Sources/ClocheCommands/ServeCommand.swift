import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Drive the jobs of the store, for all commands, until it is stopped.",
        discussion: """
            It runs in the foreground and writes a line for each thing that happens to standard error; `cloche system unit` \
            prints a unit for systemd. There is one service a store at most. SIGTERM and Ctrl-C end it at once: no new run is \
            started, running runs go on by themselves, and the next service or `cloche job start` adopts them. `cloche system \
            stop --drain` lets them end first.

            Examples:
              cloche serve --max-parallel 4
              cloche job create main.orchest --name sweep --detach
              cloche system status

            \(ShareOptions.explanation)
            """)

    @Option(help: "How many runs of all jobs run at once; by default as many as there are processors.")
    var maxParallel: Int?
    @OptionGroup var sharing: ShareOptions

    func run() throws {
        let limit = try Parallelism.limit(maxParallel)
        let options = try sharing.options()
        let context = CommandContext()
        let store = try Store.open(try CommandContext.storePath())
        if let options {
            let runtime = CommandContext.runtimeDirectory
            let service = try SharedService(
                store, place: { ServicePlace($0, runtime: runtime) }, limit: limit, options: options,
                manager: .fromEnvironment()
            ) { context.say($0) }
            for warning in try Recovery.reconcile(store) { context.say("warning: \(printable(warning))") }
            return try service.run()
        }
        let service = try JobService(
            store, place: try CommandContext.servicePlace(), limit: limit, manager: .fromEnvironment()
        ) { context.say($0) }
        for warning in try Recovery.reconcile(store) { context.say("warning: \(printable(warning))") }
        try service.run()
    }
}

struct SystemStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show whether a service drives the store's jobs, and what it is doing.",
        discussion: """
            Exit codes: 0 a service lives, 69 there is none.

            Examples:
              cloche system status
              cloche system status --json
            """)

    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let path = try CommandContext.storePath()
        guard let client = try ServiceClient.connect(CommandContext.servicePlace()) else {
            if output.json { try context.print(Documents.object([("service", .null)])) }
            context.say("no service serves the store `\(printable(path.string))`; start one by `cloche serve`")
            throw ExitCode(ExitStatus.unavailable.rawValue)
        }
        let status = try client.status()
        let users = try StoreOwner.all(in: path).compactMap { owner, store in
            StoreSize.stored(in: store).map { (owner: owner, size: $0) }
        }
        let own = StoreSize.stored(in: path)
        if output.json {
            return try context.print(
                Documents.object([
                    ("service", Documents.value(status)), ("disk", Documents.size(own)),
                    (
                        "users",
                        .array(
                            users.map {
                                Documents.object([
                                    ("name", .string($0.owner.text)), ("uid", Documents.value(Int64($0.owner.user))),
                                    ("disk", Documents.size($0.size)),
                                ])
                            })
                    ),
                ]))
        }
        try context.print("service  process \(status.pid), since \(status.since)")
        try context.print("store    \(printable(path.string))")
        try context.print("runs     \(status.runs.count) of at most \(status.maxParallel) at a time")
        if status.draining { try context.print("state    draining: it ends when these have ended") }
        if let text = try ids(of: path) { try context.print("ids      \(text)") }
        if let own { try context.print("disk     \(own.text)\(own.isExceeded ? ": no run is started" : "")") }
        for (owner, size) in users {
            let end = size.isExceeded ? ": no run of this user is started" : ""
            try context.print("user     \(printable(owner.text)) keeps \(size.text)\(end)")
        }
        if let trouble = status.trouble { try context.print("problem  \(printable(trouble))") }
        for run in status.runs {
            let attempt = run.attempt > 1 ? ", attempt \(run.attempt)" : ""
            try context.print("  \(printable(run.job))/\(run.index)\(attempt)")
        }
    }

    /// Whether the users of the service are kept apart by their ids; nil where it has none.
    private func ids(of store: FilePath) throws -> String? {
        let owners = try StoreOwner.all(in: store)
        if owners.isEmpty { return nil }
        let ranges = try UserRanges(store)
        let sharing = try owners.filter { try !ranges.areOwn(in: $0.store) }.map { printable($0.owner.text) }
        let apart =
            sharing.isEmpty
            ? "all users have ids of their own"
            : "\(owners.count - sharing.count) of \(counted(owners.count, "user")) have ids of their own; those of the "
                + "service have \(sharing.prefix(20).joined(separator: ", "))" + (sharing.count > 20 ? ", …" : "")
        guard case .shared(let why, let remedy) = ranges.next else { return apart }
        return "\(apart); the next one shares those of the service: \(why) (\(remedy))"
    }
}

struct SystemStopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop", abstract: "End the service of the store, and wait until it has ended.",
        discussion: """
            Running runs go on by themselves and are adopted by the next service; with --drain they end first.

            Examples:
              cloche system stop --drain
            """
    )

    @Flag(help: "Start no more runs, and wait for those that run.") var drain = false

    func run() throws {
        let place = try CommandContext.servicePlace()
        let client = try ServiceClient.require(place, for: "stop the service")
        try client.stop(drain: drain)
        let deadline = Syscall.monotonicSeconds() + 30
        while place.isServed {
            guard drain || Syscall.monotonicSeconds() < deadline else {
                throw CommandFailure(
                    .busy, "stop the service: it has not ended within 30 seconds",
                    hint: "its log tells what it is doing")
            }
            _ = try Syscall.poll([], milliseconds: 50)
        }
        let context = CommandContext()
        context.say("the service has ended")
        // Of a store that cannot be read another command tells.
        // The service has ended, which is what was asked for; the next command tells what is wrong with the store.
        if let store = try? context.openStore() { try? tellLeft(store, context) }
    }

    /// Tells of runs that nobody looks after now; a command that drives its job itself goes on.
    private func tellLeft(_ store: Store, _ context: CommandContext) throws {
        let runs = try store.database.runningRuns()
        let jobs = Set(runs.map(\.address.job)).filter { !JobLock.isHeld(store, $0) }
        let left = runs.count { jobs.contains($0.address.job) }
        guard left > 0 else { return }
        let names = try jobs.map { shellWord(try store.database.job($0).name.description) }.sorted()
        let job = names.count == 1 ? names[0] : "JOB"
        context.say(
            "\(counted(left, "run")) \(left == 1 ? "goes" : "go") on: the next service adopts what runs, or "
                + "`cloche job start \(job)` does; `cloche cancel \(job)` ends it"
                + (names.count > 1 ? "; of \(names.joined(separator: ", "))" : ""))
    }
}

import ArgumentParser
import Environments
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// From a request to a job: snapshot, environments, pins, rows; with a display of what takes time.
struct JobMaking {
    private let context: CommandContext
    private let store: Store

    /// A project of more bytes than this is told of.
    private static let noteworthy: Int64 = 1 << 30

    init(_ context: CommandContext, _ store: Store) {
        self.context = context
        self.store = store
    }

    /// Checks the request against the author's directory, freezes it, and makes the job.
    func make(_ request: JobRequest) throws -> JobRecord {
        try store.secrets.require(request.secrets)
        let plan = try JobCreation.plan(request)
        context.say(plan.warnings)
        context.sayClips(of: request.policy)
        try DeviceChecks.check(request.policy, for: store.identity, context)
        try store.quota?.checkDisk(of: store.path)
        let (snapshot, lease) = try capture(plan.project)
        defer { lease.end() }
        let uuids = JobCreation.environmentUUIDs(plan)
        let whole = try uuids.contains { !$0.isEmpty } ? store.snapshots.wholeTree(of: snapshot) : nil
        defer { whole?.end() }
        let provider = try context.environments(store)
        var pins: [String: JobDocument.Environment] = [:]
        var holds: [BuildHold] = []
        // From here on the job's document holds them.
        defer { withExtendedLifetime(holds) {} }
        for uuid in uuids {
            let build = EnvironmentBuild(context)
            if let tree = whole?.path, let environment = try provider.projectEnvironment(uuid, project: tree) {
                let record = try build.run(environment.title) { cancelled, report in
                    try provider.build(environment, project: tree, isCancelled: cancelled, report: report)
                }
                holds.append(try provider.environments.hold(record))
                pins[uuid] = .init(name: environment.title, build: record.id)
            } else {
                let record = try build.run("python") { cancelled, report in
                    try provider.buildBase("python", isCancelled: cancelled, report: report)
                }
                holds.append(try provider.environments.hold(record))
                pins[uuid] = .init(name: "python", build: record.id)
            }
        }
        let document = try JobCreation(store).create(request, pins: pins, snapshot: snapshot, project: plan.project)
        request.received?.discard()
        return try store.database.job(document.uuid)
    }

    /// Freezes a project; gives its snapshot, and the lease to end when something refers to it.
    func capture(_ project: FilePath) throws -> (Snapshot, lease: SnapshotLease) {
        let opened = try SnapshotStore.open(project: project)
        let request = CaptureRequest(
            project: opened.number, source: project.lastComponent?.string ?? "project", owner: store.authorOwner)
        let report = try SnapshotCapture(context, store.snapshots).take(request)
        if report.isNew, report.size.bytes > Self.noteworthy {
            let largest = report.size.largest.prefix(3).map { "\(displayName($0.path)) (\(humanBytes($0.size)))" }
            context.say(
                "note: the project holds \(humanBytes(report.size.bytes)); the largest files are "
                    + largest.joined(separator: ", ") + "; .clocheignore leaves files out")
        }
        if report.isNew { try requireRoom(for: report) }
        return (report.snapshot, report.lease)
    }

    /// Counts a new snapshot as what the user keeps, or removes it where that is too much.
    private func requireRoom(for report: CaptureReport) throws {
        guard let quota = store.quota, quota.disk != nil else { return }
        let identity = report.snapshot.identity
        do {
            try quota.checkDisk(of: store.path, adding: try store.snapshots.usage(of: [identity]).exclusive)
        } catch let refusal as JobRefusal {
            report.lease.end()
            var references = try SnapshotReferences(store)
            try store.snapshots.prune(
                [identity],
                references: {
                    try references.refresh()
                    return references.all
                })
            // Without it there is less than that again.
            _ = try quota.disk.map { try StoreSize.measure(store.path, limit: $0) }
            throw refusal
        }
    }
}

/// The display of an environment's build.
struct EnvironmentBuild {
    private let context: CommandContext

    init(_ context: CommandContext) { self.context = context }

    /// Shows `build` while it runs; Ctrl-C cancels it.
    func run<Result>(
        _ name: String,
        _ build: (_ isCancelled: @escaping () -> Bool, _ report: @escaping (BuildEvent) -> Void) throws -> Result
    ) throws -> Result {
        context.sayClips(of: try CommandContext.policy("build"))
        let display = ProgressDisplay(context.streams.error)
        let styling = context.streams.error.styling
        let started = Syscall.monotonicSeconds()
        var stage = "preparing", amount = ""
        var sanitizer = LogSanitizer(colours: false, prefix: "  ", prefixStyle: .dim)
        var last: [String] = []
        let signals = try Syscall.signalDescriptor([SIGINT, SIGTERM]).release()
        defer {
            _ = Glibc.close(signals)
            var none = sigset_t()
            sigemptyset(&none)
            sigprocmask(SIG_SETMASK, &none, nil)
        }
        var cancelling: Int32?
        func repaint() {
            let elapsed = Duration.seconds(Syscall.monotonicSeconds() - started)
            var lines = [
                "\(spinner(at: elapsed, styling: styling)) building environment `\(printable(name))`: \(stage)  \(amount)  \(elapsedTime(elapsed))"
            ]
            lines += last.suffix(Self.shownLines).map { styling.apply(.dim, to: $0) }
            display.update(lines: lines, plain: "building environment `\(printable(name))`: \(stage)")
            display.tick()
        }
        let isTerminal = context.streams.error.movesCursor
        do {
            let result = try build(
                {
                    cancelling = cancelling ?? Syscall.nextSignal(signals)
                    repaint()
                    return cancelling != nil
                },
                { event in
                    switch event {
                    case .waiting: stage = "waiting for another build"
                    case .stage(let now, let number, let count):
                        stage = "[\(number)/\(count)] \(now)"
                        amount = ""
                    case .progress(let done, let whole):
                        amount = humanBytes(done) + (whole.map { " of " + humanBytes($0) } ?? "")
                    case .output(let bytes):
                        let text = sanitizer.feed(bytes)
                        if !isTerminal, !text.isEmpty { display.log(text) }
                        last = (last + text.split(separator: "\n").map(String.init)).suffix(Self.keptLines)
                    case .unchanged: return
                    }
                    repaint()
                })
            display.finish(.clear)
            return result
        } catch {
            // The cause is most often the last thing that was said.
            display.finish(.clear)
            if isTerminal { for line in last { context.say(line) } }
            if let error = error as? BuildError, error == .cancelled, let cancelling {
                throw CommandFailure(.cancelled, "\(error)", exitCode: 128 + cancelling)
            }
            throw error
        }
    }

    private static let shownLines = 6, keptLines = 30
}

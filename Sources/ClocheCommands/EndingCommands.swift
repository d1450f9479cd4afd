import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "End a job, one run of it, or some of its runs.",
        discussion: """
            With --state or --where, those runs of the job are ended that match and have not ended, all in one step; the job \
            goes on with the others.

            Examples:
              cloche cancel sweep
              cloche cancel sweep/7
              cloche cancel sweep --state pending
              cloche cancel sweep --where 'lr>0.1' --where 'epochs>=50' --dry-run
            """)

    @Argument(help: "JOB or JOB/7.", completion: Completion.references) var reference: String
    @OptionGroup var choice: RunChoiceOptions
    @Flag(help: "Tell which runs would be ended, and change nothing.") var dryRun = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let states = try choice.states(RunState.self)
        if let ended = states.first(where: \.isFinal) {
            throw ValidationError("a run that is \(ended.rawValue) has ended already; --state takes pending, running")
        }
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        try target.requireNoStep("cancelled")
        guard choice.isEmpty, !dryRun else {
            guard target.run == nil else {
                throw ValidationError("--state, --where and --dry-run choose among the runs of a job: name the job")
            }
            return try cancelChosen(context, store, target.job, states.isEmpty ? [.pending, .running] : states)
        }
        defer { context.deliverNotifications(store) }
        if let run = target.run {
            try JobCancellation.cancel(store, run.address)
        } else {
            try JobCancellation.cancel(store, target.job.uuid)
        }
        let job = try await_(store, target.job) { job in
            try target.run.map { try store.database.run($0.address).state.isFinal } ?? job.state.isFinal
        }
        if output.json { return try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
        context.say("\(target.run.map { "run \($0.address.number) of " } ?? "")job \(job.name): cancelled")
    }

    private func cancelChosen(
        _ context: CommandContext, _ store: Store, _ job: JobRecord, _ states: Set<RunState>
    ) throws {
        let chosen = RunNumbers(
            try choice.sheet(of: job, in: store).keeping(states: states).rows.map(\.outline.number))
        defer { if !dryRun { context.deliverNotifications(store) } }
        let numbers = dryRun ? chosen : try JobCancellation.cancel(store, chosen, of: job.uuid, in: states)
        let now =
            dryRun
            ? job
            : try await_(store, job) { _ in
                try store.database.runs(of: job.uuid, states: [.running], limit: .max)
                    .allSatisfy { !numbers.contains($0.address.number) }
            }
        if output.json {
            return try context.print(
                Documents.object([
                    ("job", Documents.job(now, in: store)), ("count", Documents.value(numbers.count)),
                    ("runs", .string(numbers.description)), ("dry_run", .bool(dryRun)),
                ]))
        }
        let shown = numbers.ranges.count > 20 ? "" : ": \(numbers)"
        let done = dryRun ? "would be cancelled" : "cancelled"
        context.say(
            numbers.isEmpty
                ? "job \(job.name): no run that has not ended matches, and nothing was changed"
                : "job \(job.name): \(counted(numbers.count, "run")) \(done)\(shown)")
    }

    private static let patience = 15.0

    /// Running steps get a few seconds from whoever drives the job, or from this process where nobody does.
    private func await_(_ store: Store, _ job: JobRecord, isDone: @escaping (JobRecord) throws -> Bool) throws
        -> JobRecord
    {
        let deadline = Syscall.monotonicSeconds() + Self.patience
        func ended() throws -> JobRecord? {
            let job = try store.database.job(job.uuid)
            return try isDone(job) ? job : nil
        }
        while true {
            if let ended = try ended() { return ended }
            let rest = deadline - Syscall.monotonicSeconds()
            guard rest > 0 else { break }
            if try !store.isDriven(store.database.job(job.uuid)) {
                // Where it cannot, or somebody else has just begun to, the wish is written all the same.
                try? JobEngine.endCancelled(of: job.uuid, in: store, within: rest) { try ended() != nil }
            }
            _ = try Syscall.poll([], milliseconds: 50)
        }
        throw CommandFailure(
            .busy, "cancel `\(job.name)`: it was told to end, and has not in \(Int(Self.patience)) seconds",
            hint: "it ends when its steps do: see `cloche watch \(shellWord(job.name.description))`")
    }
}

struct RemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove a job or a run for good, with its files and logs.",
        discussion: """
            Examples:
              cloche rm sweep/7
              cloche rm sweep --yes
            """, aliases: ["remove"])

    @Argument(help: "JOB or JOB/7.", completion: Completion.references) var reference: String
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
    @Flag(help: "Of a run that has ended, remove the files only: logs, verdict, metrics and usage stay.")
    var keepLogs = false

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        try target.requireNoStep("removed")
        let confirmation = Confirmation.standard(isGranted: yes, streams: context.streams)
        if keepLogs { return try removeFiles(context, store, target, confirmation) }
        if let run = target.run {
            try confirmation.require(
                "remove run \(run.address.number) of job `\(target.job.name)` with its files and logs?")
            try store.change(target.job.uuid) { document in
                try store.database.delete(run.address)
                document.will.remove(RunNumbers([run.address.number]), endedAs: run.state)
            }
            try store.removeTree(String(run.address.number), in: store.runsDirectory(target.job.uuid))
            return context.say("removed run \(run.address.number) of job \(target.job.name)")
        }
        try confirmation.require(
            "remove the job `\(target.job.name)` with its \(counted(target.job.counts.total, "run"))?",
            details: ["logs and files of the runs are removed; what they wrote to a shared /data stays"])
        // What is pending of a job that nobody drives would never be made.
        if !target.job.state.isFinal, target.job.state != .draft, !JobLock.isHeld(store, target.job.uuid) {
            _ = try store.database.apply(
                .cancel, to: target.job.uuid, at: Timestamp(seconds: Syscall.wallClockSeconds()))
        }
        // Who makes runs of it, or copies it, comes first.
        let lock = try store.lockDocument(target.job.uuid)
        defer { withExtendedLifetime(lock) {} }
        try JobRemoval.remove(target.job.uuid, from: store)
        context.say("removed job \(target.job.name)")
    }

    private func removeFiles(
        _ context: CommandContext, _ store: Store, _ target: Target, _ confirmation: Confirmation
    ) throws {
        guard let run = target.run else {
            let all =
                target.job.state.isFinal
                ? "" : "; `cloche job edit \(target.reference) --keep N --keep-logs` is for all that end"
            throw ValidationError("--keep-logs is for one run: name the run, such as `\(target.reference)/0`\(all)")
        }
        let name = "run \(run.address.number) of job \(target.job.name)"
        guard run.state.isFinal else {
            throw CommandFailure(
                .wrongState, "remove the files of \(name): it is \(run.state.rawValue)",
                hint: "end it by `cloche cancel \(shellWord(target.job.name.description))/\(run.address.number)`")
        }
        try confirmation.require("remove the files of \(name), and keep its logs?")
        try store.change(target.job.uuid) { _ in try store.removeFiles(of: run.address) }
        context.say("removed the files of \(name); its logs are kept")
    }
}

extension CommandFailure {
    /// That the files of a run were removed; nil where they are there.
    init?(readingFilesOf run: RunDirectory, _ what: String) {
        guard let time = run.filesRemoved() else { return nil }
        self.init(
            .notFound, "\(what): the files of the run were removed \(time), and its logs kept",
            hint: "`cloche logs` and `cloche show` tell of it; a new run has files again")
    }
}

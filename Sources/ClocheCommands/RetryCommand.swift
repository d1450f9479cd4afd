import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import Runs
import TerminalOutput

struct RetryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Make runs that failed once more, from the step that failed.",
        discussion: """
            A run keeps its parameters and pinned snapshots. Steps that finished are kept, with their results and logs, and \
            the others run, on what the kept ones had left in the project: nothing of a step that failed is among it. A \
            step that finished while others ran, and that were never all at rest after it, runs again. `cloche show JOB/7` \
            tells for each step why it ran or was kept. What steps wrote to /data is shared and stays as it is. \
            Earlier attempts keep their logs, files and verdicts (`cloche logs JOB/7 --attempt 1`). Runs that --retries \
            makes again by itself, and those that go on after an interruption, keep finished steps in the same way.

            Examples:
              cloche retry sweep/7
              cloche retry sweep/7 --from-start   every step, on the snapshot
              cloche retry sweep                  all runs of it that failed
              cloche retry sweep --all            and those that were cancelled or skipped
            """)

    @Argument(help: "JOB or JOB/7.", completion: Completion.references) var reference: String
    @Flag(help: "Of a job, runs that were cancelled or skipped as well; of a run, every step.") var all = false
    @Flag(help: "Run every step again.") var fromStart = false
    @Flag(help: "Refuse runs none of whose results can be kept.") var fromFailed = false
    @Option(help: "How many runs are made at once; the service has its own limit.") var maxParallel: Int?
    @OptionGroup var detaching: DetachOption
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if fromStart, fromFailed { throw ValidationError("choose --from-start or --from-failed, not both") }
    }

    func run() throws {
        let limit = try Parallelism.limitOfCommand(maxParallel)
        try detaching.check("retry")
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        try target.requireNoStep("made again")
        if all, fromFailed, target.run != nil {
            throw ValidationError("of a run, --all runs every step; choose it or --from-failed")
        }
        try ServedClient.requireUse(ofPolicyOf: target.job.uuid, in: store)
        try store.secrets.require(try store.document(target.job.uuid).secrets)
        let runs = try target.run.map { [$0] } ?? failed(target.job, in: store)
        if fromFailed { for run in runs { try demandResults(of: run, target.job, in: store) } }
        let numbers = RunNumbers(runs.map(\.address.number))
        try store.change(target.job.uuid) { document in
            try store.quota?.check(adding: runs.count, to: store)
            try retry(runs, numbers, of: target, in: store)
            try note(numbers, of: target.job, in: store, &document)
        }
        let job = try store.database.job(target.job.uuid)
        let (these, are) = runs.count == 1 ? ("run \(runs[0].address.number)", "is") : ("\(runs.count) runs", "are")
        if detaching.detach { return try detaching.handOver(job, context, store, json: output.json) }
        if try !CommandContext.servicePlace().isServed, JobLock.isHeld(store, job.uuid) {
            return context.say(
                "\(these) of job \(job.name) \(are) pending again; the process that drives the job goes on with "
                    + (runs.count == 1 ? "it" : "them"))
        }
        try JobEnding(context, store, json: output.json).drive(
            job, limit: try limit ?? Parallelism.limit(job.options.maxParallel),
            showsOutput: runs.count == 1, only: numbers)
    }

    /// Makes the runs pending; what is asked of their next attempts is noted before, as somebody may take them up at once.
    private func retry(_ runs: [RunRecord], _ numbers: RunNumbers, of target: Target, in store: Store) throws {
        let isAnew = fromStart || (all && target.run != nil)
        var before: [(RunDirectory, Int)] = []
        do {
            if isAnew {
                for directory in runs.map({ store.runDirectory($0.address) }) {
                    // A run that has not been started has nothing to ignore.
                    guard let last = directory.attempts().last else { continue }
                    before.append((directory, directory.ignoredAttempts()))
                    try directory.ignoreAttempts(upTo: last)
                }
            }
            try store.database.retry(numbers, of: target.job.uuid, at: Timestamp(seconds: Syscall.wallClockSeconds()))
        } catch {
            for (directory, number) in before { try directory.ignoreAttempts(upTo: number) }
            throw error
        }
    }

    private func demandResults(of run: RunRecord, _ job: JobRecord, in store: Store) throws {
        let directory = store.runDirectory(run.address)
        // The database refuses what has succeeded, and what runs.
        guard run.state.isFinal, run.state != .succeeded else { return }
        if let spec = try? directory.spec(),
            !directory.keptResults(for: spec, boot: HostBoot.identity()).steps.isEmpty
        {
            return
        }
        throw CommandFailure(
            .wrongState,
            "retry the run `\(job.name)/\(run.address.number)` from the step that failed: no result of it can be kept",
            hint: "leave --from-failed out, and every step runs again")
    }

    private func failed(_ job: JobRecord, in store: Store) throws -> [RunRecord] {
        let states: Set<RunState> = all ? [.failed, .cancelled, .skipped] : [.failed]
        let runs = try store.database.runs(of: job.uuid, limit: 1_000_000).filter { states.contains($0.state) }
        guard runs.isEmpty else { return runs }
        if job.state == .draft {
            throw CommandFailure(
                .wrongState, "retry the job `\(job.name)`: it is a draft, and none of its runs has been made",
                hint: "`cloche job start \(shellWord(job.name.description))` makes them")
        }
        let others = job.counts.cancelled + job.counts.skipped
        throw CommandFailure(
            .wrongState,
            "retry the job `\(job.name)`: none of its runs has " + (all ? "ended without success" : "failed"),
            hint: !all && others > 0
                ? "--all takes the \(others) that \(others == 1 ? "was" : "were") cancelled or skipped as well"
                : "it is \(job.state.rawValue)")
    }

    /// The document of the job must not say that these runs are cancelled, and must say so of others that still are.
    private func note(
        _ numbers: RunNumbers, of job: JobRecord, in store: Store, _ document: inout JobDocument
    ) throws {
        if document.will.cancelled != nil {
            document.will.cancelled = nil
            document.will.timedOut = nil
            let cancelled = try store.database.runs(of: job.uuid, limit: 1_000_000).filter { $0.state == .cancelled }
            document.will.cancelledRuns = document.will.cancelledRuns
                .union(RunNumbers(cancelled.map(\.address.number)))
        }
        document.will.cancelledRuns = document.will.cancelledRuns.subtracting(numbers)
    }
}

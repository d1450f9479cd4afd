import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import TerminalOutput

struct RetryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Make runs that failed once more, from their beginning.",
        discussion: """
            A run keeps its parameters and pinned snapshots, and begins with the files of its snapshot; earlier attempts keep
            their logs, files and verdicts (`cloche logs JOB/7 --attempt 1`).

            Examples:
              cloche retry sweep/7
              cloche retry sweep          all runs of it that failed
              cloche retry sweep --all    and those that were cancelled or skipped
            """)

    @Argument(help: "JOB or JOB/7.", completion: Completion.references) var reference: String
    @Flag(help: "Of a job, runs that were cancelled or skipped as well.") var all = false
    @Option(help: "How many runs are made at once; the service has its own limit.") var maxParallel: Int?
    @OptionGroup var detaching: DetachOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let limit = try Parallelism.limitOfCommand(maxParallel)
        try detaching.check("retry detached")
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        guard target.step == nil else {
            throw ValidationError("a step is made again with its whole run: name the run")
        }
        if all, target.run != nil { throw ValidationError("--all is for a job") }
        let runs = try target.run.map { [$0] } ?? failed(target.job, in: store)
        let numbers = RunNumbers(runs.map(\.address.number))
        try store.change(target.job.uuid) { document in
            try store.database.retry(numbers, of: target.job.uuid, at: Timestamp(seconds: Syscall.wallClockSeconds()))
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

    private func failed(_ job: JobRecord, in store: Store) throws -> [RunRecord] {
        let states: Set<RunState> = all ? [.failed, .cancelled, .skipped] : [.failed]
        let runs = try store.database.runs(of: job.uuid, limit: 1_000_000).filter { states.contains($0.state) }
        guard runs.isEmpty else { return runs }
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
            let cancelled = try store.database.runs(of: job.uuid, limit: 1_000_000).filter { $0.state == .cancelled }
            document.will.cancelledRuns = document.will.cancelledRuns
                .union(RunNumbers(cancelled.map(\.address.number)))
        }
        document.will.cancelledRuns = document.will.cancelledRuns.subtracting(numbers)
    }
}

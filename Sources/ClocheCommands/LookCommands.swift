import ArgumentParser
import Cgroups
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import Runs
import SandboxRuntime
import SystemPackage
import TerminalOutput

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List jobs, or the runs of a job.",
        discussion: """
            Examples:
              cloche ls --state running,paused
              cloche ls sweep --state failed
              cloche ls sweep --where 'lr>0.1' --sort -accuracy --limit 10
              cloche ls sweep --where '"Principal components.components">=8' --sort time

            Names are those of parameters (of a step: STEP.NAME), of metrics, and run, state, time (seconds), cause, \
            attempt. Numbers are compared as numbers, texts as texts; a run without the value is left out. Where a \
            parameter has a metric's name, metric:NAME is the metric.
            """, aliases: ["list"])

    @Argument(help: "A job, to list its runs.", completion: Completion.jobs) var job: String?
    @OptionGroup var choice: RunChoiceOptions
    @Option(parsing: .unconditional, help: "Sort runs by these: lr, or -accuracy for the greatest first.") var sort:
        String?
    @Option(help: "At most this many; 0 is all.") var limit = 50
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let most = limit <= 0 ? Int.max : limit
        if let job {
            let target = try Target(job, in: store)
            guard target.run == nil else {
                throw ValidationError(
                    "the runs of a job are listed: name the job, or look at this one by `cloche show \(target.reference)`"
                )
            }
            try listRuns(context, store, target.job, most)
        } else {
            guard choice.conditions.isEmpty, sort == nil else {
                throw ValidationError("--where and --sort are for the runs of a job: name the job")
            }
            try listJobs(context, store, most)
        }
    }

    private func listJobs(_ context: CommandContext, _ store: Store, _ most: Int) throws {
        let stores = try [store] + others(than: store)
        let states = try choice.states(JobState.self)
        var rows = try stores.flatMap { store in
            try store.database.jobs(states: states, limit: most).map { (job: $0, store: store) }
        }
        if stores.count > 1 {
            rows.sort { $0.job.created > $1.job.created }
            rows = Array(rows.prefix(most))
        }
        let jobs = rows.map { $0.job }
        let count = try stores.reduce(0) { try $0 + $1.database.jobCount(states: states) }
        if output.json {
            let documents = rows.map { Documents.job($0.job, in: $0.store) }
            try context.print(Documents.object([("jobs", .array(documents)), ("total", Documents.value(count))]))
            return context.say(shown: jobs.count, of: count, "job")
        }
        if jobs.isEmpty {
            return context.say("no jobs yet; make one with `cloche run PIPELINE` or `cloche job create PIPELINE`")
        }
        let showsOwner = stores.count > 1 || store.owner != nil
        var columns = [
            Table.Column("JOB"), Table.Column("STATE", minimum: 11),
            Table.Column("RUNS", alignment: .trailing, minimum: 4),
            Table.Column("PIPELINE", priority: 1), Table.Column("CREATED", priority: 2),
        ]
        let hasSchedules = jobs.contains { $0.schedule != nil }
        if hasSchedules { columns.insert(Table.Column("NEXT", priority: 2, minimum: 16), at: 3) }
        if showsOwner { columns.append(Table.Column("OWNER", priority: 1)) }
        var table = Table(columns)
        for (job, store) in rows {
            let age = Duration.seconds(max(0, Syscall.wallClockSeconds() - job.created.seconds))
            let next = ScheduleDescription(job).next()
            let note = next == nil && store.isStopped(job) ? " (stopped)" : ""
            // One without runs will have those of a batch.
            let total = job.counts.total == 0 && !job.state.isFinal ? job.batchSize ?? 0 : job.counts.total
            let progress =
                "\(job.counts.ended)/\(total)"
                + (job.counts.failed > 0 ? " \(job.counts.failed) failed" : "")
            var cells: [Table.Cell] = [
                Table.Cell(job.name.description), .state(job.state.rawValue),
                Table.Cell(progress + note), Table.Cell(job.pipelinePath),
                Table.Cell(relativeTime(age: age), exact: job.created.description),
            ]
            if hasSchedules {
                cells.insert(Table.Cell(next ?? "", exact: next == nil ? "" : job.next?.description ?? ""), at: 3)
            }
            if showsOwner { cells.append(Table.Cell(StoreOwner.name(of: job.owner) ?? String(job.owner))) }
            table.append(cells)
        }
        try context.print(table)
        context.say(shown: jobs.count, of: count, "job")
        let stopped = rows.filter { $0.store.isStopped($0.job) }.map(\.job)
        if let job = stopped.first {
            context.say(
                "go on with \(stopped.count == 1 ? "the stopped job" : "a stopped job, such as the first,") by "
                    + "`\(job.continuation)`")
        }
        if rows.contains(where: { $0.store.owner != nil && store.owner == nil }) {
            context.say("jobs of a user are reached with CLOCHE_OWNER=NAME before the command")
        }
    }

    /// The stores that this one keeps for users of a service.
    private func others(than store: Store) throws -> [Store] {
        guard store.owner == nil else { return [] }
        return try StoreOwner.all(in: store.path).map { try Store.open($0.store) }
    }

    private func listRuns(_ context: CommandContext, _ store: Store, _ job: JobRecord, _ most: Int) throws {
        let runs: [RunRecord]
        let count: Int
        if choice.conditions.isEmpty, sort == nil {
            let states = try choice.states(RunState.self)
            runs = try store.database.runs(of: job.uuid, states: states, limit: most)
            count = runs.count < most ? runs.count : try store.database.runCount(of: job.uuid, states: states)
        } else {
            var sheet = try choice.sheet(of: job, in: store)
            if let sort { try sheet.sort(by: try RunOrder.list(sort)) }
            runs = try store.database.runs(of: job.uuid, numbers: sheet.rows.prefix(most).map(\.outline.number))
            count = sheet.rows.count
        }
        if output.json {
            let documents = runs.map { Documents.run($0, job, metrics: RunTable.metrics(store, $0)) }
            try context.print(Documents.object([("runs", .array(documents)), ("total", Documents.value(count))]))
            return context.say(shown: runs.count, of: count, "run")
        }
        if runs.isEmpty, !choice.isEmpty {
            return context.say(
                "no run of job `\(job.name)` is meant by that; it has \(counted(job.counts.total, "run"))")
        }
        try context.print(RunTable(store, job).table(runs))
        context.say(shown: runs.count, of: count, "run")
    }
}

extension CommandContext {
    /// Tells that a list is not complete.
    func say(shown: Int, of count: Int, _ noun: String) {
        if shown < count { say("\(shown) of \(counted(count, noun)); --limit 0 shows all, --limit N so many") }
    }
}

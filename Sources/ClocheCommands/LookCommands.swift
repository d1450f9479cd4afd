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
        commandName: "ls", abstract: "List jobs, or the runs of a job.", aliases: ["list"])

    @Argument(help: "A job, to list its runs.") var job: String?
    @Option(help: "Only those in this state.") var state: String?
    @Option(help: "At most this many; 0 is all.") var limit = 50
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let most = limit <= 0 ? Int.max : limit
        if let job {
            try listRuns(context, store, try Target(job, in: store).job, most)
        } else {
            try listJobs(context, store, most)
        }
    }

    private func listJobs(_ context: CommandContext, _ store: Store, _ most: Int) throws {
        let jobs = try store.database.jobs(states: try states(JobState.self), limit: most)
        if output.json {
            return try context.print(Documents.object([("jobs", .array(jobs.map { Documents.job($0, in: store) }))]))
        }
        if jobs.isEmpty {
            return context.say("no jobs yet; make one with `cloche run PIPELINE` or `cloche job create PIPELINE`")
        }
        var table = Table([
            Table.Column("JOB"), Table.Column("STATE"), Table.Column("RUNS", alignment: .trailing, minimum: 4),
            Table.Column("PIPELINE", priority: 1), Table.Column("CREATED", priority: 2),
        ])
        for job in jobs {
            let age = Duration.seconds(max(0, Syscall.wallClockSeconds() - job.created.seconds))
            let note = ScheduleDescription(job).line().map { " (\($0))" } ?? (isStopped(job, store) ? " (stopped)" : "")
            let progress =
                "\(job.counts.ended)/\(job.counts.total)"
                + (job.counts.failed > 0 ? " \(job.counts.failed) failed" : "")
            table.append([
                Table.Cell(job.name.description), .state(job.state.rawValue),
                Table.Cell(progress + note), Table.Cell(job.pipelinePath),
                Table.Cell(relativeTime(age: age), exact: job.created.description),
            ])
        }
        try context.print(table)
        if jobs.contains(where: { isStopped($0, store) }) {
            context.say("go on with a stopped job by `cloche job start JOB`")
        }
    }

    /// Whether there is something to go on with, and nobody does.
    private func isStopped(_ job: JobRecord, _ store: Store) -> Bool {
        !job.state.isFinal && job.counts.pending + job.counts.running > 0 && !store.isDriven(job)
    }

    private func listRuns(_ context: CommandContext, _ store: Store, _ job: JobRecord, _ most: Int) throws {
        let runs = try store.database.runs(of: job.uuid, states: try states(RunState.self), limit: most)
        if output.json {
            let documents = runs.map { Documents.run($0, job, metrics: RunTable.metrics(store, $0.address)) }
            return try context.print(Documents.object([("runs", .array(documents))]))
        }
        try context.print(RunTable(store, job).table(runs))
        let present = job.counts.total - job.removed
        if runs.count < present, state == nil {
            context.say("\(runs.count) of \(present) runs; --limit 0 shows all")
        }
    }

    private func states<State: RawRepresentable & CaseIterable & Hashable>(_ type: State.Type) throws -> Set<State>
    where State.RawValue == String {
        guard let state else { return [] }
        guard let value = State(rawValue: state) else {
            throw ValidationError(
                "there is no state `\(printable(state))`; there are "
                    + State.allCases.map(\.rawValue).joined(separator: ", "))
        }
        return [value]
    }
}

struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a job, a run or a step: what it is, how it went, and why.",
        aliases: ["inspect"])

    @Argument(help: "JOB, JOB/7 or JOB/7/train.") var reference: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        if let run = target.run, let step = target.step { return try show(context, store, target.job, run, step) }
        if let run = target.run { return try show(context, store, target.job, run) }
        try show(context, store, target.job)
    }

    private func show(_ context: CommandContext, _ store: Store, _ job: JobRecord) throws {
        let runs = try store.database.runs(of: job.uuid, limit: 100_000)
        let document = try store.document(job.uuid)
        if output.json {
            return try context.print(
                Documents.object([
                    ("job", Documents.job(job, in: store)), ("snapshot", .string(document.snapshot)),
                    ("pinned_policy", Documents.value(PinnedPolicy(of: document))),
                    ("environments", Documents.value(document.environments)),
                    ("runs", .array(runs.map { Documents.run($0, job, metrics: RunTable.metrics(store, $0.address)) })),
                ]))
        }
        let styling = context.streams.output.styling
        var facts = [
            ("job", styling.apply(.bold, to: printable(job.name.description))), ("id", job.uuid.description),
            ("state", styling.state(job.state.rawValue)),
            ("pipeline", "\(printable(job.pipelinePath)) in \(printable(job.project.path))"),
            ("snapshot", String(document.snapshot.prefix(16))), ("policy", PinnedPolicy(of: document).text),
            ("created", job.created.description),
        ]
        facts += ScheduleDescription(job).facts()
        if let keep = job.options.keep { facts.append(("keeps", counted(keep, "ended run"))) }
        for (_, environment) in document.environments.sorted(by: { $0.key < $1.key }) {
            facts.append(("environment", "\(printable(environment.name)) (build \(environment.build))"))
        }
        try context.print(lines(facts) + "\n")
        try context.print(RunTable(store, job).table(runs))
    }

    private func show(_ context: CommandContext, _ store: Store, _ job: JobRecord, _ run: RunRecord) throws {
        let steps = try store.database.steps(of: run.address)
        let metrics = RunTable.metrics(store, run.address)
        if output.json {
            return try context.print(
                Documents.object([
                    ("run", Documents.run(run, job, metrics: metrics)), ("steps", .array(steps.map(Documents.step))),
                ]))
        }
        let styling = context.streams.output.styling
        var facts = [
            ("run", styling.apply(.bold, to: "\(printable(job.name.description))/\(run.address.number)")),
            ("state", styling.state(run.state.rawValue)),
        ]
        let place = job.place(ofRun: run.address.number)
        if job.schedule != nil { facts.append(("batch", "\(place.batch), run \(place.index) of it")) }
        if let time = run.notBefore { facts.append(("next attempt", time.description)) }
        if let verdict = run.verdict { facts.append(("verdict", printable(verdict.summary))) }
        if let remedy = run.verdict?.remedy { facts.append(("remedy", printable(remedy))) }
        if !run.parameters.label.isEmpty { facts.append(("parameters", printable(run.parameters.label))) }
        for metric in metrics {
            facts.append(("metric", "\(printable(metric.name)) = \(RunTable.number(metric.value))"))
        }
        // A run that has not started has no specification; its job has told of the policy.
        for clip in (try? store.runDirectory(run.address).spec())?.policy.clipped ?? [] {
            facts.append(("clipped", printable(clip)))
        }
        if let usage = store.runDirectory(run.address).latestAttempt()?.usage() {
            facts.append(("limits", usage.limits.map(\.description).joined(separator: ", ")))
            let open = usage.limits.filter { $0.enforcement == .none }.map(\.name.rawValue)
            for weakness in usage.weaknesses ?? [] { facts.append(("weaker", printable(weakness))) }
            if !open.isEmpty {
                facts.append(("not limited", open.joined(separator: ", ") + ": see `cloche system doctor`"))
            }
        }
        for number in store.runDirectory(run.address).attempts().dropLast() {
            let verdict = store.runDirectory(run.address).attempt(number).verdict()
            facts.append(("attempt \(number)", printable(verdict?.summary ?? "no verdict")))
        }
        if run.attempt > 0 {
            facts.append(("directory", store.runDirectory(run.address).attempt(run.attempt).path.string))
        }
        try context.print(lines(facts) + "\n")
        var table = Table([
            Table.Column("STEP"), Table.Column("STATE"), Table.Column("TIME", alignment: .trailing, minimum: 4),
            Table.Column("CPU", alignment: .trailing, priority: 2, minimum: 4),
            Table.Column("CAUSE", priority: 1),
        ])
        for step in steps {
            let cause = step.verdict.map { $0.cause == .succeeded ? "" : $0.summary } ?? ""
            table.append([
                Table.Cell(step.title), .state(step.state.rawValue), RunTable.time(step.started, step.finished),
                Table.Cell(step.usage?.cpuSeconds.map { humanDuration(.seconds($0)) } ?? ""), Table.Cell(cause),
            ])
        }
        try context.print(table)
        try tellDenials(context, steps)
    }

    private func show(
        _ context: CommandContext, _ store: Store, _ job: JobRecord, _ run: RunRecord, _ step: StepRecord
    ) throws {
        if output.json { return try context.print(Documents.object([("step", Documents.step(step))])) }
        let styling = context.streams.output.styling
        var facts = [
            ("step", styling.apply(.bold, to: printable(step.title))), ("uuid", printable(step.uuid)),
            ("state", styling.state(step.state.rawValue)),
        ]
        if let verdict = step.verdict {
            facts.append(("verdict", printable(verdict.summary)))
            if let remedy = verdict.remedy { facts.append(("remedy", printable(remedy))) }
        }
        if let attempt = store.runDirectory(run.address).latestAttempt() {
            facts.append(("log", attempt.logPath(step: step.uuid).string))
        }
        try context.print(lines(facts))
        try tellDenials(context, [step])
    }

    private func tellDenials(_ context: CommandContext, _ steps: [StepRecord]) throws {
        for step in steps {
            guard case .list(let denials)? = step.verdict?.detail["denials"] else { continue }
            try context.print("\nrefused to `\(printable(step.title))`:")
            for denial in denials { try context.print("  \(printable(denial))") }
        }
    }

    private func lines(_ facts: [(String, String)]) -> String {
        let width = facts.map(\.0.count).max() ?? 0
        return facts.map { $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 }.joined(separator: "\n")
    }
}

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Follow a job that another process drives; ends with its result.")

    @Argument(help: "JOB or JOB/7.") var reference: String

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        let display = ProgressDisplay(context.streams.error)
        let styling = context.streams.error.styling
        while true {
            let job = try store.database.job(target.job.uuid)
            if let address = target.run?.address {
                let run = try store.database.run(address)
                if run.state.isFinal {
                    display.finish(.clear)
                    context.say("\(styling.state(run.state.rawValue))  \(printable(run.verdict?.summary ?? ""))")
                    throw ExitCode(run.state == .succeeded ? 0 : run.state == .cancelled ? 2 : 1)
                }
            } else if job.state.isFinal {
                display.finish(.clear)
                let runs = try store.database.runs(of: job.uuid, limit: 100_000)
                try context.print(RunTable(store, job).table(runs))
                throw ExitCode(JobExit.code(job.counts, runs))
            }
            guard store.isDriven(job) else {
                display.finish(.clear)
                throw CommandFailure(
                    .wrongState, "watch the job `\(job.name)`: no process drives it",
                    hint: ScheduleDescription(job).line()
                        ?? "go on with it by `cloche job start \(job.name)`")
            }
            let counts = job.counts
            display.update(lines: [
                "\(styling.apply(.bold, to: job.name.description))  \(progressBar(done: counts.ended, total: counts.total))  "
                    + countsLine(
                        [("running", counts.running), ("succeeded", counts.succeeded), ("failed", counts.failed)],
                        styling: styling)
            ])
            _ = try Syscall.poll([], milliseconds: 200)
        }
    }
}

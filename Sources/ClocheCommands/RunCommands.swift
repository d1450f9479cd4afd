import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import SystemPackage
import TerminalOutput

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a pipeline once and follow it to its end.",
        discussion: """
            Examples:
              cloche run main.orchest
              cloche run main.orchest -p 'names=["a","b"]' --step-param train.depth=8
              cloche run main.orchest --policy online --env-var STAGE=test
            """)

    @Argument(help: "The pipeline's file.", completion: Completion.pipelines) var pipeline: String
    @Option(name: .shortAndLong, help: "Set a pipeline parameter: NAME=JSON.") var parameter: [String] = []
    @Option(name: .customLong("step-param"), help: "Set a step's parameter: STEP.NAME=JSON.") var stepParameter:
        [String] = []
    @Option(help: "Name the job.") var name: String?
    @OptionGroup var settings: JobSettings
    @OptionGroup var detaching: DetachOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        try detaching.check("run the pipeline")
        var request = JobRequest(pipeline: FilePath(pipeline), policy: try CommandContext.policy(settings.policy))
        request.serve()
        request.name = name
        request.isSingle = true
        try settings.apply(to: &request)
        let plan = try JobCreation.plan(request)
        request.overrides = try overrides(in: plan.pipeline)
        for override in request.overrides {
            guard let (message, hint) = override.remark(in: plan.pipeline) else { continue }
            context.say("warning: \(message)" + (hint.map { "; \($0)" } ?? ""))
        }
        let store = try context.openStore()
        let job = try JobMaking(context, store).make(request)
        if detaching.detach { return try detaching.handOver(job, context, store, json: output.json) }
        try JobEnding(context, store, json: output.json).drive(job, limit: 1, showsOutput: true)
    }

    /// The values of -p and --step-param, one for each parameter.
    private func overrides(in pipeline: Pipeline) throws -> [ParameterOverride] {
        var overrides: [ParameterOverride] = []
        func add(_ override: ParameterOverride, _ option: String, _ text: String) throws {
            guard !overrides.contains(where: { $0.step == override.step && $0.name == override.name }) else {
                throw ValidationError(
                    "\(option) gives the parameter of `\(printable(text, limit: 120))` twice: leave one out")
            }
            overrides.append(override)
        }
        for text in parameter {
            try add(try reading("-p", try ParameterOverride(pipelineArgument: text)), "-p", text)
        }
        for text in stepParameter {
            let override = try reading("--step-param", try ParameterOverride(stepArgument: text, in: pipeline))
            try add(override, "--step-param", text)
        }
        return overrides
    }
}

/// Drives a job, prints what came of it, and ends with the exit code.
struct JobEnding {
    private let context: CommandContext
    private let store: Store
    private let json: Bool

    init(_ context: CommandContext, _ store: Store, json: Bool) {
        self.context = context
        self.store = store
        self.json = json
    }

    /// Never returns; `only` are the runs that count, nil for all of the job.
    func drive(_ job: JobRecord, limit: Int, showsOutput: Bool, only: RunNumbers? = nil) throws {
        let follower = JobFollower(context, store, job, showsOutput: showsOutput)
        let ended = try follower.drive(limit: limit, only: only)
        defer { context.deliverNotifications(store) }
        let runs = try store.database.runs(of: ended.uuid, limit: 1_000_000)
            .filter { only?.contains($0.address.number) ?? true }
        try tell(ended, runs)
        // Runs that are not kept tell nothing any more, and earlier batches do not count.
        let isDriven = only.map { $0.count > runs.count } ?? (ended.schedule != nil)
        let counts = isDriven ? follower.counts(in: ended) : only == nil ? ended.counts : JobCounts(of: runs)
        throw ExitCode(JobExit.code(counts, runs, follower.stopSignal, isTimedOut: ended.timedOut != nil))
    }

    private func tell(_ job: JobRecord, _ runs: [RunRecord]) throws {
        if json {
            try context.print(
                Documents.object([
                    ("job", Documents.job(job, in: store)),
                    ("runs", .array(runs.map { Documents.run($0, job, metrics: RunTable.metrics(store, $0)) })),
                ]))
            return
        }
        let name = shellWord(job.name.description)
        // All of them would bury what is told below.
        try context.print(RunTable(store, job).table(Array(runs.prefix(RunTable.mostRows))))
        if runs.count > RunTable.mostRows {
            context.say("\(RunTable.mostRows) of \(runs.count) runs; `cloche ls \(name) --limit 0` shows all")
        }
        let failed = runs.first { $0.state == .failed }
        context.say("")
        if let failed {
            if let verdict = failed.verdict, runs.count == 1 {
                context.say("failed: \(printable(verdict.summary))")
                if let remedy = verdict.remedy { context.say("hint: \(printable(remedy))") }
            }
            if job.counts.total > 1 {
                let styling = context.streams.error.styling
                context.say(try JobSummary(store, job).failures(styling: styling))
            }
            let reference = shellWord("\(job.name)/\(failed.address.number)")
            context.say(
                "look at `cloche show \(reference)` and `cloche logs \(reference)`; again by `cloche retry \(name)`")
        } else {
            let reference = shellWord("\(job.name)/\(runs.first?.address.number ?? 0)")
            context.say("look at `cloche show \(name)` and `cloche logs \(reference)`")
        }
    }
}

struct JobCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "job", abstract: "Make jobs and go on with them.",
        subcommands: [
            JobCreateCommand.self, JobPlanCommand.self, JobStartCommand.self, JobPauseCommand.self,
            JobResumeCommand.self, JobTriggerCommand.self, JobEditCommand.self, JobCopyCommand.self,
        ])
}

/// Which runs of the grid a job is to have.
struct GridOptions: ParsableArguments {
    @Argument(help: "The pipeline's file.", completion: Completion.pipelines) var pipeline: String
    @Option(help: "A parameters file instead of the one beside the pipeline.") var parameters: String?
    @Option(help: "Numbers of runs to leave out: 3,5-7.") var skip: String?
    @Option(help: "Numbers of the only runs to make: 3,5-7.") var only: String?

    func request(_ policy: String) throws -> JobRequest {
        var request = JobRequest(pipeline: FilePath(pipeline), policy: try CommandContext.policy(policy))
        request.parametersFile = parameters.map { FilePath($0) }
        request.serve()
        request.skip = try RunSelection.read(skip, of: "--skip")
        request.only = try RunSelection.read(only, of: "--only")
        return request
    }
}

struct JobCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Freeze a project and run every combination of its parameters.",
        discussion: """
            The grid comes from X.parameters.json beside X.orchest. The job is followed to its end. Where `cloche serve` serves \
            the store, the service drives it, and only Ctrl-C cancels it; else this command does, and the job waits for `cloche \
            job start` when the command is ended.

            Examples:
              cloche job create main.orchest --name sweep
              cloche job create main.orchest --name sweep --only 0-3 --max-parallel 2
              cloche job create main.orchest --name sweep --detach
              cloche job create main.orchest --cron '30 2 * * *' --time-zone Europe/Berlin
              cloche job create main.orchest --draft

            \(ScheduleOptions.explanation)
            """)

    @OptionGroup var grid: GridOptions
    @Option(help: "Name the job.") var name: String?
    @Option(help: "How many runs are made at once; by default as many as there are processors.") var maxParallel: Int?
    @Flag(help: "Skip the runs that are still pending when one has failed.") var stopOnFailure = false
    @Option(help: "Remove ended runs with their files and logs, but for the newest so many.") var keep: String?
    @Flag(help: "Of runs that are not kept, remove the files only: logs, verdicts and metrics stay.") var keepLogs =
        false
    @Flag(help: "Freeze everything now, and run nothing before `cloche job start`.") var draft = false
    @OptionGroup var schedule: ScheduleOptions
    @OptionGroup var settings: JobSettings
    @OptionGroup var detaching: DetachOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        if detaching.detach || !(draft || !schedule.isEmpty) { try detaching.check("create the job") }
        var request = try grid.request(settings.policy)
        request.name = name
        request.isDraft = draft
        request.schedule = try schedule.schedule(at: CommandContext.now())
        request.options.keep = try keep.map(KeepOption.count)
        guard !keepLogs || keep != nil else {
            throw ValidationError("--keep-logs says what stays of runs beyond --keep N: give that too")
        }
        request.options.keepLogs = keepLogs ? true : nil
        try settings.apply(to: &request)
        request.options.maxParallel = maxParallel
        request.options.stopOnFailure = stopOnFailure
        if let problem = request.options.problemOfOption { throw ValidationError(problem) }
        let store = try context.openStore()
        let job = try JobMaking(context, store).make(request)
        if draft || job.schedule != nil { return try tellLater(context, store, job) }
        if detaching.detach { return try detaching.handOver(job, context, store, json: output.json) }
        context.say("job \(job.name): \(counted(job.counts.total, "run"))")
        try JobEnding(context, store, json: output.json).drive(
            job, limit: try Parallelism.limit(maxParallel), showsOutput: false)
    }
}

extension JobCreateCommand {
    /// What has been made though nothing runs yet.
    private func tellLater(_ context: CommandContext, _ store: Store, _ job: JobRecord) throws {
        if output.json { try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
        let runs = counted(job.batchSize ?? 0, "run")
        context.say(
            "job \(job.name): "
                + (draft ? "a draft of \(runs)" : job.schedule?.isRecurring == true ? "\(runs) each time" : runs))
        if draft {
            let name = shellWord(job.name.description)
            context.say("start it by `cloche job start \(name)`, change it by `cloche job edit \(name)`")
        }
        try ScheduleDescription(job).say(in: context)
    }
}

/// How many runs are made at once.
enum Parallelism {
    /// The limit that a command was given for a job that exists; refused where the service drives it.
    static func limitOfCommand(_ wanted: Int?) throws -> Int? {
        guard let wanted else { return nil }
        let limit = try limit(wanted)
        if try CommandContext.servicePlace().isServed {
            throw ValidationError(
                "--max-parallel is not for a job that the service drives: its own limit is given to `cloche serve`, that "
                    + "of the job to `cloche job create`")
        }
        return limit
    }

    static func limit(_ wanted: Int?, option: String = "--max-parallel") throws -> Int {
        guard let wanted else { return max(1, try Syscall.allowedProcessors().count) }
        guard (1...10_000).contains(wanted) else { throw ValidationError("\(option) needs 1 to 10,000") }
        return wanted
    }
}

struct JobPlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show the runs that a job would have, and make nothing.",
        discussion: """
            Examples:
              cloche job plan main.orchest
              cloche job plan main.orchest --parameters small.json --skip 3,5-7
            """)

    @OptionGroup var grid: GridOptions
    @Option(help: "Show at most this many runs; 0 is all.") var limit = 100
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let plan = try JobCreation.plan(try grid.request("default"))
        context.say(plan.warnings)
        let shown = limit <= 0 ? plan.selected.count : min(limit, plan.selected.count)
        if output.json {
            let runs = (0..<shown).map { number in
                Documents.object([("index", Documents.value(number)), ("parameters", plan.parameters(number).json)])
            }
            return try context.print(
                Documents.object([("count", Documents.value(plan.selected.count)), ("runs", .array(runs))]))
        }
        var table = Table([
            Table.Column("RUN", alignment: .trailing, minimum: 3), Table.Column("PARAMETERS", minimum: 20),
        ])
        for number in 0..<shown {
            table.append([
                Table.Cell(String(plan.selected[number])),
                Table.Cell(plan.grid.label(at: plan.selected[number], limit: 300)),
            ])
        }
        try context.print(table)
        if shown < plan.selected.count {
            context.say("\(shown) of \(counted(plan.selected.count, "run")); --limit 0 shows all")
        }
    }
}

struct JobStartCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Go on with the pending runs of a job, and follow it to its end.",
        discussion: """
            Runs that a service left running when it ended are adopted.

            Examples:
              cloche job start sweep
              cloche job start sweep --detach
            """)

    @Argument(help: "The job.", completion: Completion.jobs) var job: String
    @Option(help: "How many runs are made at once; the service has its own limit.") var maxParallel: Int?
    @OptionGroup var detaching: DetachOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let limit = try Parallelism.limitOfCommand(maxParallel)
        try detaching.check("start the job")
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(job, in: store)
        guard target.run == nil else { throw ValidationError("a run cannot be started alone: name the job") }
        var job = target.job
        try ServedClient.requireUse(ofPolicyOf: job.uuid, in: store)
        if job.state == .draft {
            try store.start(draft: job.uuid, at: CommandContext.now())
            job = try store.database.job(job.uuid)
            if job.schedule != nil {
                if output.json { try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
                context.say("job \(job.name): started")
                return try ScheduleDescription(job).say(in: context)
            }
        }
        guard job.state != .paused else {
            throw CommandFailure(
                .wrongState, "start the job `\(job.name)`: it is paused",
                hint: "go on with it by `cloche job resume \(shellWord(job.name.description))`")
        }
        guard job.counts.pending + job.counts.running > 0 else {
            throw CommandFailure(
                .wrongState, "start the job `\(job.name)`: it has no pending run",
                hint: ScheduleDescription(job).line().map {
                    "\($0); `cloche job trigger \(shellWord(job.name.description))` makes runs now"
                } ?? "it is \(job.state.rawValue)")
        }
        // What waited for somebody to go on with it has used none of its time.
        try store.database.restartClock(of: job.uuid)
        if detaching.detach { return try detaching.handOver(job, context, store, json: output.json) }
        try JobEnding(context, store, json: output.json).drive(
            job, limit: try limit ?? Parallelism.limit(job.options.maxParallel), showsOutput: false)
    }
}

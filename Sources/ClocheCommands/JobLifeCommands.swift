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

#if canImport(Glibc)
    import Glibc
#endif

struct JobTriggerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trigger", abstract: "Make the runs of a scheduled job now, and follow them to their end.",
        discussion: """
            Its schedule goes on as if nothing had happened.

            Examples:
              cloche job trigger nightly
              cloche job trigger nightly --detach
            """)

    @Argument(help: "The job.", completion: Completion.jobs) var job: String
    @Option(help: "How many runs are made at once; the service has its own limit.") var maxParallel: Int?
    @OptionGroup var detaching: DetachOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let limit = try Parallelism.limitOfCommand(maxParallel)
        try detaching.check("trigger the job")
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(job, in: store)
        guard target.run == nil else { throw ValidationError("a run cannot be triggered: name the job") }
        try ServedClient.requireUse(ofPolicyOf: target.job.uuid, in: store)
        let numbers = try store.trigger(target.job.uuid, at: CommandContext.now())
        let job = try store.database.job(target.job.uuid)
        context.say("job \(job.name): batch \(job.batches - 1), \(counted(numbers.count, "run"))")
        if detaching.detach { return try detaching.handOver(job, context, store, json: output.json) }
        guard try CommandContext.servicePlace().isServed || !JobLock.isHeld(store, job.uuid) else {
            return context.say("the process that drives the job goes on with \(numbers.count == 1 ? "it" : "them")")
        }
        try JobEnding(context, store, json: output.json).drive(
            job, limit: try limit ?? Parallelism.limit(job.options.maxParallel), showsOutput: false,
            only: RunNumbers(numbers))
    }
}

struct JobCopyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "copy",
        abstract: "Make a draft of the same snapshot, environments, policy, parameters and options.",
        discussion: """
            Change it by `cloche job edit`, and start it by `cloche job start`.

            Examples:
              cloche job copy sweep --name again
              cloche job start again
            """)

    @Argument(help: "The job.", completion: Completion.jobs) var job: String
    @Option(help: "Name the draft.") var name: String?
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(job, in: store)
        guard target.run == nil else { throw ValidationError("a run cannot be copied: name the job") }
        if ServedClient.current != nil {
            // A copy is a new job: of a policy that he may use now, whatever he might when the old one was made.
            _ = try CommandContext.policy(store.document(target.job.uuid).policy.name)
        }
        let copy = try store.copy(
            target.job.uuid, named: try name.map { try JobName($0) }, owner: store.ownerID,
            at: CommandContext.now())
        let job = try store.database.job(copy.uuid)
        if output.json { return try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
        context.say(
            "job \(job.name): a draft of \(counted(copy.batchSize, "run")); "
                + "`cloche job start \(shellWord(job.name.description))` starts it")
    }
}

struct JobEditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "edit", abstract: "Change a job that there is already.",
        discussion: """
            Of a draft everything can be changed but its snapshot and environments; of a job with times to come the \
            schedule and the policy of later batches; of every job its name and its limits, which hold for what `retry` \
            makes again as well.

            Examples:
              cloche job edit nightly --cron '0 3 * * *' --time-zone Europe/Berlin
              cloche job edit sweep --max-parallel 4 --keep 100
              cloche job edit sweep --job-timeout 6h && cloche retry sweep --all
              cloche job edit sweep-2 --parameters other.json --skip 3
            """)

    @Argument(help: "The job.", completion: Completion.jobs) var job: String
    @Option(help: "Name the job.") var name: String?
    @Option(help: "A parameters file in place of the grid.") var parameters: String?
    @Option(help: "Numbers of runs to leave out: 3,5-7.") var skip: String?
    @Option(help: "Numbers of the only runs to make: 3,5-7.") var only: String?
    @Option(name: .customLong("env-var"), help: "Set a variable of every step: NAME=VALUE.") var variables: [String] =
        []
    @Option(help: "What the sandboxes may do: the name of a policy.") var policy: String?
    @Option(help: "End a step after this time: 90s, 15m, 2h; `none` leaves it to the policy.") var timeout: String?
    @Option(help: "How many runs are made at once; 0 leaves it to the command or the service.") var maxParallel: Int?
    @Flag(inversion: .prefixedNo, help: "Skip the runs that are still pending when one has failed.")
    var stopOnFailure: Bool?
    @OptionGroup var timeLimits: TimeLimitOptions
    @OptionGroup var retrying: RetryOptions
    @Option(help: "Remove ended runs but the newest so many; `all` keeps them.") var keep: String?
    @Flag(inversion: .prefixedNo, help: "Of runs that are not kept, remove the files only.") var keepLogs: Bool?
    @OptionGroup var schedule: ScheduleOptions
    @Flag(help: "Make the runs of a draft when it is started.") var noSchedule = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let now = CommandContext.now()
        let edit = try edit(at: now)
        guard !edit.parts.isEmpty else {
            throw ValidationError("name what to change; `cloche job edit --help` lists it")
        }
        let store = try context.openStore()
        let target = try Target(job, in: store)
        guard target.run == nil else { throw ValidationError("a run cannot be changed: name the job") }
        if let policy = edit.policy { context.sayClips(of: policy) }
        try store.edit(target.job.uuid, edit, at: now)
        let job = try store.database.job(target.job.uuid)
        if output.json { return try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
        context.say("job \(job.name): changed")
        if edit.schedule != nil { try ScheduleDescription(job).say(in: context) }
    }

    private func edit(at now: Timestamp) throws -> JobEdit {
        var edit = JobEdit()
        edit.name = try name.map { try JobName($0) }
        edit.parametersFile = parameters.map { FilePath($0) }
        edit.skip = try RunSelection.read(skip, of: "--skip")
        edit.only = try RunSelection.read(only, of: "--only")
        edit.variables = try JobSettings.parsed(variables)
        edit.policy = try policy.map { try CommandContext.policy($0) }
        let kept = try keep.map { $0 == "all" ? nil : try KeepOption.count($0) }
        if maxParallel != 0 { _ = try Parallelism.limit(maxParallel) }
        let stepTime = try TimeLimitOptions.limit(timeout)
        let retries = try retrying.change()
        let times = try timeLimits.change()
        if maxParallel != nil || stopOnFailure != nil || kept != nil || keepLogs != nil || retries != nil
            || times != nil || stepTime != nil
        {
            let (maxParallel, stopOnFailure, keepLogs) = (maxParallel, stopOnFailure, keepLogs)
            edit.limits = { options in
                if let maxParallel { options.maxParallel = maxParallel == 0 ? nil : maxParallel }
                if let stepTime { options.timeoutSeconds = stepTime }
                if let stopOnFailure { options.stopOnFailure = stopOnFailure }
                if let kept { options.keep = kept }
                if let keepLogs { options.keepLogs = keepLogs ? true : nil }
                retries?(&options)
                times?(&options)
            }
        }
        var options = JobOptions()
        edit.limits?(&options)
        if let problem = options.problemOfOption { throw ValidationError(problem) }
        guard !noSchedule || schedule.isEmpty else { throw ValidationError("--no-schedule excludes other times") }
        if noSchedule { edit.schedule = { _ in nil } }
        if !schedule.isEmpty {
            let schedule = schedule
            edit.schedule = { old in try schedule.schedule(from: old, at: now) }
        }
        return edit
    }
}

/// Which failures are followed by another attempt, and when.
struct RetryOptions: ParsableArguments {
    @Option(help: "Make a run that failed so many times more; steps that finished are kept.")
    var retries: Int?
    @Option(help: "Wait so long before the first retry: 30s; twice as long before each further one, an hour at most.")
    var retryDelay: String?
    @Option(help: "Retry after these causes only, of `cloche show`: exit,timeout; by default all but denied.")
    var retryOn: String?

    /// How the options change; nil leaves them.
    func change() throws -> ((inout JobOptions) -> Void)? {
        guard retries != nil || retryDelay != nil || retryOn != nil else { return nil }
        let delay = try retryDelay.map { $0 == "0" ? 0 : try JobSettings.seconds($0) }
        if let delay, delay > RetryRules.longestDelay { throw ValidationError("--retry-delay is at most 1h") }
        let causes = try retryOn.map { try Self.causes($0) }
        let retries = retries
        return { options in
            if let retries { options.retries = retries }
            if let delay { options.retryDelaySeconds = delay }
            if let causes { options.retryOn = causes }
        }
    }

    private static func causes(_ text: String) throws -> [Verdict.Cause] {
        let names = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let known = Verdict.Cause.allCases.filter(RetryRules.possible.contains)
        let causes = try names.map { name in
            guard let cause = known.first(where: { $0.rawValue == name }) else {
                throw ValidationError(
                    "--retry-on: `\(printable(name))` is no failure; there are "
                        + known.map(\.rawValue).joined(separator: ", "))
            }
            return cause
        }
        return known.filter(causes.contains)
    }
}

/// How many ended runs of a job are kept.
enum KeepOption {
    static func count(_ text: String) throws -> Int {
        guard let count = Int(text), (1...10_000_000).contains(count) else {
            throw ValidationError("--keep needs a number of runs from 1 on, not `\(printable(text))`")
        }
        return count
    }
}

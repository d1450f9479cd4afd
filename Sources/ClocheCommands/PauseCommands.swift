import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import TerminalOutput

struct JobPauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Start no more runs of a job; those that run go on to their end.",
        discussion: """
            Examples:
              cloche job pause sweep
            """)

    @Argument(help: "The job.", completion: Completion.jobs) var job: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(job, in: store)
        guard target.run == nil else { throw ValidationError("a run cannot be paused: name the job") }
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        try store.change(target.job.uuid) { document in
            guard try store.database.job(target.job.uuid).state != .paused else {
                throw CommandFailure(
                    .wrongState, "pause the job `\(target.job.name)`: it is paused already",
                    hint: "go on with it by `cloche job resume \(target.reference)`")
            }
            _ = try store.database.apply(.pause, to: target.job.uuid, at: now)
            document.will.paused = now
        }
        let job = try store.database.job(target.job.uuid)
        if output.json { return try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
        let running = job.counts.running
        context.say(
            "job \(job.name): paused, \(counted(job.counts.pending, "run")) left"
                + (running > 0 ? ", \(running) still running" : ""))
    }
}

struct JobResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Go on with a paused job, and follow it to its end.",
        discussion: """
            Examples:
              cloche job resume sweep
            """)

    @Argument(help: "The job.", completion: Completion.jobs) var job: String
    @Option(help: "How many runs are made at once; the service has its own limit.") var maxParallel: Int?
    @OptionGroup var detaching: DetachOption
    @OptionGroup var output: OutputOptions

    func run() throws {
        let limit = try Parallelism.limitOfCommand(maxParallel)
        try detaching.check("resume the job")
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(job, in: store)
        guard target.run == nil else { throw ValidationError("a run cannot be resumed: name the job") }
        try ServedClient.requireUse(ofPolicyOf: target.job.uuid, in: store)
        // A pause in which nothing ran uses none of the job's time.
        try store.database.restartClock(of: target.job.uuid)
        try store.resume(target.job.uuid, at: Timestamp(seconds: Syscall.wallClockSeconds()))
        let job = try store.database.job(target.job.uuid)
        guard job.counts.pending + job.counts.running > 0 else {
            if output.json { return try context.print(Documents.object([("job", Documents.job(job, in: store))])) }
            context.say("job \(job.name): resumed")
            return try ScheduleDescription(job).say(in: context)
        }
        if detaching.detach { return try detaching.handOver(job, context, store, json: output.json) }
        guard try CommandContext.servicePlace().isServed || !JobLock.isHeld(store, job.uuid) else {
            return context.say("job \(job.name): resumed; the process that drives it goes on")
        }
        try JobEnding(context, store, json: output.json).drive(
            job, limit: try limit ?? Parallelism.limit(job.options.maxParallel), showsOutput: false)
    }
}

import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import Runs
import TerminalOutput

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Follow a job, or a run, that another process drives; ends with its result.",
        discussion: """
            Examples:
              cloche job create main.orchest --name sweep --detach
              cloche watch sweep
              cloche watch sweep/7 && echo "it succeeded"
            """)

    @Argument(help: "JOB or JOB/7.", completion: Completion.references) var reference: String

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(reference, in: store)
        try target.requireNoStep("watched")
        var watch = Watch(context, store, target.job)
        while true {
            let job = try store.database.job(target.job.uuid)
            if let address = target.run?.address {
                let run = try store.database.run(address)
                if run.state.isFinal { try watch.end(run) }
                try watch.check(job)
                try watch.show(run)
            } else {
                try watch.tellEnded()
                if job.state.isFinal { try watch.end(job) }
                try watch.check(job)
                try watch.show(job)
            }
            _ = try Syscall.poll([], milliseconds: 200)
        }
    }
}

/// What `watch` shows: on a terminal a block that is repainted, into a pipe a line where something changes.
private struct Watch {
    /// So many running runs are shown with their steps.
    private static let mostRunning = 8

    private let context: CommandContext
    private let store: Store
    private let display: ProgressDisplay
    private let job: JobRecord
    private var told: Set<Int>?
    private var failures = 0
    private var toldOfRoom = false

    init(_ context: CommandContext, _ store: Store, _ job: JobRecord) {
        self.context = context
        self.store = store
        self.job = job
        display = ProgressDisplay(context.streams.error)
    }

    private var styling: Styling { context.streams.error.styling }

    /// Ends where nobody carries the job on.
    func check(_ job: JobRecord) throws {
        if store.isDriven(job) { return }
        display.finish(.clear)
        throw CommandFailure(
            .wrongState, "watch the job `\(job.name)`: no process drives it",
            hint: ScheduleDescription(job).line()
                ?? "go on with it by `\(job.continuation)`")
    }

    /// Says of each run that has failed since the last look why it failed.
    mutating func tellEnded() throws {
        let counts = try store.database.job(job.uuid).counts
        if told != nil, counts.failed == failures { return }
        failures = counts.failed
        let failed = try store.database.outlines(of: job.uuid, states: [.failed]).map(\.number)
        // What had failed before is in the table at the end.
        defer { told = Set(failed) }
        guard let told else { return }
        let new = failed.filter { !told.contains($0) }
        for run in try store.database.runs(of: job.uuid, numbers: Array(new.prefix(20))) {
            let label = run.parameters.label.isEmpty ? "" : "  " + printable(run.parameters.label)
            display.log("\(styling.state(run.state.rawValue))  run \(run.address.number)\(label)\n")
            display.log("    \(printable(run.verdict?.summary ?? ""))\n")
        }
        if new.count > 20 { display.log("and \(new.count - 20) more runs failed\n") }
    }

    mutating func show(_ job: JobRecord) throws {
        let counts = job.counts
        let size = counts.pending > 0 ? StoreSize.stored(in: store.path) : nil
        let waits = size?.isExceeded ?? false
        if waits, !toldOfRoom, let size { display.log("its runs wait: \(size.excess)\nhint: \(StoreSize.remedy)\n") }
        toldOfRoom = waits
        let line =
            "\(styling.apply(.bold, to: printable(job.name.description)))  "
            + "\(progressBar(done: counts.ended, total: counts.total))  "
            + countsLine(
                [("running", counts.running), ("succeeded", counts.succeeded), ("failed", counts.failed)],
                styling: styling)
        guard context.streams.error.movesCursor else { return display.update(lines: [line]) }
        let estimate = try JobSummary(store, job).estimate()
        let left = estimate.map { "  about \(elapsedTime(.seconds($0.remaining))) left" } ?? ""
        var lines = [line + left]
        let running = try store.database.runs(of: job.uuid, states: [.running], limit: Self.mostRunning + 1)
        let now = Syscall.wallClockSeconds()
        for run in running.prefix(Self.mostRunning) {
            let steps = try store.database.steps(of: run.address).filter { $0.state == .running }
            let names = steps.map { step in
                let seconds = max(0, now - (step.started?.seconds ?? now))
                return "\(printable(step.title)) \(elapsedTime(.seconds(seconds)))"
            }
            let label = run.parameters.label.isEmpty ? "" : "  " + printable(run.parameters.label)
            lines.append(
                "  run \(run.address.number)  \(names.isEmpty ? "starting" : names.joined(separator: ", "))\(label)")
        }
        if running.count > Self.mostRunning { lines.append("  and \(counts.running - Self.mostRunning) more") }
        display.update(lines: lines)
    }

    func show(_ run: RunRecord) throws {
        let steps = try store.database.steps(of: run.address)
        let parents = (try? store.runDirectory(run.address).spec())?.steps.map { ($0.uuid, $0.parents) } ?? []
        let tree = StepTree(steps, parents: Dictionary(parents) { first, _ in first }, unicode: styling.unicode)
        let now = Syscall.wallClockSeconds()
        let head =
            "\(styling.apply(.bold, to: "\(printable(job.name.description))/\(run.address.number)"))  "
            + styling.state(run.state.rawValue)
        let lines = tree.lines.map { line in
            let step = line.step
            let seconds = step.started.map { max(0, (step.finished?.seconds ?? now) - $0.seconds) }
            let time = seconds.map { "  " + elapsedTime(.seconds($0)) } ?? ""
            return "  \(line.branch)\(printable(step.title))  \(styling.state(step.state.rawValue))\(time)"
        }
        let plain = steps.filter { $0.state == .running }.map { printable($0.title) }.joined(separator: ", ")
        display.update(lines: [head] + lines, plain: "\(head)\(plain.isEmpty ? "" : "  \(plain)")")
    }

    /// Prints the result of a run, and ends with its exit code.
    func end(_ run: RunRecord) throws -> Never {
        display.finish(.clear)
        context.say("\(styling.state(run.state.rawValue))  \(printable(run.verdict?.summary ?? ""))")
        if let remedy = run.verdict?.remedy { context.say("hint: \(printable(remedy))") }
        let tail = JobSummary.lastLines(of: run.address, in: store, count: 10, styling: styling)
        if !tail.isEmpty { context.say(String(tail.dropLast())) }
        let status: ExitStatus = run.verdict?.cause == .timeout ? .timedOut : .failed
        throw ExitCode(run.state == .succeeded ? 0 : run.state == .cancelled ? 2 : status.rawValue)
    }

    /// Prints the result of a job, and ends with its exit code.
    func end(_ job: JobRecord) throws -> Never {
        display.finish(.clear)
        let runs = try store.database.runs(of: job.uuid, limit: RunTable.mostRows)
        try context.print(RunTable(store, job).table(runs))
        let summary = try JobSummary(store, job)
        context.say(summary.counts)
        let failures = try summary.failures(styling: styling)
        if !failures.isEmpty { context.say(String(failures.dropLast())) }
        throw ExitCode(JobExit.code(job.counts, runs, isTimedOut: job.timedOut != nil))
    }
}

import ArgumentParser
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import PlainText
import Runs
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// Carries a job to its end and shows it: a repainted display on a terminal, plain lines elsewhere.
///
/// Where a service serves the store, the service drives the job and this follows it; else this process drives it.
final class JobFollower {
    private struct Step {
        var title: String
        var started: Double
        var log: FilePath
        var offset: Int64 = 0
        var sanitizer: LogSanitizer
    }

    private let context: CommandContext
    private let store: Store
    private let job: JobRecord
    private let showsOutput: Bool
    private let loop = EventLoop()
    private let display: ProgressDisplay
    private let started = Syscall.monotonicSeconds()
    private var running: [Int: [String: Step]] = [:]
    private var titles: [String: String] = [:]
    private var ended: [RunState: Int] = [:]
    private var interruptions = 0

    /// `showsOutput` prints what steps print, as it comes.
    init(_ context: CommandContext, _ store: Store, _ job: JobRecord, showsOutput: Bool) {
        self.context = context
        self.store = store
        self.job = job
        self.showsOutput = showsOutput
        display = ProgressDisplay(context.streams.error)
    }

    /// Gives the job as it is when nothing is left to do; `only` are the runs that are asked for, nil is all.
    func drive(limit: Int, only: RunNumbers? = nil) throws -> JobRecord {
        let signals = try Syscall.signalDescriptor([SIGINT, SIGTERM, SIGHUP]).release()
        let driver = try driver(limit: limit, only: only)
        loop.watch(signals) {
            while let signal = Syscall.nextSignal(signals) { self.stop(driver, signal) }
        }
        repaintLater()
        try driver.run()
        let record = try store.database.job(job.uuid)
        for number in Array(running.keys) { endLogs(of: number) }
        display.finish(.clear)
        loop.unwatch(signals)
        switch stopSignal {
        case nil where record.state == .paused:
            context.say("the job is paused; go on with it by `cloche job resume \(shellWord(record.name.description))`")
        case SIGINT where record.next != nil:
            context.say(
                "the runs were cancelled; the schedule goes on until `cloche cancel \(shellWord(record.name.description))`"
            )
        case SIGINT: context.say("the job was cancelled")
        case .some where !record.state.isFinal && driver is FollowedJob:
            context.say(
                "the service goes on with the job; follow it by `cloche watch \(shellWord(record.name.description))`")
        case .some where !record.state.isFinal:
            context.say(
                "the job was interrupted; go on with it by `cloche job start \(shellWord(record.name.description))`")
        default: break
        }
        return record
    }

    /// How the runs ended that it drove, and how many of the job are left.
    func counts(in job: JobRecord) -> JobCounts {
        var counts = JobCounts(pending: job.counts.pending)
        for (state, count) in ended { counts[state] = count }
        return counts
    }

    /// The first signal that ended it before its time.
    private(set) var stopSignal: CInt?

    private func driver(limit: Int, only: RunNumbers?) throws -> any JobDriver {
        if let followed = try followed(only) { return followed }
        // For a client the service alone makes runs: it keeps the places that all users share.
        if ServedClient.current != nil {
            _ = try ServiceClient.require(CommandContext.servicePlace(), for: "drive the job")
        }
        do {
            return try JobEngine(store, job: job.uuid, limit: limit, loop: loop) { self.notice($0) }
        } catch {
            // A service that has just begun may have been faster.
            if let followed = try followed(only) { return followed }
            guard JobLock.isHeld(store, job.uuid) else { throw error }
            throw CommandFailure(
                .busy, "drive the job `\(job.name)`: another process is driving it",
                hint: "follow it by `cloche watch \(shellWord(job.name.description))`")
        }
    }

    private func followed(_ only: RunNumbers?) throws -> FollowedJob? {
        let place = try CommandContext.servicePlace()
        guard let client = try ServiceClient.connect(place) else { return nil }
        return FollowedJob(
            store, place: place, job: job.uuid, handedOver: only, client: client, loop: loop
        ) { self.notice($0) }
    }

    private func stop(_ driver: any JobDriver, _ signal: CInt) {
        if stopSignal == nil { stopSignal = signal }
        // Who shuts the machine down, or closes the terminal, does not want the job gone.
        if signal != SIGINT { return driver.interrupt() }
        interruptions += 1
        if interruptions == 1 {
            display.log("stopping: running steps get a few seconds; press Ctrl-C again to force\n")
            driver.cancel(job.uuid, force: false)
        } else {
            driver.cancel(job.uuid, force: true)
        }
    }

    private func notice(_ notice: JobEngine.Notice) {
        switch notice {
        case .runStarted(let run, _, _):
            running[run.number] = [:]
            if titles.isEmpty, let spec = try? store.runDirectory(run).spec() {
                for step in spec.steps { titles[step.uuid] = step.name }
            }
        case .event(let run, let event): apply(event, run)
        case .trouble(_, let text): display.log("problem: \(printable(text)); it is tried again\n")
        case .runEnded(let run):
            endLogs(of: run.address.number)
            running[run.address.number] = nil
            if run.state == .pending, stopSignal == nil {
                let verdict = store.runDirectory(run.address).latestAttempt()?.verdict()
                let cause = verdict.map { ": \(printable($0.summary))" } ?? ""
                let wait = run.notBefore.map { max(0, $0.seconds - Syscall.wallClockSeconds()) }
                let later = wait.map { " in \(humanDuration(.seconds($0)))" } ?? ""
                display.log("run \(run.address.number) is made once more\(later)\(cause)\n")
            } else {
                ended[run.state, default: 0] += 1
                if job.counts.total > 1 { tell(run) }
            }
        }
        repaint()
    }

    private func apply(_ event: RunEvent, _ run: RunAddress) {
        switch event.occurrence {
        case .stepStarted(let uuid):
            let title = titles[uuid] ?? uuid
            guard let attempt = store.runDirectory(run).latestAttempt() else { return }
            let styling = context.streams.error.styling
            running[run.number]?[uuid] = Step(
                title: title, started: Syscall.monotonicSeconds(), log: attempt.logPath(step: uuid),
                sanitizer: LogSanitizer(colours: styling.colours, prefix: "\(title) | ", prefixStyle: .dim))
        case .stepEnded(let uuid, let verdict, let usage):
            endLogs(of: run.number, steps: [uuid])
            guard job.counts.total == 1, ![.dependencyFailed, .interrupted].contains(verdict.cause) else { return }
            let state = RunState(after: verdict.cause).rawValue
            let time = usage?.wallSeconds.map { "  " + humanDuration(.seconds($0)) } ?? ""
            let title = printable(titles[uuid] ?? uuid)
            display.log("\(context.streams.error.styling.state(state))  \(title)\(time)\n")
        case .keeping(.kept(let kept)):
            guard job.counts.total == 1 || showsOutput else { return }
            display.log("kept  \(printable(titles[kept.step] ?? kept.step))  (attempt \(kept.attempt))\n")
        case .keeping, .runStarted, .runEnded: break
        }
    }

    private func tell(_ run: RunRecord) {
        let styling = context.streams.error.styling
        let label = run.parameters.label.isEmpty ? "" : "  " + run.parameters.label
        display.log("\(styling.state(run.state.rawValue))  run \(run.address.number)\(label)\n")
        guard run.state == .failed, let verdict = run.verdict else { return }
        display.log("    \(printable(verdict.summary))\n")
        if let remedy = verdict.remedy { display.log("    hint: \(printable(remedy))\n") }
    }

    private func readLogs() {
        guard showsOutput else { return }
        for (number, steps) in running {
            for (uuid, step) in steps {
                var step = step
                if let text = Self.next(&step) { display.log(sanitized: text) }
                running[number]?[uuid] = step
            }
        }
    }

    /// Shows the logs of steps to their ends, last lines without a break too, and forgets the steps; nil is all.
    private func endLogs(of run: Int, steps: [String]? = nil) {
        readLogs()
        for uuid in steps ?? Array(running[run, default: [:]].keys) {
            guard var step = running[run]?.removeValue(forKey: uuid), showsOutput else { continue }
            display.log(sanitized: step.sanitizer.finish())
        }
    }

    private static func next(_ step: inout Step) -> String? {
        guard let file = try? Syscall.open(step.log, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return nil }
        _ = lseek(file.number, off_t(step.offset), SEEK_SET)
        var text = ""
        while let bytes = try? Syscall.read(file.number, upTo: 65536), !bytes.isEmpty {
            step.offset += Int64(bytes.count)
            text += step.sanitizer.feed(bytes)
        }
        return text
    }

    private func repaintLater() {
        loop.after(0.1) {
            self.readLogs()
            self.repaint()
            self.display.tick()
            self.repaintLater()
        }
    }

    private func repaint() {
        guard context.streams.error.movesCursor else { return }
        let styling = context.streams.error.styling
        let total = job.counts.pending + job.counts.running
        let done = ended.values.reduce(0, +)
        let elapsed = Duration.seconds(Syscall.monotonicSeconds() - started)
        var lines = [
            "\(spinner(at: elapsed, styling: styling)) \(styling.apply(.bold, to: job.name.description))  "
                + "\(progressBar(done: done, total: total))  \(elapsedTime(elapsed))"
        ]
        if ended[.failed, default: 0] > 0 { lines[0] += "  \(ended[.failed, default: 0]) failed" }
        for (number, steps) in running.sorted(by: { $0.key < $1.key }).prefix(8) {
            let now = Syscall.monotonicSeconds()
            let texts = steps.values.sorted { $0.started < $1.started }.map {
                "\(printable($0.title)) \(elapsedTime(.seconds(now - $0.started)))"
            }
            lines.append("  run \(number)  " + (texts.isEmpty ? "starting" : texts.joined(separator: ", ")))
        }
        display.update(lines: lines)
    }
}

/// What a job's end means for the exit code.
enum JobExit {
    /// Of runs so many of which are in each state; a signal that ended it comes first.
    ///
    /// Then the time of the job that was over: `isTimedOut`, or where its schedule goes on a verdict that says so.
    static func code(
        _ counts: JobCounts, _ runs: [RunRecord], _ stopSignal: CInt? = nil, isTimedOut: Bool = false
    ) -> Int32 {
        if let stopSignal { return 128 + stopSignal }
        if isTimedOut || runs.contains(where: { $0.verdict.map(TimeLimit.job.isNamed) ?? false }) {
            return ExitStatus.timedOut.rawValue
        }
        // Paused: what is asked for is not done.
        if counts.pending > 0 { return ExitStatus.tryAgain.rawValue }
        if counts.failed == 0 { return counts.cancelled > 0 ? ExitStatus.cancelled.rawValue : 0 }
        if counts.succeeded > 0 { return ExitStatus.partlyFailed.rawValue }
        if counts.total == 1, let cause = runs.first?.verdict?.cause {
            if cause == .timeout { return ExitStatus.timedOut.rawValue }
            if cause == .setup { return ExitStatus.sandboxSetup.rawValue }
        }
        return ExitStatus.failed.rawValue
    }
}

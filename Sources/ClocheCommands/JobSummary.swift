import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import TerminalOutput

/// What a person asks first of a job: how far it is, how long it will take, what failed and what the failures share.
struct JobSummary {
    /// So many failed and so many succeeded runs are compared.
    private static let mostCompared = 300

    private let store: Store
    private let job: JobRecord
    private let history: JobHistory

    init(_ store: Store, _ job: JobRecord) throws {
        self.store = store
        self.job = job
        history = try store.database.history(of: job.uuid)
    }

    /// `37 of 100 ended: 35 succeeded, 2 failed; 4 running, 59 pending`; of a job without runs, how many it will have.
    var counts: String {
        let counts = job.counts
        if counts.total == 0, !job.state.isFinal, let size = job.batchSize {
            let time = job.schedule.map { $0.isRecurring ? "each time" : "at its time" } ?? "when it is started"
            return "none yet, \(size) \(time)"
        }
        func named(_ states: [RunState]) -> String {
            states.filter { counts[$0] > 0 }.map { "\(counts[$0]) \($0.rawValue)" }.joined(separator: ", ")
        }
        let ended = named([.succeeded, .failed, .cancelled, .skipped]), rest = named([.running, .pending])
        var text = "\(counts.ended) of \(counts.total) ended"
        if !ended.isEmpty { text += ": \(ended)" }
        if !rest.isEmpty { text += "; \(rest)" }
        return text + (job.removed > 0 ? "; \(job.removed) removed" : "")
    }

    /// How long the rest will take; nil where nothing tells, or nobody makes it.
    func estimate() throws -> JobEstimate? {
        guard !job.state.isFinal, JobLock.isHeld(store, job.uuid) else { return nil }
        let now = Syscall.wallClockSeconds()
        let running = try store.database.runs(of: job.uuid, states: [.running], limit: 10_000)
        return JobEstimate(
            finished: history.seconds, running: running.map { max(0, now - ($0.started?.seconds ?? now)) },
            pending: job.counts.pending, parallel: max(running.count, job.options.maxParallel ?? 1))
    }

    /// What failed: reasons with their runs, parameters that the failures share, the last lines of the first.
    func failures(styling: Styling) throws -> String {
        guard let first = history.failures.first else { return "" }
        var text = styling.apply(.bold, to: "failed") + "\n"
        for failure in history.failures {
            let runs = failure.runs
            let shown = Self.shortened(runs)
            text += "  \(counted(runs.count, "run")): \(printable(failure.summary))  (\(shown))\n"
        }
        if job.counts.failed > JobHistory.mostFailures {
            text += "  of the first \(JobHistory.mostFailures) of \(job.counts.failed) failed runs\n"
        }
        for sentence in try contrasts() { text += "  \(sentence)\n" }
        guard let number = first.runs.ranges.first?.lowerBound else { return text }
        let lines = Self.lastLines(of: RunAddress(job: job.uuid, number: number), in: store, count: 8, styling: styling)
        return lines.isEmpty ? text : text + "  the end of run \(number):\n" + lines
    }

    /// The ends of the logs of a run's failed steps.
    static func lastLines(of run: RunAddress, in store: Store, count: Int, styling: Styling) -> String {
        guard let attempt = store.runDirectory(run).latestAttempt(), let steps = try? store.database.steps(of: run)
        else {
            return ""
        }
        let failed = steps.filter { $0.state == .failed }
        return failed.prefix(3).map { step in
            LogTail.lines(
                attempt.logPath(step: step.uuid), count: count, prefix: "  \(step.title) | ", styling: styling)
        }.joined()
    }

    private func contrasts() throws -> [String] {
        guard job.counts.failed > 0, job.counts.succeeded > 0 else { return [] }
        let outlines = try [RunState.failed, .succeeded].flatMap {
            try store.database.outlines(of: job.uuid, states: [$0], limit: Self.mostCompared)
        }
        let sheet = RunSheet(
            outlines, titles: StepTitles.of(job, in: store), now: Timestamp(seconds: Syscall.wallClockSeconds()))
        return sheet.contrasts().prefix(3).map { contrast in
            let name = printable(sheet.name(contrast.parameter))
            func bound(_ values: [JSONValue], _ greatest: Bool) -> String {
                let numbers = values.compactMap { value -> JSONNumber? in
                    if case .number(let number) = value { number } else { nil }
                }
                let sorted = numbers.sorted { $0.doubleValue < $1.doubleValue }
                return (greatest ? sorted.last : sorted.first)?.literal ?? ""
            }
            if contrast.failed.count > 1 || contrast.succeeded.count > 3, let isAbove = contrast.isAbove {
                return isAbove
                    ? "failed runs have \(name) from \(bound(contrast.failed, false)) on, succeeded ones up to \(bound(contrast.succeeded, true))"
                    : "failed runs have \(name) up to \(bound(contrast.failed, true)), succeeded ones from \(bound(contrast.succeeded, false)) on"
            }
            let values = contrast.failed.map { Pipelines.RunParameters.shown($0) }.joined(separator: " or ")
            return "every failed run has \(name)=\(values), and no succeeded one"
        }
    }

    private static func shortened(_ runs: RunNumbers) -> String {
        let ranges = runs.description.split(separator: ",")
        return ranges.count <= 6 ? runs.description : ranges.prefix(6).joined(separator: ",") + ",…"
    }
}

import Isolation
import Pipelines
import PlainText
import SandboxRuntime

/// A limit that ended a whole run, and what was going on then.
struct EarlyEnd {
    private enum Limit {
        case time(TimeLimit, seconds: Double?)
        case disk(DiskExcess)
    }

    private let limit: Limit
    private let taken: Double
    private let running: [String]
    private let notStarted: Int

    /// Nil where the run is ended for another reason; `running` are titles of steps, and `taken` is in seconds.
    init?(
        _ reason: SandboxReport.Intervention, _ excess: DiskExcess?, of spec: RunSpec, after taken: Double,
        running: [String], notStarted: Int
    ) {
        switch (reason, excess) {
        case (.runTimeLimit, _): limit = .time(.run, seconds: spec.runTimeoutSeconds)
        case (.jobTimeLimit, _): limit = .time(.job, seconds: spec.jobTimeoutSeconds)
        case (.userLimit, let excess?): limit = .disk(excess)
        default: return nil
        }
        self.taken = taken
        self.running = running.map { printable($0) }
        self.notStarted = notStarted
    }

    /// The verdict of the run.
    var verdict: Verdict {
        switch limit {
        case .time(let limit, let seconds):
            let size = seconds.map { " of \(TimeLimit.text($0))" } ?? ""
            return Verdict(
                .timeout,
                "the run was ended at \(limit == .run ? "its" : "its job's") time limit\(size)\(whileRunning)",
                detail: detail(limit.detail(seconds)), remedy: limit.remedy)
        case .disk(let excess):
            return Verdict(
                .diskFull, "the run was ended\(whileRunning): \(excess.summary)", detail: detail(excess.detail),
                remedy: DiskExcess.remedy)
        }
    }

    private var whileRunning: String {
        guard let first = running.first else { return "" }
        return ", while \(running.count == 1 ? "step `\(first)`" : "\(running.count) steps") ran"
    }

    private func detail(_ facts: [String: Verdict.Fact]) -> [String: Verdict.Fact] {
        var detail = facts
        detail["seconds"] = .number((taken * 1000).rounded() / 1000)
        detail["running"] = .list(running)
        detail["not_started"] = .integer(Int64(notStarted))
        return detail
    }

    /// The verdict of a step that was waiting.
    func verdict(ofWaiting step: String) -> Verdict {
        let reason =
            switch limit {
            case .time(let limit, _): "the time of its \(limit == .run ? "run" : "job") was over"
            case .disk(let excess): excess.summary
            }
        return Verdict(.dependencyFailed, "step `\(printable(step))` was not started: \(reason)")
    }
}

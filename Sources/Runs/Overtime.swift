import Isolation
import Pipelines
import PlainText
import SandboxRuntime

/// A limit of time that ended a run, and what was going on then.
struct Overtime {
    private let limit: TimeLimit
    private let seconds: Double?
    private let taken: Double
    private let running: [String]
    private let notStarted: Int

    /// Nil where the run is ended for another reason; `running` are titles of steps, and `taken` is in seconds.
    init?(
        _ reason: SandboxReport.Intervention, of spec: RunSpec, after taken: Double, running: [String], notStarted: Int
    ) {
        switch reason {
        case .runTimeLimit: (limit, seconds) = (.run, spec.runTimeoutSeconds)
        case .jobTimeLimit: (limit, seconds) = (.job, spec.jobTimeoutSeconds)
        default: return nil
        }
        self.taken = taken
        self.running = running.map { printable($0) }
        self.notStarted = notStarted
    }

    /// The verdict of the run.
    var verdict: Verdict {
        var detail = limit.detail(seconds)
        detail["seconds"] = .number((taken * 1000).rounded() / 1000)
        detail["running"] = .list(running)
        detail["not_started"] = .integer(Int64(notStarted))
        var summary = "the run was ended at \(limit == .run ? "its" : "its job's") time limit"
        if let seconds { summary += " of \(TimeLimit.text(seconds))" }
        if let first = running.first {
            summary += ", while " + (running.count == 1 ? "step `\(first)`" : "\(running.count) steps") + " ran"
        }
        return Verdict(.timeout, summary, detail: detail, remedy: limit.remedy)
    }

    /// The verdict of a step that was waiting.
    func verdict(ofWaiting step: String) -> Verdict {
        Verdict(
            .dependencyFailed,
            "step `\(printable(step))` was not started: the time of its \(limit == .run ? "run" : "job") was over")
    }
}

/// The limits of time of a run and of a job, as verdicts tell of them.
package enum TimeLimit: String, Sendable, Hashable {
    /// Of one attempt at a run.
    case run = "run_timeout"
    /// Of a job, which ends all its runs.
    case job = "job_timeout"

    /// The facts for a verdict's detail; `seconds` is the limit.
    package func detail(_ seconds: Double?) -> [String: Verdict.Fact] {
        var detail: [String: Verdict.Fact] = ["limit": .text(rawValue)]
        if let seconds { detail["limit_seconds"] = .number(seconds) }
        return detail
    }

    /// What to do about a run that it ended.
    package var remedy: String {
        switch self {
        case .run: "give runs longer by `--run-timeout`, which `cloche job edit` takes as well, or less to do"
        case .job: "give the job longer by `cloche job edit --job-timeout`; `cloche retry --all` makes what is missing"
        }
    }

    /// Whether a verdict tells that this limit was reached.
    package func isNamed(by verdict: Verdict) -> Bool { verdict.detail["limit"] == .text(rawValue) }

    /// The verdict of a run that was waiting when the time of its job, that many seconds, was over.
    ///
    /// `wasBegun` is one of which an attempt was interrupted.
    package static func verdict(ofWaitingFor seconds: Double?, wasBegun: Bool = false) -> Verdict {
        Verdict(
            .cancelled,
            "the time limit\(seconds.map { " of \(text($0))" } ?? "") of the job was over before the run "
                + (wasBegun ? "went on" : "started"),
            detail: job.detail(seconds), remedy: job.remedy)
    }

    /// A time as verdicts tell it: `90 s`.
    package static func text(_ seconds: Double) -> String {
        seconds == seconds.rounded() ? "\(Int64(seconds)) s" : "\(seconds) s"
    }
}

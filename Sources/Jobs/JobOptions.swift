package import Isolation

/// What the author of a job asked for beside its runs.
package struct JobOptions: Sendable, Hashable, Codable {
    /// How many of its runs may go on at once; nil leaves it to the engine.
    package var maxParallel: Int?
    /// How long one step may take, in seconds; nil is as long as its policy allows.
    package var timeoutSeconds: Double?
    /// How long one attempt at a run may take, in seconds; nil is for ever.
    package var runTimeoutSeconds: Double?
    /// How long the job may go on without having nothing to do, in seconds; nil is for ever.
    ///
    /// Counted from the start of its first run; of a job with a schedule anew after each time that all its runs have ended.
    package var jobTimeoutSeconds: Double?
    /// Whether runs that have not started are skipped once one has failed.
    package var stopOnFailure = false
    /// How many failed attempts at a run are followed by another one.
    package var retries = 0
    /// How long a failed run waits for its first retry, in seconds; every further one waits twice as long.
    package var retryDelaySeconds: Double?
    /// The causes of failures that are followed by a retry; nil is `RetryRules.usual`.
    package var retryOn: [Verdict.Cause]?
    /// How many of the newest ended runs are kept; nil keeps all.
    package var keep: Int?
    /// Whether runs that are not kept lose their files only: logs, verdicts, metrics and usage stay; nil is no.
    package var keepLogs: Bool?
    /// Whether what the steps do is recorded; nil is not.
    package var isRecorded: Bool?

    /// The defaults.
    package init() {}

    /// The first value that is out of its range, in words; nil when all are fine.
    package var problem: String? { fault.map { "`\($0.key)` is not \($0.range)" } }

    /// The same, for who gave it as an option of a command.
    package var problemOfOption: String? {
        fault.map { fault in
            let words = fault.key.split(separator: "_").filter { $0 != "seconds" }
            return "--\(words.joined(separator: "-")) is not \(fault.range)"
        }
    }

    private var fault: (key: String, range: String)? {
        if let maxParallel, !(1...10_000).contains(maxParallel) { return ("max_parallel", "1 to 10,000") }
        for (name, value) in [
            ("timeout_seconds", timeoutSeconds), ("run_timeout_seconds", runTimeoutSeconds),
            ("job_timeout_seconds", jobTimeoutSeconds),
        ] {
            if let value, !(value > 0 && value <= 1e9) { return (name, "above 0 and at most 1,000,000,000 seconds") }
        }
        if !(0...1000).contains(retries) { return ("retries", "0 to 1,000") }
        if let retryDelaySeconds, !(retryDelaySeconds >= 0 && retryDelaySeconds <= RetryRules.longestDelay) {
            return ("retry_delay_seconds", "0 to \(Int(RetryRules.longestDelay)) seconds")
        }
        if let retryOn, !Set(retryOn).isSubset(of: RetryRules.possible) {
            return ("retry_on", "made of causes that are failures")
        }
        if let keep, !(0...10_000_000).contains(keep) { return ("keep", "0 to 10,000,000") }
        return nil
    }

    private enum CodingKeys: String, CodingKey {
        case maxParallel = "max_parallel"
        case timeoutSeconds = "timeout_seconds"
        case runTimeoutSeconds = "run_timeout_seconds"
        case jobTimeoutSeconds = "job_timeout_seconds"
        case stopOnFailure = "stop_on_failure"
        case retryDelaySeconds = "retry_delay_seconds"
        case retryOn = "retry_on"
        case keepLogs = "keep_logs"
        case retries, keep
        case isRecorded = "recorded"
    }
}

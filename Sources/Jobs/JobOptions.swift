package import Isolation

/// What the author of a job asked for beside its runs.
package struct JobOptions: Sendable, Hashable, Codable {
    /// How many of its runs may go on at once; nil leaves it to the engine.
    package var maxParallel: Int?
    /// How long one run may take, in seconds; nil is as long as its policy allows.
    package var timeoutSeconds: Double?
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

    /// The defaults.
    package init() {}

    /// The first value that is out of its range, in words; nil when all are fine.
    package var problem: String? {
        if let maxParallel, !(1...10_000).contains(maxParallel) { return "`max_parallel` is not 1 to 10,000" }
        if let timeoutSeconds, !(timeoutSeconds > 0 && timeoutSeconds <= 1e9) {
            return "`timeout_seconds` is not above 0 and at most 1,000,000,000"
        }
        if !(0...1000).contains(retries) { return "`retries` is not 0 to 1,000" }
        if let retryDelaySeconds, !(retryDelaySeconds >= 0 && retryDelaySeconds <= RetryRules.longestDelay) {
            return "`retry_delay_seconds` is not 0 to \(Int(RetryRules.longestDelay))"
        }
        if let retryOn, !Set(retryOn).isSubset(of: RetryRules.possible) {
            return "`retry_on` names a cause that is no failure"
        }
        if let keep, !(0...10_000_000).contains(keep) { return "`keep` is not 0 to 10,000,000" }
        return nil
    }

    private enum CodingKeys: String, CodingKey {
        case maxParallel = "max_parallel"
        case timeoutSeconds = "timeout_seconds"
        case stopOnFailure = "stop_on_failure"
        case retryDelaySeconds = "retry_delay_seconds"
        case retryOn = "retry_on"
        case retries, keep
    }
}

package import Isolation

/// Which failures are followed by another attempt at a run by itself, and when.
package enum RetryRules {
    /// Every cause that is a failure.
    package static let possible = Set(Verdict.Cause.allCases.filter { RunState(after: $0) == .failed })
    /// The failures that are retried where the author names none: all but those that would only be refused again.
    package static let usual = possible.subtracting([.denied])
    /// The longest time between two attempts, in seconds.
    package static let longestDelay: Double = 3600
}

extension JobOptions {
    /// How many failed attempts are followed by another one, after one that ended with `cause`.
    package func retries(after cause: Verdict.Cause) -> Int {
        (retryOn?.contains(cause) ?? RetryRules.usual.contains(cause)) ? retries : 0
    }

    /// When the attempt after so many failed ones may begin, of which the last ended at `time`; nil is at once.
    ///
    /// The first retry waits for the delay that was asked for; each further one twice as long, an hour at most.
    package func retryTime(failures: Int, at time: Timestamp) -> Timestamp? {
        guard failures > 0, let delay = retryDelaySeconds, delay > 0 else { return nil }
        var seconds = delay
        for _ in 1..<max(failures, 1) where seconds < RetryRules.longestDelay { seconds *= 2 }
        return Timestamp(seconds: time.seconds + min(seconds, RetryRules.longestDelay))
    }
}

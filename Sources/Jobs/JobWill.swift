package import Isolation

/// What was asked of a job after it was made; with the run directories this tells the state of the job.
package struct JobWill: Sendable, Hashable, Codable {
    /// When it was said to be executed; nil is a draft.
    package var confirmed: Timestamp?
    /// When it was paused; nil is not paused.
    package var paused: Timestamp?
    /// When it was cancelled; nil is not cancelled.
    package var cancelled: Timestamp?
    /// When its time was over, which cancelled it as well; nil is never.
    package var timedOut: Timestamp?
    /// The runs that were cancelled one by one, and not retried since.
    package var cancelledRuns: RunNumbers
    /// The runs that were deleted, by the state in which they had ended: they are never made again.
    package var removedRuns: [RunState: RunNumbers]

    /// The will to execute a job from `confirmed` on; nil is a draft.
    package init(confirmed: Timestamp?) {
        self.confirmed = confirmed
        cancelledRuns = RunNumbers()
        removedRuns = [:]
    }

    /// All runs that were deleted.
    package var removed: RunNumbers {
        removedRuns.values.reduce(RunNumbers()) { $0.union($1) }
    }

    /// Notes that these runs, which had ended in `state`, were deleted.
    package mutating func remove(_ runs: RunNumbers, endedAs state: RunState) {
        removedRuns[state] = (removedRuns[state] ?? RunNumbers()).union(runs)
        cancelledRuns = cancelledRuns.subtracting(runs)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        // Written even when there is none: readers may rely on the keys.
        try container.encode(confirmed, forKey: .confirmed)
        try container.encode(paused, forKey: .paused)
        try container.encode(cancelled, forKey: .cancelled)
        try container.encodeIfPresent(timedOut, forKey: .timedOut)
        try container.encode(cancelledRuns, forKey: .cancelledRuns)
        try container.encode(removedRuns, forKey: .removedRuns)
    }

    private enum CodingKeys: String, CodingKey {
        case confirmed, paused, cancelled
        case timedOut = "timed_out"
        case cancelledRuns = "cancelled_runs"
        case removedRuns = "removed_runs"
    }
}

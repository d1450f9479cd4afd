/// How many runs a job has in each state, over its whole life: runs that were deleted after their end still count.
package struct JobCounts: Sendable, Hashable, Codable {
    /// Runs that wait.
    package var pending = 0
    /// Runs with an attempt being made.
    package var running = 0
    /// Runs that did what they should.
    package var succeeded = 0
    /// Runs that did not.
    package var failed = 0
    /// Runs that were stopped or kept from starting.
    package var cancelled = 0
    /// Runs that never started because something before them failed.
    package var skipped = 0

    /// No runs at all.
    package init() {}

    /// So many runs that wait.
    package init(pending: Int) {
        self.pending = pending
    }

    /// So many of these runs as are in each state.
    package init(of runs: some Sequence<RunRecord>) {
        for run in runs { self[run.state] += 1 }
    }

    /// All runs.
    package var total: Int { pending + running + ended }

    /// Runs that have ended.
    package var ended: Int { succeeded + failed + cancelled + skipped }

    /// How many runs are in `state`.
    package subscript(state: RunState) -> Int {
        get {
            switch state {
            case .pending: pending
            case .running: running
            case .succeeded: succeeded
            case .failed: failed
            case .cancelled: cancelled
            case .skipped: skipped
            }
        }
        set {
            switch state {
            case .pending: pending = newValue
            case .running: running = newValue
            case .succeeded: succeeded = newValue
            case .failed: failed = newValue
            case .cancelled: cancelled = newValue
            case .skipped: skipped = newValue
            }
        }
    }

    /// One run leaves `old` for `new`.
    package mutating func move(from old: RunState, to new: RunState) {
        self[old] -= 1
        self[new] += 1
    }
}

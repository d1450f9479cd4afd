package import Isolation

/// The life of one run as a value: changes in, the new state or a refusal out.
///
/// ```
/// pending -start-> running -end-> succeeded | failed | cancelled | skipped
///    ^  \                |
///    |   cancel          +- interrupted, or failed with retries left: pending again
///    +---- retry, from every end but `succeeded`
/// ```
///
/// One that waits for another attempt, after one that failed, is `failed` again when it ends as it waits.
package struct RunLifecycle: Sendable, Hashable {
    /// So many attempts that ended without a word from their supervisor are the last, whatever retries are left: the
    /// run may well be what ends its supervisors.
    package static let mostLosses = 2

    /// Where the run is.
    package private(set) var state: RunState
    /// Whether somebody has asked for its end.
    package private(set) var isCancelled: Bool
    /// How many attempts failed, since the last retry that somebody asked for.
    package private(set) var failures: Int
    /// How many of these were lost with their supervisor.
    package private(set) var losses: Int

    /// Whether it waits for another attempt, or makes one, after one that failed.
    package private(set) var hasFailed: Bool

    /// A run in that state.
    package init(
        state: RunState = .pending, isCancelled: Bool = false, failures: Int = 0, losses: Int = 0,
        hasFailed: Bool = false
    ) {
        self.state = state
        self.isCancelled = isCancelled
        self.failures = failures
        self.losses = losses
        self.hasFailed = hasFailed
    }

    /// Makes the change; `retries` is how many failed attempts are followed by another one.
    ///
    /// Cancelling a running run leaves it running until its attempt ends; cancelling it twice is no error.
    package mutating func apply(_ change: RunChange, retries: Int) throws(RefusedTransition) {
        switch (state, change) {
        case (.pending, .start):
            state = .running
        case (.running, .end(let cause)):
            end(cause, retries: retries)
        case (.pending, .cancel):
            isCancelled = true
            endWaiting(as: .cancelled)
        case (.running, .cancel):
            isCancelled = true
        case (.failed, .retry), (.cancelled, .retry), (.skipped, .retry):
            self = RunLifecycle(hasFailed: state == .failed)
        case (_, .start), (_, .end), (_, .cancel), (_, .retry):
            throw .run(state, change)
        }
    }

    /// Makes the change in a job of these options.
    mutating func apply(_ change: RunChange, _ options: JobOptions) throws(RefusedTransition) {
        var retries = options.retries
        if case .end(let cause) = change { retries = options.retries(after: cause) }
        try apply(change, retries: retries)
    }

    /// Ends a run as it waits, as `end` where no attempt has failed.
    mutating func endWaiting(as end: RunState) {
        state = hasFailed ? .failed : end
        hasFailed = false
    }

    private mutating func end(_ cause: Verdict.Cause, retries: Int) {
        let next = RunState(after: cause)
        switch next {
        case .pending:
            state = .pending
            // An attempt that was interrupted after somebody asked for the run's end has done what was asked.
            if isCancelled { endWaiting(as: .cancelled) }
        case .failed:
            failures += 1
            if cause == .supervisorLost { losses += 1 }
            let isLast = failures > retries || losses >= Self.mostLosses || isCancelled
            state = isLast ? .failed : .pending
            hasFailed = !isLast
        case .running, .succeeded, .cancelled, .skipped:
            state = next
            hasFailed = false
        }
    }
}

extension Verdict {
    /// The verdict of a run that was cancelled as it waited for its first attempt, or, where one was begun, for another.
    package static func cancelledAsItWaited(wasBegun: Bool) -> Verdict {
        Verdict(.cancelled, "the run was cancelled before it \(wasBegun ? "went on" : "started")")
    }

    /// The verdict of a run that has ended in `state`: that of its last attempt, unless the run ended for another reason.
    package static func ofRun(_ attempt: Verdict?, endedAs state: RunState) -> Verdict? {
        if let attempt, RunState(after: attempt.cause) == state { return attempt }
        return switch state {
        case .cancelled: Verdict(.cancelled, "the run was cancelled")
        case .skipped: Verdict(.dependencyFailed, "another run of the job failed before the run started")
        case .pending, .running, .succeeded, .failed: attempt
        }
    }
}

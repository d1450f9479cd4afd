/// The life of one job and its runs as a value: events in, the new state or a refusal out.
///
/// End states are final, except that a retry of one of its runs takes the job up again. When its last run ends, a job
/// becomes `failed` if its time was over, `cancelled` if that was asked for, else `failed` if any run failed, else `succeeded`. Runs that were
/// cancelled one by one do not make it fail; a job without any other run was cancelled. A job whose schedule has times to
/// come does not end: it is `pending` while it waits for them, and `running` while runs of a batch go on.
package struct JobLifecycle: Sendable, Hashable {
    /// Where the job is.
    package private(set) var state: JobState
    /// How many runs are in which state.
    package private(set) var counts: JobCounts
    /// Whether somebody has asked for the end of the job.
    package private(set) var isCancelled: Bool
    /// Whether its time was over, which ended it.
    package private(set) var isTimedOut: Bool
    /// Whether any of its runs has ever been started.
    package private(set) var hasStarted: Bool
    /// Whether further runs will be made by itself.
    package private(set) var awaitsBatches: Bool
    /// What the author asked for.
    package let options: JobOptions

    /// A job in that state; where nothing is known of `hasStarted`, the states of its runs tell.
    package init(
        state: JobState, counts: JobCounts, isCancelled: Bool = false, isTimedOut: Bool = false,
        hasStarted: Bool = false, awaitsBatches: Bool = false, options: JobOptions = JobOptions()
    ) {
        self.state = state
        self.counts = counts
        self.isCancelled = isCancelled
        self.isTimedOut = isTimedOut
        self.awaitsBatches = awaitsBatches
        self.hasStarted = hasStarted || counts.running + counts.succeeded + counts.failed > 0
        self.options = options
    }

    /// The life of a job of which `will` was asked, and whose runs are in these states.
    package init(
        will: JobWill, counts: JobCounts, hasStarted: Bool = false, awaitsBatches: Bool = false, options: JobOptions
    ) {
        self.init(
            state: .pending, counts: counts, isCancelled: will.cancelled != nil, isTimedOut: will.timedOut != nil,
            hasStarted: hasStarted, awaitsBatches: awaitsBatches && will.cancelled == nil, options: options)
        state =
            if will.confirmed == nil && will.cancelled == nil {
                .draft
            } else if will.paused != nil {
                .paused
            } else {
                self.hasStarted ? .running : .pending
            }
        settle()
    }

    /// Lets `event` happen; the caller carries out the consequence together with the change.
    package mutating func apply(_ event: JobEvent) throws(RefusedTransition) -> JobConsequence? {
        if isCancelled, !state.isFinal, event != .cancel { throw .jobBeingCancelled }
        switch (state, event) {
        case (.draft, .confirm):
            state = .pending
            settle()
        case (.pending, .pause), (.running, .pause):
            state = .paused
        case (.paused, .resume):
            state = hasStarted ? .running : .pending
            settle()
        case (.draft, .cancel), (.pending, .cancel), (.running, .cancel), (.paused, .cancel):
            isCancelled = true
            awaitsBatches = false
            counts.cancelled += counts.pending
            counts.pending = 0
            // A draft has nothing that could settle it later.
            if state == .draft { state = .pending }
            settle()
            return .cancelRuns
        case (_, .confirm), (_, .pause), (_, .resume), (_, .cancel):
            throw .job(state, event)
        }
        return nil
    }

    /// The job's time is over: what is pending is cancelled, and so is the job, unless its schedule goes on.
    ///
    /// The caller ends its pending runs together with the change, and asks its running ones to end.
    package mutating func expire() throws(RefusedTransition) {
        guard state != .draft, !state.isFinal, !isCancelled else { throw .job(state, .cancel) }
        if !awaitsBatches {
            isCancelled = true
            isTimedOut = true
        }
        counts.cancelled += counts.pending
        counts.pending = 0
        settle()
    }

    /// So many of its pending runs were cancelled one by one, of which `failed` had failed and are that again.
    ///
    /// The caller ends them together with the change.
    package mutating func cancel(pending count: Int, failed: Int = 0) -> JobConsequence? {
        counts.cancelled += count - failed
        counts.failed += failed
        counts.pending -= count
        return settleAfterEnd(hasFailed: counts.failed > 0 && !awaitsBatches)
    }

    /// So many of the pending runs that were just ended, as `end`, had failed and are that again.
    package mutating func keepFailed(_ count: Int, insteadOf end: RunState) {
        counts[end] -= count
        counts.failed += count
    }

    /// So many further runs are pending; `awaitsMore` tells whether the schedule will make more by itself.
    package mutating func add(_ runs: Int, awaitsMore: Bool) throws(RefusedTransition) {
        if isCancelled, !state.isFinal { throw .jobBeingCancelled }
        guard state != .draft, !state.isFinal else { throw .batch(state) }
        counts.pending += runs
        awaitsBatches = awaitsMore
        settle()
    }

    /// Lets `change` happen to one of the job's runs; the caller carries out the consequence together with it.
    package mutating func apply(
        _ change: RunChange,
        to run: inout RunLifecycle
    ) throws(RefusedTransition) -> JobConsequence? {
        try checkAllowed(change, state: run.state)
        let before = run.state
        // Whoever asked for the end of the job asked for the end of each of its runs.
        if isCancelled, before == .running { try run.apply(.cancel, retries: 0) }
        try run.apply(change, options)
        counts.move(from: before, to: run.state)
        var consequence: JobConsequence?
        switch change {
        case .start:
            hasStarted = true
            if state == .pending { state = .running }
        case .retry:
            if state.isFinal { state = counts.running > 0 ? .running : .pending }
            isCancelled = false
            isTimedOut = false
        case .end, .cancel:
            // Of a job that goes on for ever, an old failure stops no new run.
            let hasFailed = awaitsBatches ? run.state == .failed : counts.failed > 0
            // One that was running when another failed may be pending again.
            if options.stopOnFailure, hasFailed, run.state == .pending {
                run.endWaiting(as: .skipped)
                counts.move(from: .pending, to: run.state)
            }
            consequence = settleAfterEnd(hasFailed: hasFailed)
        }
        return consequence
    }

    private mutating func settleAfterEnd(hasFailed: Bool) -> JobConsequence? {
        var consequence: JobConsequence?
        if options.stopOnFailure, hasFailed, counts.pending > 0 {
            counts.skipped += counts.pending
            counts.pending = 0
            consequence = .skipPendingRuns
        }
        settle()
        return consequence
    }

    private func checkAllowed(_ change: RunChange, state runState: RunState) throws(RefusedTransition) {
        switch (change, state) {
        case (.start, .pending), (.start, .running):
            if isCancelled { throw .jobBeingCancelled }
        case (.retry, _):
            if isCancelled, !state.isFinal { throw .jobBeingCancelled }
        case (.start, _):
            throw .runOfJob(state, change)
        case (.end, .draft), (.end, .succeeded), (.end, .failed), (.end, .cancelled):
            if runState == .running { throw .runOfJob(state, change) }
        case (.end, _), (.cancel, _):
            break
        }
    }

    /// Ends the job when none of its runs is left to wait for.
    private mutating func settle() {
        guard !state.isFinal, state != .draft, counts.pending == 0, counts.running == 0 else { return }
        if isTimedOut {
            state = .failed
        } else if isCancelled {
            state = .cancelled
        } else if awaitsBatches {
            if state == .running { state = .pending }
        } else if counts.total == 0 {
            // A draft that was started: its runs follow.
            return
        } else if counts.failed > 0 {
            state = .failed
        } else if counts.succeeded == 0, counts.cancelled > 0 {
            state = .cancelled
        } else {
            state = .succeeded
        }
    }
}

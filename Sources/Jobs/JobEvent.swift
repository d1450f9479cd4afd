/// What can happen to a job as a whole.
package enum JobEvent: String, Sendable, Hashable, CaseIterable {
    /// The author says that a draft is to be executed.
    case confirm
    /// No further run is to start.
    case pause
    /// Runs may start again.
    case resume
    /// Nothing of it is to run any more.
    case cancel
}

/// What else has to be done to the runs of a job after a change, in the same transaction.
package enum JobConsequence: Sendable, Hashable {
    /// Its pending runs become `cancelled`, and the running ones are to be stopped.
    case cancelRuns
    /// Its pending runs become `skipped`.
    case skipPendingRuns
}

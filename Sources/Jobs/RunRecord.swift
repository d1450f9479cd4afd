package import Isolation

/// What distinguishes one run of a job from the others.
package struct RunParameters: Sendable, Hashable {
    /// The values that differ between the runs, in one short line for lists.
    package var label: String
    /// JSON text of the parameters with which the run is executed.
    package var json: String

    /// Makes parameters.
    package init(label: String, json: String) {
        self.label = label
        self.json = json
    }
}

/// What the database knows of a run.
package struct RunRecord: Sendable, Hashable {
    /// Its job and number.
    package var address: RunAddress
    /// What distinguishes it.
    package var parameters: RunParameters
    /// Where it is in its life.
    package var lifecycle: RunLifecycle
    /// The number of its newest attempt, from 1; 0 before the first.
    package var attempt: Int
    /// With what it ended; nil before its end.
    package var verdict: Verdict?
    /// How an attempt ended of a run that goes on: the newest that was not interrupted, where that failed.
    package var failure: Failure?
    /// JSON text of the metrics that it ended with; nil where they are only in its directory.
    package var metrics: String?
    /// When the attempt began that goes on, or with which the run ended.
    ///
    /// Nil while it waits, and where it was ended as it waited: when earlier attempts began is in their directories.
    package var started: Timestamp?
    /// When it ended; set exactly in the end states.
    package var finished: Timestamp?
    /// The next attempt does not begin before this; nil is at any time.
    package var notBefore: Timestamp?
    /// The time of the job's schedule for which it was made; nil where it was made for none.
    package var scheduled: Timestamp?
    /// When its files were removed, and only logs, verdicts, metrics and usage were left; nil where all are there.
    package var filesRemoved: Timestamp?

    /// The end of an attempt that failed.
    package struct Failure: Sendable, Hashable {
        /// With what it ended.
        package var verdict: Verdict
        /// When it began, and when it ended.
        package var started: Timestamp?, finished: Timestamp

        /// Makes one.
        package init(_ verdict: Verdict, started: Timestamp?, finished: Timestamp) {
            self.verdict = verdict
            self.started = started
            self.finished = finished
        }
    }

    /// The record of a run that has not started.
    package init(address: RunAddress, parameters: RunParameters) {
        self.address = address
        self.parameters = parameters
        lifecycle = RunLifecycle()
        attempt = 0
    }

    /// Its identity.
    package var uuid: RunID { address.id }

    /// Where it is in its life.
    package var state: RunState { lifecycle.state }
}

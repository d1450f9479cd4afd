package import Isolation

/// The little of a run by which it is chosen and sorted among thousands.
package struct RunOutline: Sendable, Hashable {
    /// Its number in its job.
    package var number: Int
    /// Where it is in its life.
    package var state: RunState
    /// The number of its newest attempt, from 1; 0 before the first.
    package var attempt: Int
    /// JSON text of its parameters.
    package var parameters: String
    /// JSON text of the metrics that it ended with; nil where they are only in its directory.
    package var metrics: String?
    /// The cause of its verdict.
    package var cause: String?
    /// When the attempt began that goes on, or with which the run ended; nil while it waits.
    package var started: Timestamp?
    /// When it ended.
    package var finished: Timestamp?

    /// Makes an outline.
    package init(
        number: Int, state: RunState, attempt: Int, parameters: String, metrics: String? = nil, cause: String? = nil,
        started: Timestamp? = nil, finished: Timestamp? = nil
    ) {
        self.number = number
        self.state = state
        self.attempt = attempt
        self.parameters = parameters
        self.metrics = metrics
        self.cause = cause
        self.started = started
        self.finished = finished
    }

    /// From the start of its newest attempt to its end, or to `now`, in seconds; nil while it waits.
    package func seconds(until now: Timestamp) -> Double? {
        guard let started, attempt > 0 else { return nil }
        return Double(max(0, (finished ?? now).milliseconds - started.milliseconds)) / 1000
    }
}

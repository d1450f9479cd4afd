package import Isolation

/// Something that one notifier is to be told, and what became of it.
package struct NotificationRecord: Sendable, Hashable {
    /// Where it is.
    package enum State: String, Sendable, Hashable {
        /// It is to be delivered, for the first time or again.
        case waiting
        /// Whoever it is for has taken it.
        case delivered
        /// Nobody tries any more.
        case givenUp = "given-up"
    }

    /// Its place in the order of all.
    package var sequence: Int64
    /// Its identity, the same in each delivery: 32 hexadecimal digits.
    package var id: String
    /// The name of the notifier.
    package var notifier: String
    /// The word of the event; `test` for an example.
    package var event: String
    /// The name that the job had.
    package var job: String
    /// The number of the run; nil for a job.
    package var run: Int?
    /// JSON text of an object: what is told, but for `id`, `event`, `time` and `notifier`.
    package var facts: String
    /// When it happened.
    package var time: Timestamp
    /// How often its delivery was tried.
    package var attempts: Int
    /// Where it is.
    package var state: State
    /// When it is to be tried; nil when it is over.
    package var due: Timestamp?
    /// When it was over.
    package var finished: Timestamp?
    /// What the last attempt met; not yet fit to be shown.
    package var answer: String?

    /// Something that happened at `time` and is to be delivered.
    package init(
        id: String, notifier: String, event: String, job: String, run: Int? = nil, facts: String, time: Timestamp
    ) {
        sequence = 0
        self.id = id
        self.notifier = notifier
        self.event = event
        self.job = job
        self.run = run
        self.facts = facts
        self.time = time
        attempts = 0
        state = .waiting
        due = time
    }
}

import Isolation
import Jobs
import Runs

/// A run with a supervisor that an engine looks after.
final class ActiveRun {
    let address: RunAddress
    let supervisor: any Supervisor
    /// The number of the attempt.
    var attempt: Int
    /// What is known of its steps, by their uuid.
    var steps: [String: StepRecord] = [:]
    /// Whether the database has missed something that its events told.
    var isIncomplete = false
    /// When it ended, as its supervisor has told.
    var ended: Timestamp?
    /// The strongest order that was passed on.
    private(set) var order: SupervisorOrder?
    /// How its supervisor ended, once it has.
    var outcome: String?
    private var lines = EventLines()

    init(_ address: RunAddress, _ supervisor: any Supervisor, attempt: Int) {
        self.address = address
        self.supervisor = supervisor
        self.attempt = attempt
    }

    /// Whether its supervisor has ended.
    var isOver: Bool { outcome != nil }

    /// Passes an order on, unless that has been done.
    func give(_ order: SupervisorOrder) {
        if self.order == order { return }
        self.order = order
        supervisor.order(order)
    }

    /// The next events, an empty array where there is none yet, nil where there will be none.
    func nextEvents() -> [RunEvent]? {
        while let bytes = supervisor.nextBytes() {
            let events = lines.feed(bytes)
            // A part of a line is no reason to stop reading.
            if !events.isEmpty || bytes.isEmpty { return events }
        }
        return nil
    }
}

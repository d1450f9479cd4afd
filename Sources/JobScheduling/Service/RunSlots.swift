package import LinuxSystem

/// Places for runs that the engines of several stores share: whoever has the fewest running goes first, and of those with
/// as many whoever waits for longest.
///
/// For the engines of one event loop.
package final class RunSlots {
    /// A place in the queue; the lowest has waited for longest.
    typealias Ticket = Int

    private struct Waiting {
        let ticket: Ticket
        let engine: JobEngine
    }

    private let limit: Int
    private let loop: EventLoop
    private var engines: [() -> JobEngine?] = []
    private var waiting: [Waiting] = []
    private var nextTicket = 0
    private var isOffering = false

    /// Shares `limit` places among the engines of a loop.
    package init(limit: Int, loop: EventLoop) {
        self.limit = limit
        self.loop = loop
    }

    /// Counts the runs of an engine as well; asked for it again and again, because engines come and go.
    func count(_ engine: @escaping () -> JobEngine?) { engines.append(engine) }

    /// Whether an engine may start a run now, of which `ticket` is the place that it had in the queue.
    func isOpen(to engine: JobEngine, _ ticket: Ticket?) -> Bool {
        let running = engines.reduce(0) { $0 + ($1()?.active.count ?? 0) }
        guard running < limit else { return false }
        let own = (engine.active.count, ticket ?? .max)
        let isOthersTurn = waiting.contains { $0.engine !== engine && Self.rank($0) < own }
        if isOthersTurn { offer() }
        return !isOthersTurn
    }

    /// Notes that an engine has work, and no place for it; it keeps the place in the queue that it had.
    func wait(_ engine: JobEngine, _ ticket: Ticket?) {
        guard !waiting.contains(where: { $0.engine === engine }) else { return }
        nextTicket += 1
        waiting.append(Waiting(ticket: ticket ?? nextTicket, engine: engine))
    }

    /// Takes an engine out of the queue, and gives the place that it had.
    func leave(_ engine: JobEngine) -> Ticket? {
        guard let index = waiting.firstIndex(where: { $0.engine === engine }) else { return nil }
        return waiting.remove(at: index).ticket
    }

    /// Lets those who wait look again, after the present action.
    func offer() {
        guard !waiting.isEmpty, !isOffering else { return }
        isOffering = true
        loop.after(0) { [weak self] in
            guard let self else { return }
            self.isOffering = false
            for waiting in self.waiting.sorted(by: { Self.rank($0) < Self.rank($1) }) { waiting.engine.fill() }
        }
    }

    private static func rank(_ waiting: Waiting) -> (Int, Ticket) { (waiting.engine.active.count, waiting.ticket) }
}

import JobStorage
import Jobs

/// How many runs a user of a service may have waiting at once.
package struct RunQuota: Sendable, Hashable, Codable {
    /// The most runs that are pending.
    package let pending: Int

    /// Allows so many.
    package init(pending: Int) { self.pending = pending }

    /// Refuses `count` runs more where they would be too many with those that wait.
    package func check(adding count: Int, to store: Store) throws {
        let waiting = try store.database.jobs(limit: .max).filter { !$0.state.isFinal }.reduce(0) {
            $0 + $1.counts.pending
        }
        guard waiting + count > pending else { return }
        throw JobRefusal(
            message:
                "make \(count) runs: \(waiting) of yours wait already, and the service lets \(pending) of a user wait",
            hint: "wait, cancel some, or take a part of the grid with --only; whoever runs the service sets this by "
                + "`cloche serve --max-pending`")
    }
}

import JobStorage
import Jobs
package import SystemPackage

/// What a user of a service may have at once.
package struct UserQuota: Sendable, Hashable, Codable {
    /// The most runs that are pending; nil is any number.
    package var pending: Int?
    /// The most bytes that his store takes on the disk; nil is any number.
    package var disk: Int64?
    /// Whether somebody else measures the store: a service has no time for a walk through all of it.
    var isMeasuredElsewhere = false

    /// Allows so much.
    package init(pending: Int?, disk: Int64?) {
        self.pending = pending
        self.disk = disk
    }

    /// Refuses `count` runs more where they would be too many with those that wait, or where the disk is used up.
    package func check(adding count: Int, to store: Store) throws {
        try checkPending(adding: count, to: store)
        try checkDisk(of: store.path)
    }

    private func checkPending(adding count: Int, to store: Store) throws {
        guard let pending else { return }
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

    /// Refuses more where the store takes more than it may, of which `bytes` have just been added.
    package func checkDisk(of store: FilePath, adding bytes: Int64 = 0) throws {
        guard let disk else { return }
        var size = StoreSize.stored(in: store)
        if let known = size, known.limit == disk, known.bytes + bytes <= disk {
            if bytes > 0 { try StoreSize.add(bytes, to: store) }
            return
        }
        // What was removed since counts no more.
        if !isMeasuredElsewhere { size = try StoreSize.measure(store, limit: disk) }
        guard let size, size.isExceeded else { return }
        throw JobRefusal(message: "make runs: \(size.excess)", hint: StoreSize.remedy)
    }

    private enum CodingKeys: String, CodingKey { case pending, disk }
}

package import Isolation
import JobStorage
import Jobs

/// Does what the schedules of a store's jobs ask for, whenever it is called.
///
/// Any number of processes may call it at once: a batch is made once.
package struct ScheduleKeeper {
    private let store: Store
    private let zones: TimeZoneDirectory

    /// Keeps the schedules of a store.
    package init(_ store: Store) { self.init(store, zones: TimeZoneDirectory()) }

    init(_ store: Store, zones: TimeZoneDirectory) {
        self.store = store
        self.zones = zones
    }

    /// A clock that was set back by less than this repeats nothing; set back by more, schedules follow it.
    private static let setBack: Int64 = 3 * 3_600_000

    /// Makes every batch that is due at `now`, and gives the next instant at which something will be due; nil when no
    /// job has a schedule.
    ///
    /// When one job cannot go on, the others do first, and then the error is thrown.
    package func advance(at now: Timestamp) throws -> Timestamp? {
        var failure: (any Error)?
        let future = Timestamp(milliseconds: now.milliseconds + Self.setBack)
        for job in try store.database.dueJobs(at: now, decidedAfter: future) {
            do {
                try store.change(job) { document in try advance(&document, at: now) }
            } catch {
                // One that was removed meanwhile has no schedule any more.
                if failure == nil, (try? store.database.job(job)) != nil { failure = error }
            }
        }
        if let failure { throw failure }
        return try store.database.nextScheduledTime()
    }

    private func advance(_ document: inout JobDocument, at now: Timestamp) throws {
        let batches = BatchMaking(store, at: now)
        let record = try store.database.job(document.uuid)
        if document.batches.made > record.batches {
            // Whoever made the last batch was interrupted before the database knew of it.
            return try batches.move(&document, next: document.batches.next)
        }
        // The database is never behind in anything else: who was interrupted had changed it and not yet the document.
        guard let schedule = document.schedule, let next = record.next, record.state != .paused else { return }
        document.will.confirmed = document.will.confirmed ?? now
        document.will.paused = nil
        document.batches.next = next
        document.batches.skipped = record.skipped
        let rules = try zones.rules(schedule.zone)
        if schedule.isRecurring, let decided = record.nextDecided,
            decided.milliseconds > now.milliseconds + Self.setBack
        {
            return try batches.move(&document, next: schedule.next(after: now, in: rules))
        }
        guard next <= now else { return }
        let due = schedule.due(from: next, at: now, in: rules)
        for index in due.batches.indices {
            if schedule.overlap == .skip, try isBusy(document.uuid) {
                document.batches.skip(due.batches[index...])
                break
            }
            let following = index + 1 < due.batches.count ? due.batches[index + 1] : due.next
            try batches.makeBatch(&document, for: due.batches[index], next: following)
        }
        if document.batches.next != due.next { try batches.move(&document, next: due.next) }
    }

    private func isBusy(_ job: JobID) throws -> Bool {
        let counts = try store.database.job(job).counts
        return counts.pending + counts.running > 0
    }
}

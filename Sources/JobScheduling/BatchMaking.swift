package import Isolation
import JobStorage
package import Jobs

/// Makes batches of runs, and moves schedules on: the job's document first, then the database, so that whoever is
/// interrupted between the two leaves what the next one completes.
///
/// For use within `Store.change`, which keeps two of them apart.
package struct BatchMaking {
    private let store: Store
    private let now: Timestamp

    /// Makes batches of jobs of a store, at `now`.
    package init(_ store: Store, at now: Timestamp) {
        self.store = store
        self.now = now
    }

    /// Makes the next batch of a job, which gets `next` as the time of the one after it, and gives the numbers of its runs.
    ///
    /// `scheduled` is the time of the schedule for which it is made; nil where somebody asks for it.
    @discardableResult
    package func makeBatch(
        _ document: inout JobDocument, for scheduled: Timestamp? = nil, next: Timestamp?, event: JobEvent? = nil
    ) throws -> Range<Int> {
        try complete(document)
        let batch = document.batches.made
        let combinations = try JobCombinations(document, in: store)
        try check(document, event)
        try store.quota?.check(adding: document.batchSize, to: store)
        let old = document
        document.batches.times = try times(document, with: scheduled)
        document.batches.made = batch + 1
        document.batches.next = next
        document.batches.decided = decided(next, document)
        try store.write(document)
        do {
            try store.database.take(
                ScheduleStep(event, batch: batch, then: document.batches), of: document.uuid, at: now,
                parameters: combinations.parameters(ofRun:))
        } catch {
            // Refused, so nothing was made: the document must not say that it was.
            document = old
            try store.write(document)
            throw error
        }
        return batch * document.batchSize..<(batch + 1) * document.batchSize
    }

    /// Sets the time of the next batch without making one.
    package func move(_ document: inout JobDocument, next: Timestamp?, event: JobEvent? = nil) throws {
        try complete(document)
        document.batches.next = next
        document.batches.decided = decided(next, document)
        try store.database.take(
            ScheduleStep(event, then: document.batches), of: document.uuid, at: now,
            parameters: { _ in RunParameters(label: "", json: "{}") })
    }

    /// Makes the rows of batches that are in the document and not in the database: their maker was interrupted.
    private func complete(_ document: JobDocument) throws {
        let known = try store.database.job(document.uuid).batches
        guard known < document.batches.made else { return }
        let combinations = try JobCombinations(document, in: store)
        for batch in known..<document.batches.made {
            var batches = document.batches
            batches.made = batch + 1
            try store.database.take(
                ScheduleStep(batch: batch, then: batches), of: document.uuid, at: now,
                parameters: combinations.parameters(ofRun:))
        }
    }

    /// Refuses before anything is written what the database would refuse.
    private func check(_ document: JobDocument, _ event: JobEvent?) throws {
        let record = try store.database.job(document.uuid)
        var life = record.lifecycle
        do throws(RefusedTransition) {
            if let event { _ = try life.apply(event) }
            try life.add(document.batchSize, awaitsMore: false)
        } catch {
            throw JobStorageError.refused(document.name.description, error)
        }
    }

    /// The times of the batches of which runs wait, and that of the next one.
    private func times(_ document: JobDocument, with scheduled: Timestamp?) throws -> [Int: Timestamp]? {
        let batch = document.batches.made
        let waiting = try store.database.nextPendingRun(of: document.uuid)?.address.number
        let first = waiting.map { $0 / max(1, document.batchSize) } ?? batch
        var times = (document.batches.times ?? [:]).filter { $0.key >= first }
        times[batch] = scheduled
        return times.isEmpty ? nil : times
    }

    private func decided(_ next: Timestamp?, _ document: JobDocument) -> Timestamp? {
        document.schedule?.isRecurring == true && next != nil ? now : nil
    }
}

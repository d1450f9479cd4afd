import GRDB
package import Isolation
package import Jobs

extension JobDatabase {
    /// Lets `event` happen to the job at `time`, and gives its state then.
    ///
    /// Cancelling ends its pending runs at once and asks its running ones to end; see `cancelledRunningRuns()`.
    ///
    /// - Throws: `notFound`, or `refused`.
    @discardableResult
    package func apply(_ event: JobEvent, to job: JobID, at time: Timestamp) throws(JobStorageError) -> JobState {
        try writing(.synced) { database in
            var transaction = try JobTransaction(job, at: time, in: database)
            return try transaction.apply(event)
        }
    }

    /// Cancels a run at `time`: at once when it is pending, else it is asked to end.
    ///
    /// - Throws: `notFound`, `noSuchRun`, or `refused`.
    @discardableResult
    package func cancel(_ run: RunAddress, at time: Timestamp) throws(JobStorageError) -> RunRecord {
        try writing(.synced) { database in
            let verdict = Verdict(.cancelled, "the run was cancelled before it started")
            return try Self.apply(.cancel, verdict: verdict, to: run, at: time, in: database)
        }
    }

    /// Cancels runs of a job at `time`: all of them, or none where one is refused.
    ///
    /// - Throws: `notFound`, `noSuchRun`, or `refused`.
    package func cancel(_ runs: RunNumbers, of job: JobID, at time: Timestamp) throws(JobStorageError) {
        try writing(.synced) { database in
            let verdict = Verdict(.cancelled, "the run was cancelled before it started")
            for number in runs.numbers {
                let run = RunAddress(job: job, number: number)
                // One that was skipped together with another needs no cancelling.
                if try Self.record(of: run, in: database).state.isFinal { continue }
                _ = try Self.apply(.cancel, verdict: verdict, to: run, at: time, in: database)
            }
        }
    }

    /// Makes a run that has ended pending again; its job is taken up with it.
    ///
    /// - Throws: `notFound`, `noSuchRun`, or `refused`.
    @discardableResult
    package func retry(_ run: RunAddress, at time: Timestamp) throws(JobStorageError) -> RunRecord {
        try writing(.synced) { database in
            try Self.apply(.retry, verdict: nil, to: run, at: time, in: database)
        }
    }

    /// Makes runs of a job pending again: all of them, or none where one is refused.
    ///
    /// - Throws: `notFound`, `noSuchRun`, or `refused`.
    package func retry(_ runs: RunNumbers, of job: JobID, at time: Timestamp) throws(JobStorageError) {
        try writing(.synced) { database in
            for number in runs.numbers {
                _ = try Self.apply(
                    .retry, verdict: nil, to: RunAddress(job: job, number: number), at: time, in: database)
            }
        }
    }

    static func apply(
        _ change: RunChange,
        verdict: Verdict?,
        to run: RunAddress,
        at time: Timestamp,
        in database: Database
    ) throws -> RunRecord {
        var transaction = try JobTransaction(run.job, at: time, in: database)
        return try transaction.apply(change, verdict: verdict, to: record(of: run, in: database))
    }
}

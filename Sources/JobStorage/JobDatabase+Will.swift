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
            let verdict = Verdict.cancelledAsItWaited(wasBegun: try Self.record(of: run, in: database).attempt > 0)
            return try Self.apply(.cancel, verdict: verdict, to: run, at: time, in: database)
        }
    }

    /// Cancels those of a job's runs that are in one of these states, at `time`, and gives their numbers.
    ///
    /// - Throws: `notFound`.
    @discardableResult
    package func cancel(
        _ runs: RunNumbers, of job: JobID, in states: Set<RunState> = [.pending, .running], at time: Timestamp
    ) throws(JobStorageError) -> RunNumbers {
        try writing(.synced) { database in
            var transaction = try JobTransaction(job, at: time, in: database)
            return try transaction.cancel(runs, in: states)
        }
    }

    /// The jobs whose time is over at `time`: of each batch's runs where a schedule goes on.
    package func jobsOutOfTime(at time: Timestamp) throws(JobStorageError) -> [JobID] {
        try reading { database in
            let statement = try database.cachedStatement(
                sql: """
                    SELECT uuid FROM jobs
                    WHERE job_timeout_seconds IS NOT NULL AND clock_ms IS NOT NULL
                        AND clock_ms + job_timeout_seconds * 1000 <= ?
                        AND (state IN ('pending', 'running') OR state = 'paused' AND running > 0)
                        AND cancelled_ms IS NULL
                    """)
            return try String.fetchAll(statement, arguments: [time.milliseconds]).compactMap(JobID.init)
        }
    }

    /// Ends a job whose time is over, or, where its schedule goes on, the runs that there are, and gives their numbers.
    ///
    /// Pending ones end at `time`; running ones are asked to end.
    ///
    /// - Throws: `notFound`, or `refused`.
    package func expire(_ job: JobID, at time: Timestamp) throws(JobStorageError) -> RunNumbers {
        try writing(.synced) { database in
            var transaction = try JobTransaction(job, at: time, in: database)
            return try transaction.expire()
        }
    }

    /// Lets the time of a job count anew from the start of its next run.
    package func restartClock(of job: JobID) throws(JobStorageError) {
        try writing { database in
            try database.execute(
                sql: "UPDATE jobs SET clock_ms = NULL WHERE uuid = ? AND running = 0", arguments: [job.description])
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

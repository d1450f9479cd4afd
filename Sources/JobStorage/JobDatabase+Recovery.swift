import GRDB
package import Isolation
package import Jobs

extension JobDatabase {
    /// Jobs that have runs which wait, whatever their state; the oldest first.
    package func jobsWithPendingRuns() throws(JobStorageError) -> [JobID] {
        try reading { database in
            try String.fetchAll(database, sql: "SELECT uuid FROM jobs WHERE pending > 0 ORDER BY id")
                .compactMap(JobID.init)
        }
    }

    /// Numbers of a job's runs that wait, with the number of their newest attempt that is known.
    package func pendingAttempts(of job: JobID) throws(JobStorageError) -> [Int: Int] {
        try reading { database in
            let sequence = try Self.record(of: job, in: database).sequence
            let sql = "SELECT number, attempt FROM runs WHERE job = ? AND state = 'pending'"
            var attempts: [Int: Int] = [:]
            let cursor = try Row.fetchCursor(database, sql: sql, arguments: [sequence])
            while let row = try cursor.next() { attempts[row[0]] = row[1] }
            return attempts
        }
    }

    /// Notes that a run which waits has begun with the attempt of that number, of which its directory tells and the
    /// database does not; nil where that is not so.
    package func begin(
        _ attempt: Int, ofPending run: RunAddress, at time: Timestamp
    ) throws(JobStorageError) -> RunRecord? {
        try writing { database in
            let row = try Self.rowOfRun(run, in: database)
            try database.execute(
                sql: """
                    UPDATE runs SET state = 'running', attempt = ?, started_ms = ?, not_before_ms = NULL
                    WHERE id = ? AND state = 'pending' AND attempt < ?
                    """, arguments: [attempt, time.milliseconds, row, attempt])
            guard database.changesCount > 0 else { return nil }
            try database.execute(
                sql: """
                    UPDATE jobs SET state = 'running', started_ms = coalesce(started_ms, ?)
                    WHERE uuid = ? AND state = 'pending'
                    """, arguments: [time.milliseconds, run.job.description])
            return try Self.record(of: run, in: database)
        }
    }
}

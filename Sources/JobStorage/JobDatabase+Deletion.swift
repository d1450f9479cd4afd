import GRDB
package import Isolation
package import Jobs

extension JobDatabase {
    /// Forgets a job, its runs and its steps; only drafts and jobs that have ended can be forgotten.
    ///
    /// - Throws: `notFound`, or `notEnded`.
    package func delete(_ job: JobID) throws(JobStorageError) {
        try writing(.synced) { database in
            let record = try Self.record(of: job, in: database)
            guard record.state.isFinal || record.state == .draft else {
                throw JobStorageError.notEnded(record.name.description, record.state.rawValue)
            }
            try database.execute(sql: "DELETE FROM jobs WHERE id = ?", arguments: [record.sequence])
        }
    }

    /// Forgets a run and its steps; its number is never used again, and the counts of its job keep it.
    ///
    /// - Throws: `notFound`, `noSuchRun`, or `notEnded`.
    package func delete(_ run: RunAddress) throws(JobStorageError) {
        try writing(.synced) { database in
            let record = try Self.record(of: run, in: database)
            guard record.state.isFinal else {
                let name = try Self.record(of: run.job, in: database).name
                throw JobStorageError.notEnded("\(name)/\(run.number)", record.state.rawValue)
            }
            let row = try Self.rowOfRun(run, in: database)
            try database.execute(sql: "DELETE FROM runs WHERE id = ?", arguments: [row])
        }
    }

    /// Notes that the files of a run that has ended were removed at `time`, and that what tells of it was kept.
    ///
    /// - Throws: `notFound`, `noSuchRun`, or `notEnded`.
    package func noteFilesRemoved(of run: RunAddress, at time: Timestamp) throws(JobStorageError) {
        try writing(.synced) { database in
            let record = try Self.record(of: run, in: database)
            guard record.state.isFinal else {
                let name = try Self.record(of: run.job, in: database).name
                throw JobStorageError.notEnded("\(name)/\(run.number)", record.state.rawValue)
            }
            let row = try Self.rowOfRun(run, in: database)
            try database.execute(
                sql: "UPDATE runs SET files_removed_ms = ? WHERE id = ?", arguments: [time.milliseconds, row])
        }
    }

    /// The ended runs that a job no longer keeps, ascending: all but the newest `keep` of them.
    ///
    /// Runs that never began do not count, as there is nothing of them to be kept.
    /// Where logs are kept, runs without files do not count, as nothing is left to be removed of them.
    package func runsBeyondKeep(of job: JobID) throws(JobStorageError) -> [RunAddress] {
        try reading { database in
            let record = try Self.record(of: job, in: database)
            guard let keep = record.options.keep else { return [] }
            let sql = """
                SELECT number FROM runs WHERE job = :job AND finished_ms IS NOT NULL AND attempt > 0
                    \(record.options.keepLogs == true ? "AND files_removed_ms IS NULL" : "")
                ORDER BY number DESC LIMIT -1 OFFSET :keep
                """
            let numbers = try Int.fetchAll(database, sql: sql, arguments: ["job": record.sequence, "keep": keep])
            return numbers.reversed().map { RunAddress(job: job, number: $0) }
        }
    }
}

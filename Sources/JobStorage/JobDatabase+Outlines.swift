import GRDB
import Isolation
package import Jobs

extension JobDatabase {
    /// The outlines of a job's runs in the order of their numbers: cheap enough for all runs of a large job.
    ///
    /// - Parameters:
    ///   - states: Only runs in one of these states; empty is all.
    ///   - limit: How many at most.
    package func outlines(
        of job: JobID, states: Set<RunState> = [], limit: Int = .max
    ) throws(JobStorageError) -> [RunOutline] {
        try reading { database in
            let sequence = try Self.record(of: job, in: database).sequence
            // What succeeded has that cause: reading it out of thousands of verdicts takes as long as all the rest.
            let sql = """
                SELECT number, state, attempt, parameters, metrics,
                    CASE WHEN state = 'succeeded' AND verdict IS NOT NULL THEN state ELSE verdict ->> 'cause' END,
                    started_ms, finished_ms
                FROM runs WHERE job = ? \(Self.condition(on: "state", states.map(\.rawValue)))
                ORDER BY number LIMIT ?
                """
            var outlines: [RunOutline] = []
            let cursor = try Row.fetchCursor(database, sql: sql, arguments: [sequence, max(limit, 0)])
            while let row = try cursor.next() {
                // The schema gives these columns their types.
                let started: Int64? = row[6], finished: Int64? = row[7]
                guard let state = RunState(rawValue: row[1]) else { throw MalformedRow(column: "state") }
                outlines.append(
                    RunOutline(
                        number: row[0], state: state, attempt: row[2], parameters: row[3], metrics: row[4],
                        cause: row[5],
                        started: started.map(Timestamp.init(milliseconds:)),
                        finished: finished.map(Timestamp.init(milliseconds:))))
            }
            return outlines
        }
    }

    /// The runs of these numbers, in their order; numbers of no run are passed over.
    package func runs(of job: JobID, numbers: [Int]) throws(JobStorageError) -> [RunRecord] {
        try reading { database in
            let sequence = try Self.record(of: job, in: database).sequence
            let statement = try database.cachedStatement(
                sql: "SELECT \(RunRecord.columns) FROM runs WHERE job = ? AND number = ?")
            return try numbers.compactMap { number in
                try Row.fetchOne(statement, arguments: [sequence, number]).map(RunRecord.init(row:))
            }
        }
    }

    /// What the steps of a job are called, by identity; empty before its first run.
    package func stepTitles(of job: JobID) throws(JobStorageError) -> [String: String] {
        try reading { database in
            let sequence = try Self.record(of: job, in: database).sequence
            let sql = """
                SELECT uuid, title FROM steps WHERE run = (
                    SELECT id FROM runs WHERE job = ? AND attempt > 0 ORDER BY number LIMIT 1
                )
                """
            let rows = try Row.fetchAll(database, sql: sql, arguments: [sequence])
            return try Dictionary(uniqueKeysWithValues: rows.map { (try $0.value("uuid"), try $0.value("title")) })
        }
    }

    /// Notes the metrics of runs that have ended, as JSON text by number, where none are known.
    package func note(metrics: [Int: String], of job: JobID) throws(JobStorageError) {
        if metrics.isEmpty { return }
        try writing { database in
            let sequence = try Self.record(of: job, in: database).sequence
            let statement = try database.cachedStatement(
                sql: """
                    UPDATE runs SET metrics = ?
                    WHERE job = ? AND number = ? AND metrics IS NULL AND finished_ms IS NOT NULL
                    """)
            for (number, text) in metrics { try statement.execute(arguments: [text, sequence, number]) }
        }
    }

    /// How long the newest ended runs of a job took that did something, in seconds; and why runs of it failed.
    package func history(of job: JobID) throws(JobStorageError) -> JobHistory {
        try reading { database in
            let sequence = try Self.record(of: job, in: database).sequence
            // Bounded: a hundred runs tell as much as a hundred thousand.
            let times = """
                SELECT (finished_ms - started_ms) / 1000.0 FROM runs
                WHERE job = ? AND state = ? AND attempt > 0 AND started_ms IS NOT NULL
                ORDER BY number DESC LIMIT 100
                """
            var history = JobHistory()
            for state in ["succeeded", "failed"] {
                history.seconds += try Double.fetchAll(database, sql: times, arguments: [sequence, state])
            }
            let causes = """
                SELECT verdict ->> 'summary' AS summary, group_concat(number) AS numbers, count(*) AS count FROM (
                    SELECT verdict, number FROM runs WHERE job = ? AND state = 'failed' ORDER BY number LIMIT \(JobHistory.mostFailures)
                ) GROUP BY summary ORDER BY count DESC, min(number) LIMIT 5
                """
            for row in try Row.fetchAll(database, sql: causes, arguments: [sequence]) {
                let numbers: String = try row.value("numbers")
                history.failures.append(
                    .init(
                        summary: try row.optional("summary") ?? "",
                        runs: RunNumbers(numbers.split(separator: ",").compactMap { Int($0) })))
            }
            return history
        }
    }

    static func write(metrics: String?, ofRow run: Int64, in database: Database) throws {
        let statement = try database.cachedStatement(sql: "UPDATE runs SET metrics = ? WHERE id = ?")
        try statement.execute(arguments: [metrics, run])
    }
}

/// What the ended runs of a job tell of it.
package struct JobHistory: Sendable, Hashable {
    /// So many failed runs are looked at, those with the lowest numbers.
    package static let mostFailures = 2000

    /// Runs that failed for one reason.
    package struct Failure: Sendable, Hashable {
        /// The sentence of their verdicts; not yet fit to be shown.
        package var summary: String
        /// Their numbers.
        package var runs: RunNumbers
    }

    /// How long runs took, in seconds.
    package var seconds: [Double] = []
    /// The most frequent reasons of failures.
    package var failures: [Failure] = []
}

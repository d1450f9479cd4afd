import GRDB
package import Jobs

extension JobDatabase {
    /// Jobs, the newest first, with how many runs they have in which state.
    ///
    /// - Parameters:
    ///   - owner: Only jobs of that user id; nil is all.
    ///   - states: Only jobs in one of these states; empty is all.
    ///   - sequence: Only jobs older than the one with that sequence: the last of the page before.
    ///   - limit: How many at most.
    package func jobs(
        owner: UInt32? = nil,
        states: Set<JobState> = [],
        before sequence: Int64? = nil,
        limit: Int = 100
    ) throws(JobStorageError) -> [JobRecord] {
        try reading { database in
            let sql = """
                SELECT \(JobRecord.columns) FROM jobs
                WHERE (:owner IS NULL OR owner = :owner) AND (:before IS NULL OR id < :before)
                    \(Self.condition(on: "state", states.map(\.rawValue)))
                ORDER BY id DESC LIMIT :limit
                """
            let values: StatementArguments = ["owner": owner, "before": sequence, "limit": max(limit, 0)]
            return try Row.fetchAll(database, sql: sql, arguments: values).map(JobRecord.init(row:))
        }
    }

    /// How many jobs are in one of these states; empty is all.
    package func jobCount(states: Set<JobState> = []) throws(JobStorageError) -> Int {
        try reading { database in
            let condition = Self.condition(on: "state", states.map(\.rawValue))
            return try Int.fetchOne(database, sql: "SELECT count(*) FROM jobs WHERE TRUE \(condition)") ?? 0
        }
    }

    /// The job with that identity.
    package func job(_ job: JobID) throws(JobStorageError) -> JobRecord {
        try reading { database in try Self.record(of: job, in: database) }
    }

    /// Runs of a job in the order of their numbers.
    ///
    /// - Parameters:
    ///   - states: Only runs in one of these states; empty is all.
    ///   - number: Only runs behind that one: the last of the page before.
    ///   - limit: How many at most.
    package func runs(
        of job: JobID,
        states: Set<RunState> = [],
        after number: Int = -1,
        limit: Int = 1000
    ) throws(JobStorageError) -> [RunRecord] {
        try reading { database in
            let sequence = try Self.record(of: job, in: database).sequence
            let sql = """
                SELECT \(RunRecord.columns) FROM runs WHERE job = ? AND number > ?
                    \(Self.condition(on: "state", states.map(\.rawValue)))
                ORDER BY number LIMIT ?
                """
            let values: StatementArguments = [sequence, number, max(limit, 0)]
            return try Row.fetchAll(database, sql: sql, arguments: values).map(RunRecord.init(row:))
        }
    }

    /// How many runs of a job are in one of these states; empty is all.
    package func runCount(of job: JobID, states: Set<RunState> = []) throws(JobStorageError) -> Int {
        try reading { database in
            let sequence = try Self.record(of: job, in: database).sequence
            let condition = Self.condition(on: "state", states.map(\.rawValue))
            let sql = "SELECT count(*) FROM runs WHERE job = ? \(condition)"
            return try Int.fetchOne(database, sql: sql, arguments: [sequence]) ?? 0
        }
    }

    /// The run at that address.
    package func run(_ run: RunAddress) throws(JobStorageError) -> RunRecord {
        try reading { database in try Self.record(of: run, in: database) }
    }

    /// The steps of a run in the order of its pipeline.
    package func steps(of run: RunAddress) throws(JobStorageError) -> [StepRecord] {
        try reading { database in
            let row = try Self.rowOfRun(run, in: database)
            let sql = "SELECT * FROM steps WHERE run = ? ORDER BY position, uuid"
            return try Row.fetchAll(database, sql: sql, arguments: [row]).map(StepRecord.init(row:))
        }
    }

    /// All runs with an attempt being made, of all jobs, the oldest job first.
    package func runningRuns() throws(JobStorageError) -> [RunRecord] {
        try reading { database in try Self.running("", in: database) }
    }

    /// Those running runs whose end somebody has asked for.
    package func cancelledRunningRuns() throws(JobStorageError) -> [RunRecord] {
        try reading { database in try Self.running("AND is_cancelled = 1", in: database) }
    }

    private static func running(_ condition: String, in database: Database) throws -> [RunRecord] {
        // The jobs first: their index is small, while all runs ever made may be millions.
        let sql = """
            SELECT \(RunRecord.columns) FROM runs
            WHERE job IN (SELECT id FROM jobs WHERE running > 0) AND state = 'running' \(condition)
            ORDER BY job, number
            """
        return try Row.fetchAll(database, sql: sql).map(RunRecord.init(row:))
    }

    /// `AND column IN (…)`, or nothing for no values; the values are raw values of our own enums.
    static func condition(on column: String, _ values: [String]) -> String {
        if values.isEmpty { return "" }
        return "AND \(column) IN (" + values.sorted().map { "'\($0)'" }.joined(separator: ", ") + ")"
    }
}

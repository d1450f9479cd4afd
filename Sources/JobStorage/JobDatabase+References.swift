import GRDB
package import Jobs

extension JobDatabase {
    /// The job that is meant by a reference.
    ///
    /// A name that a job has means that job, whatever else it could mean; else it is the beginning of an identity.
    ///
    /// - Parameters:
    ///   - reference: How the job is named.
    ///   - owner: Only jobs of that user id; nil is all.
    /// - Throws: `notFound` with the nearest names, or `ambiguous` with the candidates.
    package func job(
        matching reference: RunReference.Job,
        owner: UInt32? = nil
    ) throws(JobStorageError) -> JobRecord {
        try reading { database in
            let name: String
            let found: [JobRecord]
            switch reference {
            case .last:
                name = "@last"
                found = try Self.candidates("1 = 1 ORDER BY id DESC LIMIT 1", owner: owner, in: database)
            case .named(let text):
                name = text
                found = try Self.candidates(named: text, owner: owner, in: database)
            }
            guard let job = found.first else {
                throw JobStorageError.notFound(name, nearest: try Self.nearest(to: name, owner: owner, in: database))
            }
            guard found.count == 1 else {
                throw JobStorageError.ambiguous(name, candidates: found.map { "\($0.uuid) (\($0.name))" })
            }
            return job
        }
    }

    /// The run with that number of a job.
    ///
    /// - Throws: `noSuchRun` with how many runs the job has had.
    package func run(_ number: Int, of job: JobRecord) throws(JobStorageError) -> RunRecord {
        try run(RunAddress(job: job.uuid, number: number))
    }

    static func record(of job: JobID, in database: Database) throws -> JobRecord {
        let statement = try database.cachedStatement(sql: "SELECT \(JobRecord.columns) FROM jobs WHERE uuid = ?")
        guard let row = try Row.fetchOne(statement, arguments: [job.description]) else {
            throw JobStorageError.notFound(job.description, nearest: [])
        }
        return try JobRecord(row: row)
    }

    static func record(of run: RunAddress, in database: Database) throws -> RunRecord {
        let statement = try database.cachedStatement(
            sql: """
                SELECT \(RunRecord.columns) FROM runs
                WHERE number = ? AND job = (SELECT id FROM jobs WHERE uuid = ?)
                """
        )
        guard let row = try Row.fetchOne(statement, arguments: [run.number, run.job.description]) else {
            throw try missing(run, in: database)
        }
        return try RunRecord(row: row)
    }

    /// The key of a run in its table.
    static func rowOfRun(_ run: RunAddress, in database: Database) throws -> Int64 {
        let statement = try database.cachedStatement(
            sql: "SELECT id FROM runs WHERE number = ? AND job = (SELECT id FROM jobs WHERE uuid = ?)"
        )
        guard let row = try Int64.fetchOne(statement, arguments: [run.number, run.job.description]) else {
            throw try missing(run, in: database)
        }
        return row
    }

    private static func missing(_ run: RunAddress, in database: Database) throws -> JobStorageError {
        let job = try record(of: run.job, in: database)
        let sql = "SELECT next_number FROM jobs WHERE id = ?"
        let count = try Int.fetchOne(database, sql: sql, arguments: [job.sequence]) ?? 0
        return .noSuchRun(job: job.name.description, number: run.number, count: count)
    }

    private static func candidates(named text: String, owner: UInt32?, in database: Database) throws -> [JobRecord] {
        let byName = try candidates("name = :text ORDER BY id DESC LIMIT 10", text, owner: owner, in: database)
        let isBeginning = text.utf8.allSatisfy { $0 == 45 || (48...57).contains($0) || (97...102).contains($0) }
        guard byName.isEmpty, isBeginning, text.utf8.count <= 36 else { return byName }
        // No character of an identity sorts behind `f`.
        let range = "uuid >= :text AND uuid < :text || 'g' ORDER BY id DESC LIMIT 10"
        return try candidates(range, text, owner: owner, in: database)
    }

    private static func candidates(
        _ condition: String,
        _ text: String? = nil,
        owner: UInt32?,
        in database: Database
    ) throws -> [JobRecord] {
        let sql = "SELECT \(JobRecord.columns) FROM jobs WHERE (:owner IS NULL OR owner = :owner) AND \(condition)"
        let values: [String: (any DatabaseValueConvertible)?] =
            text == nil ? ["owner": owner] : ["owner": owner, "text": text]
        return try Row.fetchAll(database, sql: sql, arguments: StatementArguments(values)).map(JobRecord.init(row:))
    }

    private static func nearest(to name: String, owner: UInt32?, in database: Database) throws -> [String] {
        let sql = "SELECT name FROM jobs WHERE (:owner IS NULL OR owner = :owner) ORDER BY id DESC LIMIT 1000"
        return NearestNames.of(name, in: try String.fetchAll(database, sql: sql, arguments: ["owner": owner]))
    }
}

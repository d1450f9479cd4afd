import GRDB
import Isolation
package import Jobs

extension JobDatabase {
    /// Adds a job and its runs, numbered from 0; a draft and a job with a schedule may have none yet.
    ///
    /// `parameters` is asked for one run after the other, so that a large grid is never in memory as a whole; it is
    /// asked again from the first run when another process was in the way.
    ///
    /// - Throws: `nameTaken` with a free name, `identityTaken`, or `runCount`.
    package func insert(
        _ document: JobDocument,
        runCount: Int,
        parameters: (Int) -> RunParameters
    ) throws(JobStorageError) {
        let fewest = document.schedule != nil || document.will.confirmed == nil ? 0 : 1
        guard (fewest...RunNumbers.largest + 1).contains(runCount) else { throw .runCount(runCount) }
        try writing(.synced) { database in
            if let proposal = try Self.proposal(for: document.name, owner: document.owner, in: database) {
                throw JobStorageError.nameTaken(document.name, proposal: proposal)
            }
            let known = "SELECT EXISTS (SELECT 1 FROM jobs WHERE uuid = ?)"
            if try Bool.fetchOne(database, sql: known, arguments: [document.uuid.description]) == true {
                throw JobStorageError.identityTaken(document.uuid)
            }
            let job = try Self.insert(JobRecord(sequence: 0, document: document), of: document, in: database)
            try Self.insertRuns(0..<runCount, of: job, parameters: parameters, in: database)
        }
    }

    /// Adds pending runs with these numbers to the job of a row, made for a time of its schedule or for none.
    static func insertRuns(
        _ numbers: Range<Int>, of job: Int64, scheduled: Timestamp? = nil, parameters: (Int) -> RunParameters,
        in database: Database
    ) throws {
        let insertion = try database.cachedStatement(
            sql: "INSERT INTO runs (job, number, label, parameters, scheduled_ms) VALUES (?, ?, ?, ?, ?)")
        for number in numbers {
            let parameters = parameters(number)
            let values: [(any DatabaseValueConvertible)?] = [
                job, number, parameters.label, parameters.json, scheduled?.milliseconds,
            ]
            try insertion.execute(arguments: StatementArguments(values))
        }
    }

    /// A name like `name` that no job of the owner has: itself, or itself with a number.
    package func freeName(like name: JobName, owner: UInt32) throws(JobStorageError) -> JobName {
        try reading { database in try Self.proposal(for: name, owner: owner, in: database) ?? name }
    }

    /// Gives the job another name.
    package func rename(_ job: JobID, to name: JobName) throws(JobStorageError) {
        try writing(.synced) { database in
            let record = try Self.record(of: job, in: database)
            if record.name.description == name.description { return }
            if let proposal = try Self.proposal(for: name, owner: record.owner, in: database) {
                throw JobStorageError.nameTaken(name, proposal: proposal)
            }
            let values: StatementArguments = [name.description, record.sequence]
            try database.execute(sql: "UPDATE jobs SET name = ? WHERE id = ?", arguments: values)
        }
    }

    /// A free name to use in place of `name`; nil if `name` is free itself.
    static func proposal(for name: JobName, owner: UInt32, in database: Database) throws -> JobName? {
        let taken = try database.cachedStatement(sql: "SELECT EXISTS (SELECT 1 FROM jobs WHERE owner = ? AND name = ?)")
        func isTaken(_ name: JobName) throws -> Bool {
            try Bool.fetchOne(taken, arguments: [owner, name.description]) ?? false
        }
        guard try isTaken(name) else { return nil }
        // Doubling, then halving: names that end in numbers may be many.
        var (free, last) = (2, 1)
        while try isTaken(name.numbered(free)) { (last, free) = (free, free * 2) }
        while free - last > 1 {
            let middle = (free + last) / 2
            if try isTaken(name.numbered(middle)) { last = middle } else { free = middle }
        }
        return name.numbered(free)
    }

    /// Adds the row of a job as it is, and gives its sequence; the document has what is only looked for.
    static func insert(_ job: JobRecord, of document: JobDocument, in database: Database) throws -> Int64 {
        var values: [String: (any DatabaseValueConvertible)?] = [
            "uuid": job.uuid.description, "owner": job.owner, "name": job.name.description, "state": job.state.rawValue,
            "project_path": job.project.path, "project_name": job.project.name, "pipeline_path": job.pipelinePath,
            "pipeline_name": job.pipelineName, "policy_name": job.policyName, "created_ms": job.created.milliseconds,
            "started_ms": job.started?.milliseconds, "finished_ms": job.finished?.milliseconds,
            "cancelled_ms": job.cancelled?.milliseconds, "clock_ms": job.clock?.milliseconds,
            "timed_out_ms": job.timedOut?.milliseconds, "builds": builds(of: document),
        ]
        for more in [try optionColumns(of: job), try scheduleColumns(of: job)] {
            values.merge(more) { first, _ in first }
        }
        let columns = values.keys.sorted()
        let places = columns.map { ":" + $0 }.joined(separator: ", ")
        try database.execute(
            sql: "INSERT INTO jobs (\(columns.joined(separator: ", "))) VALUES (\(places))",
            arguments: StatementArguments(values)
        )
        return database.lastInsertedRowID
    }
}

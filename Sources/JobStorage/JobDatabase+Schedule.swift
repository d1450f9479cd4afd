import GRDB
package import Isolation
package import Jobs

/// One change of what a job's schedule has done, in one transaction.
package struct ScheduleStep: Sendable {
    /// What happens to the job first.
    package var event: JobEvent?
    /// The number of the batch whose runs are made; nil makes none.
    package var batch: Int?
    /// What is to be known afterwards.
    package var batches: JobBatches

    /// Makes a step.
    package init(_ event: JobEvent? = nil, batch: Int? = nil, then batches: JobBatches) {
        self.event = event
        self.batch = batch
        self.batches = batches
    }
}

extension JobDatabase {
    /// Takes a step of a job's schedule at `time`; a batch that is there already is not made again.
    ///
    /// `parameters` is asked for those of the run with that number in the life of the job.
    ///
    /// - Throws: `notFound`, `refused`, or `runCount` when its numbers are used up.
    package func take(
        _ step: ScheduleStep, of job: JobID, at time: Timestamp, parameters: (Int) -> RunParameters
    ) throws(JobStorageError) {
        try writing(.synced) { database in
            let record = try Self.record(of: job, in: database)
            if let batch = step.batch, batch < record.batches { return }
            var transaction = JobTransaction(record, at: time, in: database)
            try transaction.apply(step, parameters: parameters)
        }
    }

    /// The jobs with a batch that is due at `time`, the most overdue first, and those whose next batch was worked out
    /// later than `future`: the clock was set back since.
    package func dueJobs(at time: Timestamp, decidedAfter future: Timestamp) throws(JobStorageError) -> [JobID] {
        try reading { database in
            let sql = """
                SELECT uuid FROM jobs
                WHERE next_ms IS NOT NULL AND (next_ms <= :time OR next_decided_ms > :future)
                    AND state IN ('pending', 'running')
                ORDER BY next_ms, id
                """
            let values: StatementArguments = ["time": time.milliseconds, "future": future.milliseconds]
            return try String.fetchAll(database, sql: sql, arguments: values).compactMap(JobID.init)
        }
    }

    /// When the next batch of any job is due; nil when none is.
    package func nextScheduledTime() throws(JobStorageError) -> Timestamp? {
        try reading { database in
            let sql = """
                SELECT min(next_ms) FROM jobs WHERE next_ms IS NOT NULL AND state IN ('pending', 'running')
                """
            return try Int64.fetchOne(database, sql: sql).map(Timestamp.init(milliseconds:))
        }
    }

    /// When the first of the pending runs may begin that wait for another attempt, of one job or of all; nil when none
    /// waits.
    package func nextRetryTime(of job: JobID? = nil) throws(JobStorageError) -> Timestamp? {
        try reading { database in
            let sql = """
                SELECT min(runs.not_before_ms) FROM runs JOIN jobs ON jobs.id = runs.job
                WHERE runs.not_before_ms IS NOT NULL AND runs.state = 'pending'
                    AND jobs.state IN ('pending', 'running') AND jobs.cancelled_ms IS NULL
                    AND (:job IS NULL OR jobs.uuid = :job)
                """
            return try Int64.fetchOne(database, sql: sql, arguments: ["job": job?.description])
                .map(Timestamp.init(milliseconds:))
        }
    }

    /// Takes over what a job's document says now of its name, policy, options and schedule.
    ///
    /// - Throws: `notFound`, or `nameTaken`.
    package func update(_ document: JobDocument) throws(JobStorageError) {
        try writing(.synced) { database in
            let old = try Self.record(of: document.uuid, in: database)
            if old.name.description != document.name.description,
                let proposal = try Self.proposal(for: document.name, owner: old.owner, in: database)
            {
                throw JobStorageError.nameTaken(document.name, proposal: proposal)
            }
            let new = JobRecord(sequence: old.sequence, document: document)
            var values = try Self.optionColumns(of: new).merging(try Self.scheduleColumns(of: new)) { first, _ in first
            }
            values["name"] = new.name.description
            values["policy_name"] = new.policyName
            let assignments = values.keys.sorted().map { "\($0) = :\($0)" }.joined(separator: ", ")
            values["id"] = old.sequence
            try database.execute(
                sql: "UPDATE jobs SET \(assignments) WHERE id = :id", arguments: StatementArguments(values))
        }
    }

    /// Brings the settings of a job to those of its document, where whoever changed it was interrupted in between.
    ///
    /// A name that another job has got meanwhile is not taken, and batches that have no rows yet are made by their maker.
    package func align(_ document: JobDocument) throws(JobStorageError) {
        let isAligned = try reading { database in
            // A job without a row is found by a rebuild.
            guard let old = try Self.knownRecord(of: document.uuid, in: database) else { return true }
            return try Self.changes(from: old, to: document, in: database).isEmpty
        }
        if isAligned { return }
        try writing(.synced) { database in
            guard let old = try Self.knownRecord(of: document.uuid, in: database) else { return }
            var values = try Self.changes(from: old, to: document, in: database)
            let assignments = values.keys.sorted().map { "\($0) = :\($0)" }.joined(separator: ", ")
            if values.isEmpty { return }
            values["id"] = old.sequence
            try database.execute(
                sql: "UPDATE jobs SET \(assignments) WHERE id = :id", arguments: StatementArguments(values))
        }
    }

    private static func knownRecord(of job: JobID, in database: Database) throws -> JobRecord? {
        do {
            return try record(of: job, in: database)
        } catch JobStorageError.notFound {
            return nil
        }
    }

    /// The columns of a job's settings in which its row differs from its document.
    private static func changes(
        from old: JobRecord, to document: JobDocument, in database: Database
    ) throws -> [String: (any DatabaseValueConvertible)?] {
        guard old.batches == document.batches.made else { return [:] }
        let new = JobRecord(sequence: old.sequence, document: document)
        var (before, after) = (try optionColumns(of: old), try optionColumns(of: new))
        if old.schedule != new.schedule || old.batchSize != new.batchSize {
            before.merge(try scheduleColumns(of: old)) { first, _ in first }
            after.merge(try scheduleColumns(of: new)) { first, _ in first }
        }
        before["policy_name"] = old.policyName
        after["policy_name"] = new.policyName
        if old.name.description != new.name.description,
            try proposal(for: new.name, owner: old.owner, in: database) == nil
        {
            after["name"] = new.name.description
        }
        return after.filter { key, value in before[key]??.databaseValue != value?.databaseValue }
    }

    static func optionColumns(of job: JobRecord) throws -> [String: (any DatabaseValueConvertible)?] {
        let options = job.options
        return [
            "max_parallel": options.maxParallel, "timeout_seconds": options.timeoutSeconds,
            "run_timeout_seconds": options.runTimeoutSeconds, "job_timeout_seconds": options.jobTimeoutSeconds,
            "keep_logs": options.keepLogs == true,
            "stop_on_failure": options.stopOnFailure, "retries": options.retries, "keep": options.keep,
            "retry_delay_seconds": options.retryDelaySeconds,
            "retry_on": try jsonText(options.retryOn),
        ]
    }

    static func scheduleColumns(of job: JobRecord) throws -> [String: (any DatabaseValueConvertible)?] {
        [
            "schedule": try jsonText(job.schedule), "batches": job.batches, "batch_size": job.batchSize,
            "batches_queue": job.schedule?.overlap == .queue, "next_ms": job.next?.milliseconds,
            "next_decided_ms": job.nextDecided?.milliseconds, "skipped_times": job.skipped?.count ?? 0,
            "skipped_ms": job.skipped?.last.milliseconds,
        ]
    }
}

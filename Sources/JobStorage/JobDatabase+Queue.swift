import GRDB
package import Isolation
package import Jobs

extension JobDatabase {
    /// Takes the next pending run for execution, as its next attempt; nil when there is none to take.
    ///
    /// Nothing is taken while `limit` runs of all jobs are running, nor beyond a job's own limit. Of several jobs,
    /// one with the fewest running runs comes first, then the oldest; so a short job never waits for a long one to
    /// end. Of one job, the run with the lowest number comes first.
    package func claimNextRun(
        of job: JobID? = nil,
        limit: Int,
        at time: Timestamp
    ) throws(JobStorageError) -> RunRecord? {
        try writing { database in
            let claim = try database.cachedStatement(sql: Self.claim)
            let values: StatementArguments = [
                "job": job?.description, "limit": limit, "time": time.milliseconds,
            ]
            guard let row = try Row.fetchOne(claim, arguments: values) else { return nil }
            let run = try RunRecord(row: row)
            // The statement above is the start itself: only the job's own state may have to follow.
            let statement = try database.cachedStatement(
                sql: """
                    UPDATE jobs SET state = 'running', started_ms = coalesce(started_ms, :time),
                        clock_ms = coalesce(clock_ms, :time)
                    WHERE uuid = :job AND (state = 'pending' OR clock_ms IS NULL)
                    """)
            try statement.execute(arguments: ["time": time.milliseconds, "job": run.address.job.description])
            return run
        }
    }

    /// Jobs of which a run could be claimed, in the order of `claimNextRun`, at most `count`.
    package func jobsWithWork(count: Int) throws(JobStorageError) -> [JobID] {
        try reading { database in
            let statement = try database.cachedStatement(
                sql: """
                    SELECT uuid FROM jobs
                    WHERE state IN ('pending', 'running') AND pending > 0 AND cancelled_ms IS NULL
                        AND (max_parallel IS NULL OR running < max_parallel)
                    ORDER BY running, id LIMIT ?
                    """)
            return try String.fetchAll(statement, arguments: [count]).compactMap(JobID.init)
        }
    }

    /// How many runs of all jobs are running.
    package func runningCount() throws(JobStorageError) -> Int {
        try reading { database in
            let sql = "SELECT coalesce(sum(running), 0) FROM jobs WHERE running > 0"
            return try Int.fetchOne(database, sql: sql) ?? 0
        }
    }

    /// The run that would be claimed next, regardless of the limits.
    package func nextPendingRun(of job: JobID? = nil) throws(JobStorageError) -> RunRecord? {
        try reading { database in
            let sql = """
                SELECT \(RunRecord.columns) FROM runs JOIN jobs ON jobs.id = runs.job
                WHERE jobs.id = (
                    SELECT id FROM jobs WHERE state IN ('pending', 'running') AND pending > 0 AND cancelled_ms IS NULL
                        AND (:job IS NULL OR uuid = :job)
                    ORDER BY running, id LIMIT 1
                ) AND runs.state = 'pending'
                ORDER BY runs.number LIMIT 1
                """
            return try Row.fetchOne(database, sql: sql, arguments: ["job": job?.description]).map(RunRecord.init(row:))
        }
    }

    /// Notes that the executor of a running run makes the attempt of that number, which is never lowered.
    package func beginAttempt(_ attempt: Int, of run: RunAddress) throws(JobStorageError) {
        try writing { database in
            let record = try Self.record(of: run, in: database)
            guard record.state == .running, attempt >= record.attempt else {
                throw JobStorageError.staleAttempt(run, attempt: attempt, newest: record.attempt)
            }
            let sql = """
                UPDATE runs SET attempt = ?
                WHERE number = ? AND job = (SELECT id FROM jobs WHERE uuid = ?)
                """
            try database.execute(sql: sql, arguments: [attempt, run.number, run.job.description])
        }
    }

    /// Ends an attempt with its verdict, and gives the run as it is then: ended, or pending for another attempt.
    ///
    /// `metrics` is JSON text of what the attempt measured; nil where that is not known.
    ///
    /// - Throws: `notFound`, `noSuchRun`, `staleAttempt` when a newer attempt has begun, or `refused` when the run is
    ///   not running.
    @discardableResult
    package func finish(
        _ run: RunAddress,
        attempt: Int,
        verdict: Verdict,
        metrics: String? = nil,
        at time: Timestamp
    ) throws(JobStorageError) -> RunRecord {
        try writing { database in
            let newest = try Self.record(of: run, in: database).attempt
            guard attempt == newest else {
                throw JobStorageError.staleAttempt(run, attempt: attempt, newest: newest)
            }
            var record = try Self.apply(.end(verdict.cause), verdict: verdict, to: run, at: time, in: database)
            record.metrics = metrics
            let row = try Self.rowOfRun(run, in: database)
            try Self.write(metrics: metrics, ofRow: row, in: database)
            try Self.endSteps(ofRow: row, with: verdict, at: time, in: database)
            return record
        }
    }

    /// No step outlives its run.
    static func endSteps(
        ofRow run: Int64, with verdict: Verdict, at time: Timestamp, in database: Database
    ) throws {
        let statement = try database.cachedStatement(
            sql: "SELECT * FROM steps WHERE run = ? AND state IN ('pending', 'running')")
        for row in try Row.fetchAll(statement, arguments: [run]) {
            var step = try StepRecord(row: row)
            step.end(withRun: verdict, at: time)
            try write(step, ofRow: run, in: database)
        }
    }

    /// Writes what is known of steps; what is known from a newer attempt stays.
    package func record(_ steps: [StepRecord], of run: RunAddress) throws(JobStorageError) {
        if steps.isEmpty { return }
        try writing { database in
            let row = try Self.rowOfRun(run, in: database)
            for step in steps { try Self.write(step, ofRow: row, in: database) }
        }
    }

    static func write(_ step: StepRecord, ofRow run: Int64, in database: Database) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO steps (run, uuid, title, position, attempt, state, verdict, usage, started_ms, finished_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (run, uuid) DO UPDATE SET title = excluded.title, position = excluded.position,
                    attempt = excluded.attempt, state = excluded.state, verdict = excluded.verdict,
                    usage = excluded.usage, started_ms = excluded.started_ms, finished_ms = excluded.finished_ms
                WHERE excluded.attempt >= steps.attempt
                """
        )
        try statement.execute(arguments: [
            run, step.uuid, step.title, step.position, step.attempt, step.state.rawValue, try jsonText(step.verdict),
            try jsonText(step.usage), step.started?.milliseconds, step.finished?.milliseconds,
        ])
    }

    /// Whether a job has a run that may start now: its wait for another attempt is over, and where batches queue, no
    /// earlier one goes on.
    private static let ready = """
        EXISTS (
            SELECT 1 FROM runs AS ready
            WHERE ready.job = jobs.id AND ready.state = 'pending'
                AND (ready.not_before_ms IS NULL OR ready.not_before_ms <= :time)
                AND (jobs.batches_queue = 0 OR NOT EXISTS (
                    SELECT 1 FROM runs AS earlier
                    WHERE earlier.job = jobs.id AND earlier.state IN ('pending', 'running')
                        AND earlier.number < ready.number - ready.number % jobs.batch_size
                ))
        )
        """

    private static let claim = """
        UPDATE runs SET state = 'running', attempt = attempt + 1, started_ms = :time, is_cancelled = 0,
            not_before_ms = NULL, files_removed_ms = NULL
        WHERE id = (
            SELECT candidate.id FROM runs AS candidate
            WHERE candidate.state = 'pending' AND (candidate.not_before_ms IS NULL OR candidate.not_before_ms <= :time)
                AND candidate.job = (
                SELECT jobs.id FROM jobs
                WHERE jobs.state IN ('pending', 'running') AND jobs.pending > 0 AND jobs.cancelled_ms IS NULL
                    AND \(ready)
                    AND (jobs.max_parallel IS NULL OR jobs.running < jobs.max_parallel)
                    AND (:job IS NULL OR jobs.uuid = :job)
                    AND (SELECT coalesce(sum(busy.running), 0) FROM jobs AS busy WHERE busy.running > 0) < :limit
                ORDER BY jobs.running, jobs.id LIMIT 1
            )
            ORDER BY candidate.number LIMIT 1
        )
        RETURNING \(RunRecord.columns)
        """
}

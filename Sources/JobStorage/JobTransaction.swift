import GRDB
import Isolation
import Jobs

/// One job within a transaction: its record, and how changes of its life are written.
struct JobTransaction {
    private let database: Database
    private let time: Timestamp
    private let sequence: Int64
    private var record: JobRecord
    private var life: JobLifecycle

    /// Begins to change `job` at `time`.
    init(_ job: JobID, at time: Timestamp, in database: Database) throws {
        self.init(try JobDatabase.record(of: job, in: database), at: time, in: database)
    }

    /// Begins to change the job of `record` at `time`.
    init(_ record: JobRecord, at time: Timestamp, in database: Database) {
        self.database = database
        self.time = time
        self.record = record
        sequence = record.sequence
        life = record.lifecycle
    }

    /// What the job is called.
    var name: JobName { record.name }

    /// Lets `event` happen to the job.
    mutating func apply(_ event: JobEvent) throws -> JobState {
        do {
            let consequence = try life.apply(event)
            if event == .cancel { record.cancelled = time }
            try carryOut(consequence, after: nil)
        } catch let refusal as RefusedTransition {
            throw JobStorageError.refused(record.name.description, refusal)
        }
        try write()
        return life.state
    }

    /// The job's time is over: gives the numbers of the runs that this ended, or asked to end.
    mutating func expire() throws -> RunNumbers {
        do throws(RefusedTransition) { try life.expire() } catch {
            throw JobStorageError.refused(record.name.description, error)
        }
        let open = "SELECT number FROM runs WHERE job = ? AND state IN ('pending', 'running')"
        let numbers = RunNumbers(try Int.fetchAll(database, sql: open, arguments: [sequence]))
        try endPendingRuns(as: .cancelled, TimeLimit.verdict(ofWaitingFor: record.options.jobTimeoutSeconds))
        try askForEnds()
        try write()
        try database.execute(sql: "UPDATE jobs SET clock_ms = NULL WHERE id = ?", arguments: [sequence])
        return numbers
    }

    /// Cancels those of the runs that are in one of these states, and gives their numbers.
    mutating func cancel(_ runs: RunNumbers, in states: Set<RunState>) throws -> RunNumbers {
        let verdict = try jsonText(Verdict(.cancelled, "the run was cancelled before it started"))
        var pending: [Int] = [], running: [Int] = []
        let end = try database.cachedStatement(
            sql: """
                UPDATE runs SET state = 'cancelled', is_cancelled = 1, verdict = ?, started_ms = NULL, finished_ms = ?,
                    not_before_ms = NULL
                WHERE job = ? AND number BETWEEN ? AND ? AND state = 'pending' RETURNING number
                """)
        let ask = try database.cachedStatement(
            sql: """
                UPDATE runs SET is_cancelled = 1
                WHERE job = ? AND number BETWEEN ? AND ? AND state = 'running' RETURNING number
                """)
        for range in runs.ranges {
            let (first, last) = (range.lowerBound, range.upperBound)
            if states.contains(.pending) {
                pending += try Int.fetchAll(
                    end, arguments: [verdict, time.milliseconds, sequence, first, last])
            }
            if states.contains(.running) { running += try Int.fetchAll(ask, arguments: [sequence, first, last]) }
        }
        if !pending.isEmpty {
            try carryOut(life.cancel(pending: pending.count), after: nil)
            try write()
        }
        return RunNumbers((pending + running).sorted())
    }

    /// Lets `change` happen to a run of the job, with the verdict that caused it, and gives the run as it is then.
    mutating func apply(_ change: RunChange, verdict: Verdict?, to run: RunRecord) throws -> RunRecord {
        var changed = run
        var runLife = run.lifecycle
        do {
            let consequence = try life.apply(change, to: &runLife)
            changed.lifecycle = runLife
            changed.verdict = runLife.state.isFinal ? Verdict.ofRun(verdict, endedAs: runLife.state) : nil
            changed.finished = runLife.state.isFinal ? time : nil
            // What waits has not started, and what is ended for another reason than its attempt is ended as it waits.
            let endedByAttempt = run.state == .running && changed.verdict != nil && changed.verdict == verdict
            if runLife.state != .running, !endedByAttempt { changed.started = nil }
            let isRetry = runLife.state == .pending && runLife.failures > run.lifecycle.failures
            changed.notBefore = isRetry ? record.options.retryTime(failures: runLife.failures, at: time) : nil
            // The run first: what follows for the others must not meet it as it was.
            try write(changed)
            try carryOut(consequence, after: run.address.number)
        } catch let refusal as RefusedTransition {
            throw JobStorageError.refused("\(record.name)/\(run.address.number)", refusal)
        }
        try write()
        return changed
    }

    /// Takes a step of the job's schedule.
    mutating func apply(_ step: ScheduleStep, parameters: (Int) -> RunParameters) throws {
        do throws(RefusedTransition) {
            if let event = step.event { _ = try life.apply(event) }
            let size = step.batch == nil ? 0 : record.batchSize ?? 0
            try life.add(size, awaitsMore: step.batches.next != nil)
        } catch {
            throw JobStorageError.refused(record.name.description, error)
        }
        if let batch = step.batch {
            let numbers = batch * (record.batchSize ?? 0)..<(batch + 1) * (record.batchSize ?? 0)
            guard numbers.upperBound <= RunNumbers.largest + 1 else {
                throw JobStorageError.runCount(numbers.upperBound)
            }
            try JobDatabase.insertRuns(
                numbers, of: sequence, scheduled: step.batches.times?[batch], parameters: parameters, in: database)
        }
        record.next = step.batches.next
        try write()
        try database.execute(
            sql: """
                UPDATE jobs SET batches = ?, next_decided_ms = ?, skipped_times = ?, skipped_ms = ? WHERE id = ?
                """,
            arguments: [
                step.batches.made, step.batches.decided?.milliseconds, step.batches.skipped?.count ?? 0,
                step.batches.skipped?.last.milliseconds, sequence,
            ])
    }

    private func carryOut(_ consequence: JobConsequence?, after failed: Int?) throws {
        switch consequence {
        case nil:
            return
        case .cancelRuns:
            try endPendingRuns(as: .cancelled, Verdict(.cancelled, "the job was cancelled before the run started"))
            try askForEnds()
        case .skipPendingRuns:
            let detail = failed.map { ["failed_run": Verdict.Fact.integer(Int64($0))] } ?? [:]
            let summary = "another run of the job failed before the run started"
            try endPendingRuns(as: .skipped, Verdict(.dependencyFailed, summary, detail: detail))
        }
    }

    /// Notes that somebody asked for the ends of the runs that go on, and of those that have been cancelled.
    private func askForEnds() throws {
        try database.execute(
            sql: "UPDATE runs SET is_cancelled = 1 WHERE job = ? AND state IN ('running', 'cancelled')",
            arguments: [sequence])
    }

    private func endPendingRuns(as state: RunState, _ verdict: Verdict) throws {
        try database.execute(
            sql: """
                UPDATE runs SET state = ?, verdict = ?, started_ms = NULL, finished_ms = ?
                WHERE job = ? AND state = 'pending'
                """,
            arguments: [state.rawValue, try jsonText(verdict), time.milliseconds, sequence]
        )
    }

    private func write(_ run: RunRecord) throws {
        let statement = try database.cachedStatement(
            sql: """
                UPDATE runs SET state = ?, is_cancelled = ?, failures = ?, losses = ?, verdict = ?, started_ms = ?,
                    finished_ms = ?, not_before_ms = ?
                WHERE job = ? AND number = ?
                """
        )
        let life = run.lifecycle
        try statement.execute(arguments: [
            life.state.rawValue, life.isCancelled, life.failures, life.losses, try jsonText(run.verdict),
            run.started?.milliseconds, run.finished?.milliseconds, run.notBefore?.milliseconds, sequence,
            run.address.number,
        ])
    }

    private mutating func write() throws {
        let hasStarted = record.started != nil || life.state == .running
        record.started = hasStarted ? record.started ?? time : nil
        record.finished = life.state.isFinal ? record.finished ?? time : nil
        record.cancelled = life.isCancelled ? record.cancelled ?? time : nil
        record.timedOut = life.isTimedOut ? record.timedOut ?? time : nil
        let statement = try database.cachedStatement(
            sql: """
                UPDATE jobs SET state = ?, started_ms = ?, finished_ms = ?, cancelled_ms = ?, next_ms = ?,
                    timed_out_ms = ?, clock_ms = CASE WHEN ? THEN clock_ms END
                WHERE id = ?
                """
        )
        try statement.execute(arguments: [
            life.state.rawValue, record.started?.milliseconds, record.finished?.milliseconds,
            record.cancelled?.milliseconds, life.awaitsBatches ? record.next?.milliseconds : nil,
            record.timedOut?.milliseconds, life.counts.pending + life.counts.running > 0, sequence,
        ])
    }
}

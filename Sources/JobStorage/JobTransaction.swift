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
        let limit = record.options.jobTimeoutSeconds
        try endPendingRuns(as: .cancelled) { TimeLimit.verdict(ofWaitingFor: limit, wasBegun: $0) }
        try askForEnds()
        try write()
        try database.execute(sql: "UPDATE jobs SET clock_ms = NULL WHERE id = ?", arguments: [sequence])
        return numbers
    }

    /// Cancels those of the runs that are in one of these states, and gives their numbers.
    mutating func cancel(_ runs: RunNumbers, in states: Set<RunState>) throws -> RunNumbers {
        var pending: [Int] = [], running: [Int] = [], failed = 0
        let ask = try database.cachedStatement(
            sql: """
                UPDATE runs SET is_cancelled = 1
                WHERE job = ? AND number BETWEEN ? AND ? AND state = 'running' RETURNING number
                """)
        for range in runs.ranges {
            let (first, last) = (range.lowerBound, range.upperBound)
            if states.contains(.pending) {
                let ended = try endPendingRuns(first...last, as: .cancelled) { .cancelledAsItWaited(wasBegun: $0) }
                pending += ended.numbers
                failed += ended.failed
            }
            if states.contains(.running) { running += try Int.fetchAll(ask, arguments: [sequence, first, last]) }
        }
        if !pending.isEmpty {
            try carryOut(life.cancel(pending: pending.count, failed: failed), after: nil)
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
            changed.conclude(run, verdict, at: time)
            let isRetry = runLife.state == .pending && runLife.failures > run.lifecycle.failures
            changed.notBefore = isRetry ? record.options.retryTime(failures: runLife.failures, at: time) : nil
            // The run first: what follows for the others must not meet it as it was.
            try write(changed)
            if run.state == .pending, changed.state.isFinal { try endSteps(of: [run.address.number]) }
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

    private mutating func carryOut(_ consequence: JobConsequence?, after failed: Int?) throws {
        switch consequence {
        case nil:
            return
        case .cancelRuns:
            try endPendingRuns(as: .cancelled) { wasBegun in
                Verdict(.cancelled, "the job was cancelled before \(wasBegun ? "the run went on" : "the run started")")
            }
            try askForEnds()
        case .skipPendingRuns:
            let detail = failed.map { ["failed_run": Verdict.Fact.integer(Int64($0))] } ?? [:]
            try endPendingRuns(as: .skipped) { wasBegun in
                let time = wasBegun ? "the run went on" : "the run started"
                return Verdict(.dependencyFailed, "another run of the job failed before \(time)", detail: detail)
            }
        }
    }

    /// Notes that somebody asked for the ends of the runs that go on, and of those that have been cancelled.
    private func askForEnds() throws {
        try database.execute(
            sql: "UPDATE runs SET is_cancelled = 1 WHERE job = ? AND state IN ('running', 'cancelled')",
            arguments: [sequence])
    }

    /// Ends all pending runs as they wait.
    private mutating func endPendingRuns(as state: RunState, _ verdict: (Bool) -> Verdict) throws {
        let ended = try endPendingRuns(0...RunNumbers.largest, as: state, verdict)
        life.keepFailed(ended.failed, insteadOf: state)
    }

    /// Ends the pending ones of these runs: those that have failed as that, and the others as `state`.
    ///
    /// `verdict` is that of a run of which an attempt was begun, or none.
    private func endPendingRuns(
        _ runs: ClosedRange<Int>, as state: RunState, _ verdict: (_ wasBegun: Bool) -> Verdict
    ) throws -> (numbers: [Int], failed: Int) {
        let fail = try database.cachedStatement(
            sql: """
                UPDATE runs SET state = 'failed', is_cancelled = is_cancelled OR ?, verdict = failure,
                    started_ms = failure_started_ms, finished_ms = failure_finished_ms, not_before_ms = NULL,
                    failure = NULL, failure_started_ms = NULL, failure_finished_ms = NULL
                WHERE job = ? AND number BETWEEN ? AND ? AND state = 'pending' AND failure IS NOT NULL
                RETURNING number
                """)
        let end = try database.cachedStatement(
            sql: """
                UPDATE runs SET state = ?, is_cancelled = is_cancelled OR ?,
                    verdict = CASE WHEN attempt > 0 THEN ? ELSE ? END, started_ms = NULL, finished_ms = ?,
                    not_before_ms = NULL
                WHERE job = ? AND number BETWEEN ? AND ? AND state = 'pending'
                RETURNING number
                """)
        let isCancelled = state == .cancelled
        let (first, last) = (runs.lowerBound, runs.upperBound)
        let failed = try Int.fetchAll(fail, arguments: [isCancelled, sequence, first, last])
        let ended = try Int.fetchAll(
            end,
            arguments: [
                state.rawValue, isCancelled, try jsonText(verdict(true)), try jsonText(verdict(false)),
                time.milliseconds, sequence, first, last,
            ])
        try endSteps(of: ended)
        return (failed + ended, failed.count)
    }

    /// Steps of an attempt that was interrupted do not wait any more, where their runs do not.
    private func endSteps(of runs: [Int]) throws {
        if runs.isEmpty { return }
        let statement = try database.cachedStatement(
            sql: """
                SELECT id, verdict FROM runs
                WHERE job = ? AND number BETWEEN ? AND ? AND attempt > 0 AND finished_ms IS NOT NULL AND EXISTS (
                    SELECT 1 FROM steps WHERE steps.run = runs.id AND steps.state = 'pending')
                """)
        let rows = try Row.fetchAll(
            statement, arguments: [sequence, runs.min() ?? 0, runs.max() ?? 0])
        for row in rows {
            guard let verdict: Verdict = try row.json("verdict") else { continue }
            try JobDatabase.endSteps(ofRow: try row.value("id"), with: verdict, at: time, in: database)
        }
    }

    private func write(_ run: RunRecord) throws {
        let statement = try database.cachedStatement(
            sql: """
                UPDATE runs SET state = ?, is_cancelled = ?, failures = ?, losses = ?, verdict = ?, started_ms = ?,
                    finished_ms = ?, not_before_ms = ?, failure = ?, failure_started_ms = ?, failure_finished_ms = ?
                WHERE job = ? AND number = ?
                """
        )
        let life = run.lifecycle
        try statement.execute(arguments: [
            life.state.rawValue, life.isCancelled, life.failures, life.losses, try jsonText(run.verdict),
            run.started?.milliseconds, run.finished?.milliseconds, run.notBefore?.milliseconds,
            try jsonText(run.failure?.verdict), run.failure?.started?.milliseconds,
            run.failure?.finished.milliseconds, sequence, run.address.number,
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

extension RunRecord {
    /// Takes over what the change of its life means, from what it was `before`; `verdict` is what caused it.
    fileprivate mutating func conclude(_ before: RunRecord, _ verdict: Verdict?, at time: Timestamp) {
        if state.isFinal {
            let own = Verdict.ofRun(verdict, endedAs: state)
            if let failure, state == .failed, verdict.map({ RunState(after: $0.cause) }) != .failed {
                // It ended as it waited, and is what its last attempt made of it.
                (self.verdict, started, finished) = (failure.verdict, failure.started, failure.finished)
            } else {
                // What is ended for another reason than its attempt has no start.
                if before.state != .running || own != verdict { started = nil }
                (self.verdict, finished) = (own, time)
            }
            failure = nil
            return
        }
        if before.state.isFinal, let verdict = before.verdict, before.state == .failed {
            failure = Failure(verdict, started: before.started, finished: before.finished ?? time)
        } else if before.state == .running, let verdict, RunState(after: verdict.cause) == .failed {
            failure = Failure(verdict, started: before.started, finished: time)
        }
        (self.verdict, finished) = (nil, nil)
        if state != .running { started = nil }
    }
}

package import Isolation

/// What the directories of a job and its runs tell, from which the database can be made anew.
package struct JobFacts: Sendable {
    /// The content of its `job.json`.
    package var document: JobDocument
    /// How many runs it has had made, deleted ones included.
    package var runCount: Int
    /// The runs that have a directory, in any order.
    package var runs: [RunFacts]

    /// Makes facts.
    package init(document: JobDocument, runCount: Int, runs: [RunFacts]) {
        self.document = document
        self.runCount = runCount
        self.runs = runs
    }

    /// The life of the job and of those of its runs that were not deleted, by their number.
    ///
    /// A retry that had been asked for and had not started is forgotten, as nothing on disk tells of it.
    package func lives() -> (job: JobLifecycle, runs: [Int: RunLifecycle]) {
        let will = document.will
        var lives: [Int: RunLifecycle] = [:]
        for run in runs { lives[run.number] = run.life(document.options) }
        let removed = will.removed
        let numbers = RunNumbers(first: runCount).subtracting(removed)
        // Of a job that goes on for ever, a failure stops its own batch.
        let span = document.schedule?.isRecurring == true ? max(1, document.batchSize) : Int.max
        var failed = Set(
            (will.removedRuns[.failed] ?? RunNumbers()).ranges.flatMap { [$0.lowerBound / span, $0.upperBound / span] })
        for (number, life) in lives where life.state == .failed { failed.insert(number / span) }
        var counts = JobCounts()
        for (state, runs) in will.removedRuns { counts[state] += runs.count }
        var kept: [Int: RunLifecycle] = [:]
        for number in numbers.numbers {
            var life = lives[number] ?? RunLifecycle()
            if will.cancelled != nil || will.cancelledRuns.contains(number) { life.askForEnd() }
            if document.options.stopOnFailure, life.state == .pending, failed.contains(number / span) {
                life.endWaiting(as: .skipped)
            }
            counts[life.state] += 1
            kept[number] = life
        }
        let hasStarted = runs.contains { !$0.attempts.isEmpty }
        let job = JobLifecycle(
            will: will, counts: counts, hasStarted: hasStarted, awaitsBatches: document.batches.next != nil,
            options: document.options)
        return (job, kept)
    }
}

/// What the directory of a run tells.
package struct RunFacts: Sendable {
    /// What the directory of one attempt tells.
    package struct Attempt: Sendable, Hashable {
        /// The number of the attempt, from 1.
        package var number: Int
        /// When it began.
        package var started: Timestamp?
        /// With what it ended; nil while it goes on.
        package var verdict: Verdict?
        /// When it ended.
        package var finished: Timestamp?

        /// Makes an attempt.
        package init(number: Int, started: Timestamp?, verdict: Verdict? = nil, finished: Timestamp? = nil) {
            self.number = number
            self.started = started
            self.verdict = verdict
            self.finished = finished
        }
    }

    /// The number of the run in the life of its job.
    package var number: Int
    /// Its attempts, in ascending order.
    package var attempts: [Attempt]
    /// The steps of the newest attempt that has any.
    package var steps: [StepRecord]
    /// JSON text of what the newest attempt measured; nil where that was not read.
    package var metrics: String?
    /// The time of the job's schedule for which it was made; nil where that is not told.
    package var scheduled: Timestamp?
    /// When its files were removed; nil where all are there.
    package var filesRemoved: Timestamp?

    /// Makes facts.
    package init(number: Int, attempts: [Attempt], steps: [StepRecord] = []) {
        self.number = number
        self.attempts = attempts
        self.steps = steps
    }

    /// The attempt whose verdict is that of the run: the newest that was not interrupted.
    package var decisive: Attempt? {
        attempts.last { $0.verdict != nil && $0.verdict?.cause != .interrupted }
    }

    func life(_ options: JobOptions) -> RunLifecycle {
        var life = RunLifecycle()
        for attempt in attempts {
            // Attempts after an end were asked for; one after a success was made by a second executor, and lost.
            if life.state.isFinal, (try? life.apply(.retry, options)) == nil { continue }
            guard (try? life.apply(.start, options)) != nil, let verdict = attempt.verdict else { return life }
            // The time of the job was over: no retry followed.
            if TimeLimit.job.isNamed(by: verdict) { life.askForEnd() }
            guard (try? life.apply(.end(verdict.cause), options)) != nil
            else { return life }
        }
        return life
    }
}

extension RunLifecycle {
    /// Cancels the run unless it has ended.
    fileprivate mutating func askForEnd() {
        guard !state.isFinal else { return }
        self = RunLifecycle(
            state: state, isCancelled: true, failures: failures, losses: losses, hasFailed: hasFailed)
        if state == .pending { endWaiting(as: .cancelled) }
    }
}

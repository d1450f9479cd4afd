import GRDB
import Glibc
import Isolation
package import Jobs

extension JobDatabase {
    /// Makes the database at `path` anew from what the directories tell, and puts it in the place of the old one.
    ///
    /// The old one may be damaged, of another format, or missing; it stays as it is until the new one is complete.
    /// No other process may have it open: the caller holds the lock of the store.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - facts: The jobs, in the order of their creation.
    ///   - parameters: What distinguishes the run of that number of a job.
    package static func rebuild(
        path: String,
        from facts: some Sequence<JobFacts>,
        parameters: (JobDocument, Int) -> RunParameters
    ) throws(JobStorageError) -> RebuildReport {
        let draft = path + ".rebuilding"
        // The old one's second name, if it has one.
        try syncDirectory(of: path)
        removeFiles(of: draft)
        defer { removeFiles(of: draft) }
        let database = try JobDatabase(path: draft)
        var report = RebuildReport()
        for job in facts { try database.insert(job, parameters: parameters, report: &report) }
        // Closing the only connection moves everything from the log into the file, and removes the log.
        try database.close()
        // An old log must never be applied to the new file, nor the old file be without it, at whatever instant the power
        // fails: of a log without a file SQLite takes no notice.
        for ending in ["", "-wal"] {
            unlink(path + ending)
            try syncDirectory(of: path)
        }
        unlink(path + "-shm")
        guard Glibc.rename(draft, path) == 0 else {
            throw .unusable(path: path, detail: String(cString: strerror(errno)))
        }
        try syncDirectory(of: path)
        return report
    }

    private static func removeFiles(of path: String) {
        // What is not there need not be removed; what cannot be removed makes the opening fail.
        for ending in ["", "-wal", "-shm"] { unlink(path + ending) }
    }

    /// Adds a job that has its directories and no row; under another name where its own is taken.
    package func take(
        _ facts: JobFacts, parameters: (JobDocument, Int) -> RunParameters
    ) throws(JobStorageError) -> RebuildReport {
        var report = RebuildReport()
        try insert(facts, parameters: parameters, report: &report)
        return report
    }

    /// The identities of all jobs.
    package func identities() throws(JobStorageError) -> Set<JobID> {
        try reading { database in
            let texts = try String.fetchCursor(database, sql: "SELECT uuid FROM jobs")
            var identities: Set<JobID> = []
            while let text = try texts.next() { if let identity = JobID(text) { identities.insert(identity) } }
            return identities
        }
    }

    private func insert(
        _ facts: JobFacts,
        parameters: (JobDocument, Int) -> RunParameters,
        report: inout RebuildReport
    ) throws(JobStorageError) {
        let known = report
        report = try writing(.synced) { database in
            var report = known
            let document = facts.document
            let exists = "SELECT EXISTS (SELECT 1 FROM jobs WHERE uuid = ?)"
            if try Bool.fetchOne(database, sql: exists, arguments: [document.uuid.description]) == true {
                report.duplicates.append(document.uuid)
                return report
            }
            let lives = facts.lives()
            var job = Self.record(facts, life: lives.job)
            if let name = try Self.proposal(for: document.name, owner: document.owner, in: database) {
                report.renamings.append(.init(job: document.uuid, from: document.name, to: name))
                job.name = name
            }
            job.sequence = try Self.insert(job, of: document, in: database)
            let directories = Dictionary(facts.runs.map { ($0.number, $0) }, uniquingKeysWith: { first, _ in first })
            for (number, life) in lives.runs.sorted(by: { $0.key < $1.key }) {
                let address = RunAddress(job: document.uuid, number: number)
                var run = RunRecord(address: address, parameters: parameters(document, number))
                run.lifecycle = life
                run.apply(directories[number], unknown: document.will.cancelled ?? document.created)
                if run.scheduled == nil { run.scheduled = document.batches.times?[job.place(ofRun: number).batch] }
                if document.will.timedOut != nil, life.state == .cancelled, run.attempt == 0,
                    !document.will.cancelledRuns.contains(number)
                {
                    run.verdict = TimeLimit.verdict(ofWaitingFor: document.options.jobTimeoutSeconds)
                }
                var steps = directories[number]?.steps ?? []
                if let verdict = run.verdict, let finished = run.finished {
                    for index in steps.indices { steps[index].end(withRun: verdict, at: finished) }
                }
                if life.state == .pending, let ended = directories[number]?.attempts.last?.finished {
                    run.notBefore = document.options.retryTime(failures: life.failures, at: ended)
                }
                try Self.insert(run, steps: steps, job: job.sequence, in: database)
            }
            try Self.restoreCounts(of: job, count: facts.runCount, in: database)
            report.jobs += 1
            report.runs += lives.runs.count
            return report
        }
    }

    private static func record(_ facts: JobFacts, life: JobLifecycle) -> JobRecord {
        var job = JobRecord(sequence: 0, document: facts.document)
        let will = facts.document.will
        job.state = life.state
        job.counts = life.counts
        job.removed = will.removed.count
        job.cancelled = will.cancelled
        job.timedOut = will.timedOut
        job.started = facts.runs.compactMap { $0.attempts.first?.started }.min()
        // How long it has gone on is not known better.
        if life.counts.running > 0 { job.clock = job.started }
        if life.state.isFinal {
            let ends = facts.runs.compactMap { $0.attempts.last?.finished } + [will.cancelled].compactMap { $0 }
            job.finished = ends.max() ?? will.confirmed ?? facts.document.created
        }
        return job
    }

    private static func insert(_ run: RunRecord, steps: [StepRecord], job: Int64, in database: Database) throws {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO runs (job, number, label, parameters, state, is_cancelled, attempt, failures, losses,
                    verdict, metrics, started_ms, finished_ms, not_before_ms, scheduled_ms, files_removed_ms, failure,
                    failure_started_ms, failure_finished_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        )
        let life = run.lifecycle
        try statement.execute(arguments: [
            job, run.address.number, run.parameters.label, run.parameters.json, life.state.rawValue, life.isCancelled,
            run.attempt, life.failures, life.losses, try jsonText(run.verdict), run.metrics, run.started?.milliseconds,
            run.finished?.milliseconds, run.notBefore?.milliseconds, run.scheduled?.milliseconds,
            run.filesRemoved?.milliseconds, try jsonText(run.failure?.verdict), run.failure?.started?.milliseconds,
            run.failure?.finished.milliseconds,
        ])
        let row = database.lastInsertedRowID
        for step in steps { try write(step, ofRow: row, in: database) }
    }

    /// Counts the deleted runs too, of which no row tells.
    private static func restoreCounts(of job: JobRecord, count: Int, in database: Database) throws {
        let columns = RunState.allCases.map { "\($0.rawValue) = :\($0.rawValue)" }.joined(separator: ", ")
        var values: [String: (any DatabaseValueConvertible)?] = [
            "job": job.sequence, "removed": job.removed, "next": count,
        ]
        for state in RunState.allCases { values[state.rawValue] = job.counts[state] }
        try database.execute(
            sql: "UPDATE jobs SET next_number = :next, removed = :removed, \(columns) WHERE id = :job",
            arguments: StatementArguments(values)
        )
    }
}

extension RunRecord {
    /// Takes over what the directory of the run tells; `unknown` is the time of an end that nothing tells of.
    fileprivate mutating func apply(_ facts: RunFacts?, unknown: Timestamp) {
        attempt = facts?.attempts.last?.number ?? 0
        if state == .running { started = facts?.attempts.last?.started ?? unknown }
        scheduled = facts?.scheduled
        filesRemoved = facts?.filesRemoved
        guard state.isFinal else {
            if lifecycle.hasFailed, let decisive = facts?.decisive, let verdict = decisive.verdict {
                failure = Failure(verdict, started: decisive.started, finished: decisive.finished ?? unknown)
            }
            return
        }
        metrics = facts?.metrics
        verdict = Verdict.ofRun(facts?.decisive?.verdict, endedAs: state)
        // One that was ended as it waited has no start.
        if let decisive = facts?.decisive, decisive.verdict == verdict { started = decisive.started }
        finished = facts?.decisive?.finished ?? facts?.attempts.last?.finished ?? unknown
    }
}

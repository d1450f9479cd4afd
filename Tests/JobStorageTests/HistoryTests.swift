import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Histories of a job") struct HistoryTests {
    /// A job of which random things are asked, and what its directories would tell of it.
    private struct History {
        let database: JobDatabase
        var document: JobDocument
        let count: Int
        var attempts: [Int: [RunFacts.Attempt]] = [:]
        var generator: SeededGenerator
        var now = 100.0

        var job: JobID { document.uuid }
        var facts: JobFacts {
            let removed = document.will.removed
            let runs = attempts.filter { !removed.contains($0.key) }.map { RunFacts(number: $0, attempts: $1) }
            return JobFacts(document: document, runCount: count, runs: runs)
        }

        init(_ database: JobDatabase, _ document: JobDocument, seed: UInt64) throws {
            (self.database, self.document) = (database, document)
            generator = SeededGenerator(state: seed)
            count = Int.random(in: 1...6, using: &generator)
            try database.add(document, runs: count)
        }

        mutating func claim() throws {
            guard let run = try database.claim(of: job, limit: 3, at: now) else { return }
            attempts[run.address.number, default: []].append(.init(number: run.attempt, started: time(now)))
        }

        mutating func end(_ causes: [Verdict.Cause]) throws {
            guard let run = try database.runningRuns().randomElement(using: &generator) else { return }
            let verdict = Verdict(causes.randomElement(using: &generator) ?? .succeeded, "so it ended")
            try database.finish(run.address, attempt: run.attempt, verdict: verdict, at: time(now))
            let last = (attempts[run.address.number]?.count ?? 0) - 1
            attempts[run.address.number]?[last].verdict = verdict
            attempts[run.address.number]?[last].finished = time(now)
        }

        /// One random thing; what the job refuses does not happen.
        mutating func step(causes: [Verdict.Cause], cancels: Bool) throws {
            now += 1
            let address = RunAddress(job: job, number: Int.random(in: 0..<count, using: &generator))
            do {
                switch Int.random(in: 0..<24, using: &generator) {
                case 0..<9: try claim()
                case 9..<17: try end(causes)
                case 17 where cancels:
                    try database.cancel(address, at: time(now))
                    document.will.cancelledRuns = document.will.cancelledRuns.union(RunNumbers([address.number]))
                case 18 where cancels && Bool.random(using: &generator):
                    try database.apply(.cancel, to: job, at: time(now))
                    document.will.cancelled = time(now)
                case 19:
                    let state = try database.run(address).state
                    try database.delete(address)
                    document.will.remove(RunNumbers([address.number]), endedAs: state)
                case 20:
                    try database.apply(.pause, to: job, at: time(now))
                    document.will.paused = time(now)
                case 21, 22:
                    try database.apply(.resume, to: job, at: time(now))
                    document.will.paused = nil
                default:
                    try database.apply(.confirm, to: job, at: time(now))
                    document.will.confirmed = time(now)
                }
            } catch JobStorageError.refused {
            } catch JobStorageError.notEnded {
            } catch JobStorageError.noSuchRun {
            }
        }
    }

    /// What holds at any time, whatever happened.
    private func check(_ database: JobDatabase, _ id: JobID, count: Int) throws {
        let job = try database.job(id)
        let runs = try database.runs(of: id)
        #expect(job.counts.total == count && runs.count + job.removed == count)
        for state in RunState.allCases {
            let there = runs.count { $0.state == state }
            #expect(state.isFinal ? there <= job.counts[state] : there == job.counts[state])
        }
        #expect(job.state.isFinal == (job.finished != nil))
        if job.state != .draft { #expect(job.state.isFinal == runs.allSatisfy(\.state.isFinal)) }
        for run in runs {
            #expect(run.state.isFinal == (run.finished != nil) && run.state.isFinal == (run.verdict != nil))
            if run.state == .running { #expect(run.attempt > 0 && run.started != nil) }
            if run.state == .pending { #expect(run.started == nil) }
        }
        #expect(try database.runningRuns() == runs.filter { $0.state == .running })
    }

    @Test(arguments: 1...30 as ClosedRange<UInt64>)
    func `counts, times and verdicts fit each other after every change`(seed: UInt64) throws {
        try withDatabase { database in
            let document = try document(isDraft: seed % 4 == 0) {
                ($0.stopOnFailure, $0.retries) = (seed % 3 == 0, Int(seed % 2))
            }
            var history = try History(database, document, seed: seed)
            for _ in 0..<60 {
                try history.step(causes: [.succeeded, .exit, .interrupted, .cancelled, .supervisorLost], cancels: true)
                if seed % 5 == 0,
                    let run = try database.runs(of: document.uuid).randomElement(using: &history.generator)
                {
                    _ = try? database.retry(run.address, at: time(history.now))
                }
                try check(database, document.uuid, count: history.count)
            }
        }
    }

    /// A rebuilt database says what the old one said.
    ///
    /// Retries by hand are left out: directories do not tell of them before they start.
    @Test(arguments: 1...40 as ClosedRange<UInt64>)
    func `the directories tell the same as the database`(seed: UInt64) throws {
        try Scratch.with { scratch in
            let database = try JobDatabase(path: scratch.path)
            let cancels = seed % 2 == 0
            let document = try document(isDraft: seed % 4 == 0) { $0.retries = cancels ? 0 : 2 }
            var history = try History(database, document, seed: seed &* 31)
            for _ in 0..<Int(10 + seed) {
                try history.step(
                    causes: [.succeeded, .exit, .interrupted, .cancelled, .supervisorLost], cancels: cancels)
            }
            try expectSameAfterRebuild(history, scratch)
        }
    }

    @Test(arguments: [Verdict.Cause.interrupted, .exit])
    func `a job that stops on a failure tells the same of a run that started before it`(cause: Verdict.Cause) throws {
        try Scratch.with { scratch in
            let database = try JobDatabase(path: scratch.path)
            let document = try document { ($0.stopOnFailure, $0.retries) = (true, 1) }
            try database.add(document, runs: 2)
            var attempts: [Int: [RunFacts.Attempt]] = [:]
            func end(_ run: RunRecord?, _ cause: Verdict.Cause) throws {
                let run = try #require(run)
                try database.end(run, cause)
                let verdict = Verdict(cause, "it ended")
                attempts[run.address.number, default: []].append(
                    .init(number: run.attempt, started: time(100), verdict: verdict, finished: time(200)))
            }
            let (first, second) = (try database.claim(), try database.claim())
            try end(first, .exit)
            try end(try database.claim(), .exit)
            try end(second, cause)
            let facts = JobFacts(
                document: document, runCount: 2, runs: attempts.map { RunFacts(number: $0, attempts: $1) })
            let states = try database.states(document.uuid)
            let lives = facts.lives().runs
            #expect([lives[0]?.state, lives[1]?.state] == states)
        }
    }

    private func expectSameAfterRebuild(_ history: History, _ scratch: Scratch) throws {
        let (job, runs) = (try history.database.job(history.job), try history.database.runs(of: history.job))
        try history.database.close()
        _ = try JobDatabase.rebuild(path: scratch.path, from: [history.facts]) { _, number in parameters(number) }
        let rebuilt = try JobDatabase(path: scratch.path, check: .everyPage)
        let (job2, runs2) = (try rebuilt.job(history.job), try rebuilt.runs(of: history.job))
        try check(rebuilt, history.job, count: history.count)
        #expect(job2.counts == job.counts && job2.removed == job.removed && job2.cancelled == job.cancelled)
        // Whether a run of it has ever started is not looked at here: see the tests of its life.
        let started: Set<JobState> = [.pending, .running]
        #expect(job2.state == job.state || started.isSuperset(of: [job.state, job2.state]))
        #expect(runs2.map(\.address) == runs.map(\.address))
        for (new, old) in zip(runs2, runs) {
            #expect(new.state == old.state && new.attempt == old.attempt && new.parameters == old.parameters)
            #expect(new.lifecycle.failures == old.lifecycle.failures && new.lifecycle.losses == old.lifecycle.losses)
            #expect(new.started == old.started)
        }
        let next = try rebuilt.nextPendingRun()
        if let next { #expect(runs.first { $0.state == .pending }?.address == next.address) }
        try rebuilt.close()
    }
}

import Isolation
import JobStorage
import Jobs
import Testing

@Suite("The queue of runs") struct QueueTests {
    /// Claims all that can be claimed, as `job/number`.
    private func claims(_ database: JobDatabase, of job: JobID? = nil, limit: Int = 1000) throws -> [String] {
        var claimed: [String] = []
        while let run = try database.claim(of: job, limit: limit) {
            claimed.append("\(try database.job(run.address.job).name)/\(run.address.number)")
        }
        return claimed
    }

    @Test func `a claimed run is running, and so is its job`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 2)
            let next = try database.nextPendingRun()
            let run = try #require(try database.claim(at: 50))
            #expect(next?.address == run.address && run.address == RunAddress(job: job, number: 0))
            #expect(run.state == .running && run.attempt == 1 && run.started == time(50) && run.finished == nil)
            #expect(run.parameters == parameters(0))
            #expect(try database.run(run.address) == run)
            #expect(try database.runningRuns() == [run])
            let record = try database.job(job)
            #expect(record.state == .running && record.started == time(50) && record.finished == nil)
            #expect(record.counts.running == 1 && record.counts.pending == 1)
            _ = try database.claim(at: 60)
            #expect(try database.job(job).started == time(50))
            #expect(try database.claim() == nil && database.nextPendingRun() == nil)
        }
    }

    @Test func `of several jobs, the one with the fewest running runs comes first, then the oldest`() throws {
        try withDatabase { database in
            try database.add(document(1, name: "long"), runs: 4)
            try database.add(document(2, name: "short"), runs: 2)
            #expect(try claims(database, limit: 3) == ["long/0", "short/0", "long/1"])
            let long = try database.runs(of: id(1), states: [.running])
            for run in long { try database.end(run) }
            #expect(try claims(database) == ["long/2", "long/3", "short/1"])
        }
    }

    @Test func `a job that was made later does not wait for a long one to end`() throws {
        try withDatabase { database in
            try database.add(document(1, name: "long"), runs: 100)
            _ = try database.claim()
            try database.add(document(2, name: "late"), runs: 1)
            #expect(try database.nextPendingRun()?.address.job == id(2))
            #expect(try database.claim()?.address.job == id(2))
        }
    }

    @Test func `jobs with work are told in the order in which they get their turn, without those that have none`()
        throws
    {
        try withDatabase { database in
            try database.add(document(1, name: "old"), runs: 2)
            try database.add(document(2, name: "new"), runs: 2)
            try database.add(document(3, name: "narrow") { $0.maxParallel = 1 }, runs: 2)
            #expect(try database.jobsWithWork(count: 10) == [id(1), id(2), id(3)])
            #expect(try database.jobsWithWork(count: 2) == [id(1), id(2)])
            _ = try database.claim(of: id(1))
            _ = try database.claim(of: id(3))
            #expect(try database.jobsWithWork(count: 10) == [id(2), id(1)])
            #expect(try database.runningCount() == 2)
            try database.apply(.pause, to: id(2), at: time(1))
            _ = try database.claim(of: id(1))
            #expect(try database.jobsWithWork(count: 10).isEmpty)
            #expect(try database.runningCount() == 3)
        }
    }

    @Test func `no more runs are claimed than all jobs or one job may have`() throws {
        try withDatabase { database in
            try database.add(document(1, name: "narrow") { $0.maxParallel = 2 }, runs: 5)
            try database.add(document(2, name: "wide"), runs: 5)
            #expect(try database.claim(limit: 0) == nil && database.claim(limit: -1) == nil)
            #expect(try claims(database, of: id(1)) == ["narrow/0", "narrow/1"])
            #expect(try claims(database, of: id(2), limit: 4) == ["wide/0", "wide/1"])
            #expect(try claims(database, limit: 4).isEmpty)
            try database.end(try #require(database.runs(of: id(2), states: [.running]).last))
            #expect(try claims(database, limit: 4) == ["wide/2"])
            #expect(try claims(database) == ["wide/3", "wide/4"])
            try database.end(try #require(database.runs(of: id(1), states: [.running]).first))
            #expect(try claims(database) == ["narrow/2"])
        }
    }

    @Test func `nothing of a job that is not to be executed is claimed`() throws {
        try withDatabase { database in
            let draft = try database.add(document(1, isDraft: true))
            let paused = try database.add(document(2))
            let cancelled = try database.add(document(3), runs: 2)
            try database.apply(.pause, to: paused, at: time(1))
            try database.apply(.cancel, to: cancelled, at: time(1))
            #expect(try database.claim() == nil && database.nextPendingRun() == nil)
            for job in [draft, paused, cancelled, id(9)] { #expect(try database.claim(of: job) == nil) }
            try database.apply(.confirm, to: draft, at: time(2))
            try database.apply(.resume, to: paused, at: time(2))
            #expect(try claims(database) == ["job 1/0", "job 2/0"])
        }
    }

    @Test func `a run that ends frees its place, and the last one ends the job`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 2)
            let first = try #require(try database.claim())
            let ended = try database.end(first, .succeeded, at: 70)
            #expect(ended.state == .succeeded && ended.finished == time(70) && ended.verdict?.summary == "it ended")
            #expect(try database.run(first.address) == ended)
            #expect(try database.job(job).state == .running && database.runningRuns().isEmpty)
            try database.end(try #require(try database.claim()), .exit, at: 80)
            let record = try database.job(job)
            #expect(record.state == .failed && record.finished == time(80))
            #expect(record.counts.succeeded == 1 && record.counts.failed == 1 && record.counts.total == 2)
        }
    }

    @Test func `a verdict is kept with all that it tells`() throws {
        try withDatabase { database in
            try database.add(document())
            let run = try #require(try database.claim())
            let detail: [String: Verdict.Fact] = [
                "a": .text("x\u{0}\n"), "b": .integer(.max), "c": .number(0.25), "d": .list(["1", ""]),
            ]
            let verdict = Verdict(.outOfMemory, "it took \"all\" of it", detail: detail, remedy: "give it more")
            try database.finish(run.address, attempt: 1, verdict: verdict, at: time(9))
            #expect(try database.run(run.address).verdict == verdict)
        }
    }

    @Test func `a failed attempt is followed by another one as often as was asked for`() throws {
        try withDatabase { database in
            let job = try database.add(document { $0.retries = 1 }, runs: 2)
            let first = try #require(try database.claim())
            let again = try database.end(first, .exit)
            #expect(again.state == .pending && again.verdict == nil && again.finished == nil)
            let second = try #require(try database.claim(at: 300))
            #expect(second.address == first.address && second.attempt == 2 && second.started == time(300))
            #expect(try database.end(second, .exit).state == .failed)
            #expect(try database.claim()?.address.number == 1)
            #expect(try database.job(job).counts.failed == 1)
        }
    }

    @Test func `an attempt ends once, and only the newest one`() throws {
        try withDatabase { database in
            try database.add(document())
            let first = try #require(try database.claim())
            try database.end(first, .interrupted)
            let second = try #require(try database.claim())
            #expect(throws: JobStorageError.staleAttempt(first.address, attempt: 1, newest: 2)) {
                try database.end(first)
            }
            let ended = try database.end(second)
            #expect(throws: JobStorageError.refused("job 1/0", .run(.succeeded, .end(.exit)))) {
                try database.end(second, .exit)
            }
            #expect(try database.run(first.address) == ended)
        }
    }

    @Test func `the number of an attempt is never lowered, and only a running run has one`() throws {
        try withDatabase { database in
            try database.add(document())
            let run = RunAddress(job: id(1), number: 0)
            #expect(throws: JobStorageError.staleAttempt(run, attempt: 1, newest: 0)) {
                try database.beginAttempt(1, of: run)
            }
            _ = try database.claim()
            try database.beginAttempt(5, of: run)
            try database.beginAttempt(5, of: run)
            #expect(throws: JobStorageError.staleAttempt(run, attempt: 4, newest: 5)) {
                try database.beginAttempt(4, of: run)
            }
            #expect(try database.run(run).attempt == 5)
        }
    }

    @Test func `no step goes on when its run has ended`() throws {
        try withDatabase { database in
            try database.add(document())
            let run = try #require(try database.claim())
            var begun = StepRecord(uuid: "s1", title: "Load", position: 0, attempt: 1)
            begun.apply(RunEvent(.stepStarted(step: "s1"), at: time(2)))
            try database.record(
                [begun, StepRecord(uuid: "s2", title: "Train", position: 1, attempt: 1)], of: run.address)
            try database.finish(run.address, attempt: 1, verdict: Verdict(.supervisorLost, "it was lost"), at: time(9))
            let steps = try database.steps(of: run.address)
            #expect(steps.map(\.state) == [.failed, .skipped] && steps.map(\.finished) == [time(9), time(9)])
        }
    }

    @Test func `what is known of steps is kept, the newest attempt's first`() throws {
        try withDatabase { database in
            try database.add(document())
            let run = RunAddress(job: id(1), number: 0)
            var load = StepRecord(uuid: "s2", title: "Load", position: 0, attempt: 2)
            (load.state, load.started, load.finished) = (.failed, time(1), time(2))
            load.verdict = Verdict(.signal, "it was killed", detail: ["signal": .integer(9)])
            load.usage = RunEvent.Usage(wallSeconds: 1, cpuSeconds: 0.5, memoryPeakBytes: 1 << 41)
            let train = StepRecord(uuid: "s1", title: "Tr\u{1B}ain", position: 1, attempt: 2)
            try database.record([train, load], of: run)
            #expect(try database.steps(of: run) == [load, train])
            try database.record([StepRecord(uuid: "s2", title: "Old", position: 9, attempt: 1)], of: run)
            #expect(try database.steps(of: run) == [load, train])
            let newer = StepRecord(uuid: "s2", title: "New", position: 2, attempt: 3)
            try database.record([newer], of: run)
            #expect(try database.steps(of: run) == [train, newer])
            #expect(throws: JobStorageError.noSuchRun(job: "job 1", number: 1, count: 1)) {
                try database.record([load], of: RunAddress(job: id(1), number: 1))
            }
        }
    }
}

import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Schedules in the database") struct ScheduleTests {
    private func recurring(_ number: UInt32 = 1, next: Double? = 50, overlap: JobSchedule.Overlap = .allow) throws
        -> JobDocument
    {
        var document = try document(number)
        document.schedule = JobSchedule(.recurring(try CronExpression("@hourly")), overlap: overlap)
        document.parameters.selection = RunNumbers(first: 2)
        document.batches = JobBatches(made: 0, next: next.map { time($0) }, decided: time(0))
        return document
    }

    private func batch(_ number: Int, next: Double?) -> ScheduleStep {
        ScheduleStep(batch: number, then: JobBatches(made: number + 1, next: next.map { time($0) }, decided: time(0)))
    }

    @Test func `a job is due at its time, and its batch is made once`() throws {
        try withDatabase { database in
            let job = try database.add(recurring(), runs: 0)
            #expect(try database.dueJobs(at: time(49), decidedAfter: time(1)).isEmpty)
            #expect(try database.nextScheduledTime() == time(50))
            #expect(try database.claim() == nil)
            #expect(try database.dueJobs(at: time(50), decidedAfter: time(1)) == [job])
            for _ in 0..<2 { try database.take(batch(0, next: 100), of: job, at: time(50), parameters: parameters) }
            #expect(try database.states(job) == [.pending, .pending])
            let record = try database.job(job)
            #expect(record.batches == 1 && record.next == time(100) && record.state == .pending)
            for _ in 0..<2 { try database.end(try #require(try database.claim())) }
            #expect(try database.job(job).state == .pending && database.job(job).finished == nil)
            try database.take(batch(1, next: nil), of: job, at: time(100), parameters: parameters)
            #expect(try database.runs(of: job).map(\.address.number) == [0, 1, 2, 3])
            #expect(try database.run(RunAddress(job: job, number: 3)).parameters == parameters(3))
            #expect(try database.job(job).place(ofRun: 3) == (1, 1))
            for _ in 0..<2 { try database.end(try #require(try database.claim())) }
            #expect(try database.job(job).state == .succeeded, "no time is to come")
        }
    }

    @Test func `a job that is paused, cancelled or a draft is never due`() throws {
        try withDatabase { database in
            let job = try database.add(recurring(), runs: 0)
            try database.apply(.pause, to: job, at: time(1))
            #expect(try database.dueJobs(at: time(99), decidedAfter: time(1)).isEmpty)
            #expect(try database.nextScheduledTime() == nil)
            try database.apply(.resume, to: job, at: time(2))
            #expect(try database.dueJobs(at: time(99), decidedAfter: time(1)) == [job])
            try database.apply(.cancel, to: job, at: time(3))
            #expect(try database.job(job).state == .cancelled && database.job(job).next == nil)
            var draft = try recurring(2, next: nil)
            draft.will = JobWill(confirmed: nil)
            try database.add(draft, runs: 0)
            #expect(try database.dueJobs(at: time(99), decidedAfter: time(1)).isEmpty)
            #expect(throws: JobStorageError.self) {
                try database.take(batch(0, next: 5), of: draft.uuid, at: time(4), parameters: parameters)
            }
            #expect(try database.runs(of: draft.uuid).isEmpty)
        }
    }

    @Test func `a clock that was set back by hours is noticed`() throws {
        try withDatabase { database in
            let job = try database.add(recurring(next: 90_000), runs: 0)
            #expect(try database.dueJobs(at: time(-20_000), decidedAfter: time(-9_200)) == [job])
            #expect(try database.dueJobs(at: time(-1_000), decidedAfter: time(9_800)).isEmpty)
        }
    }

    @Test func `batches that queue start when the one before has ended, others at once`() throws {
        for overlap in [JobSchedule.Overlap.allow, .queue] {
            try withDatabase { database in
                let job = try database.add(recurring(overlap: overlap), runs: 0)
                for number in 0..<2 {
                    try database.take(batch(number, next: 500), of: job, at: time(50), parameters: parameters)
                }
                let first = [try #require(try database.claim()), try #require(try database.claim())]
                let third = try database.claim()
                #expect((third == nil) == (overlap == .queue))
                for run in first { try database.end(run) }
                #expect(try database.claim() != nil)
            }
        }
    }

    @Test func `a failed run waits for its next attempt, and holds up no other`() throws {
        try withDatabase { database in
            let job = try database.add(document { ($0.retries, $0.retryDelaySeconds) = (2, 30) }, runs: 2)
            let other = try database.add(document(2), runs: 1)
            let failed = try database.end(try #require(try database.claim(of: job)), .exit, at: 200)
            #expect(failed.state == .pending && failed.notBefore == time(230))
            #expect(try database.nextRetryTime(of: job) == time(230) && database.nextRetryTime(of: other) == nil)
            #expect(try database.claim(of: job, at: 229)?.address.number == 1)
            #expect(try database.claim(at: 229)?.address.job == other)
            #expect(try database.claim(at: 229) == nil)
            let again = try #require(try database.claim(at: 230))
            #expect(again.address.number == 0 && again.notBefore == nil)
            #expect(try database.end(again, .exit, at: 300).notBefore == time(360))
            try database.apply(.pause, to: job, at: time(301))
            #expect(try database.nextRetryTime() == nil)
        }
    }

    @Test func `a job takes over what was changed in its document`() throws {
        try withDatabase { database in
            var changed = try document(1, isDraft: true)
            try database.add(changed, runs: 0)
            changed.name = try JobName("better")
            changed.options.retryOn = [.timeout]
            changed.options.keep = 5
            changed.policy.name = "strict"
            changed.schedule = JobSchedule(.once(time(70)))
            try database.update(changed)
            let record = try database.job(id(1))
            #expect(record.name.description == "better" && record.options == changed.options)
            #expect(record.policyName == "strict" && record.schedule == changed.schedule && record.state == .draft)
            try database.add(document(2, name: "taken"), runs: 1)
            changed.name = try JobName("taken")
            #expect(throws: JobStorageError.self) { try database.update(changed) }
            #expect(try database.job(id(1)).name.description == "better")
        }
    }

    @Test func `runs know the time for which they were made, after a rebuild as well`() throws {
        try Scratch.with { scratch in
            var document = try recurring(next: 400)
            document.batches.made = 3
            document.batches.times = [1: time(200), 2: time(300)]
            var begun = RunFacts(number: 0, attempts: [])
            begun.scheduled = time(100)
            let facts = JobFacts(document: document, runCount: document.runCount, runs: [begun])
            _ = try JobDatabase.rebuild(path: scratch.path, from: [facts]) { _, number in parameters(number) }
            let database = try JobDatabase(path: scratch.path)
            var step = batch(3, next: 500)
            step.batches.times = [3: time(400)]
            try database.take(step, of: id(1), at: time(400), parameters: parameters)
            let times = [100, nil, 200, 200, 300, 300, 400, 400] as [Double?]
            #expect(try database.runs(of: id(1)).map(\.scheduled) == times.map { $0.map { time($0) } })
            #expect(try database.claim(at: 401)?.scheduled == time(100))
        }
    }

    @Test func `a rebuilt database has schedules and batches as they were`() throws {
        try Scratch.with { scratch in
            var document = try recurring(next: 400)
            document.batches.made = 2
            document.options.stopOnFailure = true
            let failed = RunFacts.Attempt(number: 1, started: time(1), verdict: Verdict(.exit, "x"), finished: time(2))
            let facts = JobFacts(
                document: document, runCount: document.runCount, runs: [RunFacts(number: 0, attempts: [failed])])
            _ = try JobDatabase.rebuild(path: scratch.path, from: [facts]) { _, number in parameters(number) }
            let database = try JobDatabase(path: scratch.path)
            let record = try database.job(id(1))
            #expect(record.batches == 2 && record.next == time(400) && record.schedule == document.schedule)
            #expect(try database.states(id(1)) == [.failed, .skipped, .pending, .pending], "a failure stops its batch")
            #expect(try database.dueJobs(at: time(400), decidedAfter: time(401)) == [id(1)])
        }
    }
}

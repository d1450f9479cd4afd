import Isolation
import Jobs
import Testing

@Suite("Schedules of jobs") struct JobScheduleTests {
    private func time(_ text: String) throws -> Timestamp { try #require(Timestamp(text)) }

    private func schedule(_ text: String, _ catchUp: JobSchedule.CatchUp) throws -> JobSchedule {
        JobSchedule(.recurring(try CronExpression(text)), catchUp: catchUp)
    }

    @Test(arguments: [(JobSchedule.CatchUp.dropped, 0), (.one, 1), (.all, 4)])
    func `missed times are dropped, merged into one batch, or made up for one by one`(
        catchUp: JobSchedule.CatchUp, count: Int
    ) throws {
        let due = try schedule("0 * * * *", catchUp)
            .due(from: time("2026-01-01T01:00:00Z"), at: time("2026-01-01T04:30:00Z"), in: .utc)
        #expect(due.batches.count == count)
        if count > 0 { #expect(try due.batches.last == time("2026-01-01T04:00:00Z")) }
        #expect(try due.next == time("2026-01-01T05:00:00Z"))
    }

    @Test(arguments: JobSchedule.CatchUp.allCases)
    func `a time that has just come is not missed`(catchUp: JobSchedule.CatchUp) throws {
        let schedule = try schedule("0 * * * *", catchUp)
        let now = try time("2026-01-01T01:00:59Z")
        #expect(try schedule.due(from: time("2026-01-01T01:00:00Z"), at: now, in: .utc).batches.count == 1)
        let early = try schedule.due(from: time("2026-01-01T02:00:00Z"), at: now, in: .utc)
        #expect(try early.batches.isEmpty && early.next == time("2026-01-01T02:00:00Z"))
    }

    @Test func `after a jump of the clock over years the newest thousand times are made up for at most`() throws {
        let first = try time("1971-01-01T00:00:00Z"), now = try time("2026-01-01T00:00:30Z")
        let all = try schedule("* * * * *", .all).due(from: first, at: now, in: .utc)
        #expect(try all.batches.count == JobSchedule.mostCaughtUp && all.batches.last == time("2026-01-01T00:00:00Z"))
        #expect(
            try schedule("0 0 29 2 *", .one).due(from: time("2024-02-29T00:00:00Z"), at: now, in: .utc).batches.count
                == 1)
    }

    @Test func `a single time is late rather than dropped, and comes once`() throws {
        let once = JobSchedule(.once(try time("2026-01-01T01:00:00Z")), catchUp: .dropped)
        let due = try once.due(from: time("2026-01-01T01:00:00Z"), at: time("2026-02-01T00:00:00Z"), in: .utc)
        #expect(try due.batches == [time("2026-01-01T01:00:00Z")] && due.next == nil)
        #expect(try once.times(after: time("2025-01-01T00:00:00Z"), count: 5, in: .utc).count == 1)
    }

    @Test func `schedules are read as they were written`() throws {
        let schedules = [
            JobSchedule(.once(try time("2026-01-01T01:00:00Z"))),
            JobSchedule(
                .recurring(try CronExpression("0 2 * * MON")), zone: "Europe/Berlin", catchUp: .all, overlap: .queue),
        ]
        for schedule in schedules { #expect(try decoded(JobSchedule.self, encoded(schedule)) == schedule) }
        #expect(
            try encoded(schedules[1])
                == #"{"catch_up":"all","cron":"0 2 * * MON","overlap":"queue","time_zone":"Europe/Berlin"}"#)
    }

    @Test func `a document keeps the schedule and what it has done, and one from before has all its runs`() throws {
        var document = try Samples.document()
        #expect(document.runCount == 4)
        document.schedule = JobSchedule(.recurring(try CronExpression("@daily")), zone: "Europe/Berlin")
        document.batches = JobBatches(made: 3, next: Samples.time(9), decided: Samples.time(8))
        document.options.retryOn = [.exit, .timeout]
        #expect(try JobDocument(bytes: document.bytes()) == document && document.runCount == 12)
        let text = String(decoding: try document.bytes(), as: UTF8.self)
        for line in [
            #""cron" : "@daily","#, #""time_zone" : "Europe/Berlin""#, #""catch_up" : "one","#, #""made" : 3,"#,
        ] {
            #expect(text.contains(line), "\(line)")
        }
        for (old, new, reason) in [
            ("@daily", "0 25 * * *", "hour: `25` is not 0 to 23"), ("\"made\" : 3", "\"made\" : -1", "`batches.made`"),
            ("\"exit\"", "\"succeeded\"", "`retry_on`"),
        ] {
            let wrong = text.replacing(old, with: new)
            let error = #expect(throws: JobDocumentError.self) { try JobDocument(bytes: Array(wrong.utf8)) }
            #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        }
    }

    @Test func `what may be changed of a job depends on where it is in its life`() {
        func allowed(_ state: JobState, _ awaits: Bool) -> [JobPart] {
            JobPart.allCases.filter { (try? $0.checkChange(in: state, awaitsBatches: awaits)) != nil }
        }
        #expect(allowed(.draft, false) == JobPart.allCases)
        for state in [JobState.pending, .running, .paused] {
            #expect(allowed(state, true) == [.name, .limits, .policy, .schedule])
            #expect(allowed(state, false) == [.name, .limits])
        }
        for state in [JobState.succeeded, .failed, .cancelled] {
            #expect(allowed(state, false) == [.name, .limits])
        }
    }

    @Test func `a job with times to come does not end, and one that is cancelled does`() throws {
        var (job, run) = (JobLifecycle(state: .pending, counts: .init(), awaitsBatches: true), RunLifecycle())
        try job.add(1, awaitsMore: true)
        _ = try job.apply(.start, to: &run)
        #expect(job.state == .running)
        _ = try job.apply(.end(.exit), to: &run)
        #expect(job.state == .pending && job.counts.failed == 1)
        _ = try job.apply(.pause)
        _ = try job.apply(.resume)
        #expect(job.state == .pending)
        #expect(try job.apply(.cancel) == .cancelRuns)
        #expect(job.state == .cancelled)
        #expect(throws: RefusedTransition.batch(.cancelled)) { try job.add(1, awaitsMore: true) }
        var draft = JobLifecycle(state: .draft, counts: .init())
        #expect(throws: RefusedTransition.batch(.draft)) { try draft.add(1, awaitsMore: false) }
        _ = try draft.apply(.confirm)
        try draft.add(1, awaitsMore: false)
        #expect(draft.state == .pending && draft.counts.pending == 1)
    }

    @Test func `of a job that goes on for ever a failure stops what is pending, and nothing later`() throws {
        var options = JobOptions()
        options.stopOnFailure = true
        var job = JobLifecycle(state: .pending, counts: .init(), awaitsBatches: true, options: options)
        var runs = [RunLifecycle(), RunLifecycle()]
        try job.add(2, awaitsMore: true)
        _ = try job.apply(.start, to: &runs[0])
        #expect(try job.apply(.end(.exit), to: &runs[0]) == .skipPendingRuns)
        #expect(job.counts.skipped == 1 && job.state == .pending)
        runs = [RunLifecycle(), RunLifecycle()]
        try job.add(2, awaitsMore: true)
        _ = try job.apply(.start, to: &runs[0])
        #expect(try job.apply(.end(.succeeded), to: &runs[0]) == nil)
        #expect(job.counts.pending == 1)
    }

    @Test func `retries wait twice as long each time, an hour at most, and only after causes that are worth it`() throws
    {
        var options = JobOptions()
        #expect(options.retryTime(failures: 1, at: Samples.time(0)) == nil)
        options.retryDelaySeconds = 30
        let waits = [1, 2, 3, 7, 8, 900].map { options.retryTime(failures: $0, at: Samples.time(0))?.seconds ?? 0 }
        #expect(waits.map { $0 - 1_800_000_000 } == [30, 60, 120, 1920, 3600, 3600])
        options.retries = 2
        #expect(options.retries(after: .exit) == 2 && options.retries(after: .denied) == 0)
        options.retryOn = [.timeout]
        #expect(options.retries(after: .exit) == 0 && options.retries(after: .timeout) == 2)
        #expect(options.problem == nil)
        options.retryOn = [.succeeded]
        #expect(options.problem != nil)
        #expect(options.problemOfOption?.hasPrefix("--") == true)
    }
}

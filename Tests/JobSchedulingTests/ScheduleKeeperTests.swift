import Foundation
import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Snapshots
import SystemPackage
import Testing

/// A store in a temporary directory, with the snapshot of a project whose pipeline has one step.
final class TrialStore {
    let directory = FileManager.default.temporaryDirectory.path + "/job-scheduling-\(UUID().uuidString)"
    let store: Store
    private let snapshot: String

    init() throws {
        let project = directory + "/project"
        try FileManager.default.createDirectory(atPath: project, withIntermediateDirectories: true)
        let pipeline = """
            {"name": "p", "uuid": "00000000-0000-4000-8000-0000000000ff", "version": "1.2.3", "parameters": {"x": 0},
             "services": {}, "settings": {"auto_eviction": false, "data_passing_memory_size": "1GB"},
             "steps": {"00000000-0000-4000-8000-000000000000": {"uuid": "00000000-0000-4000-8000-000000000000",
              "title": "s", "file_path": "s.sh", "environment": "", "incoming_connections": [],
              "kernel": {"name": "python", "display_name": "P"}, "parameters": {"y": 5}}}}
            """
        try Data(pipeline.utf8).write(to: URL(filePath: project + "/main.orchest"))
        try Data("true\n".utf8).write(to: URL(filePath: project + "/s.sh"))
        store = try Store.open(FilePath(directory + "/store"))
        let opened = try Syscall.open(FilePath(project), 0o200000)
        let report = try store.snapshots.capture(CaptureRequest(project: opened.number, source: "p"))
        snapshot = report.snapshot.identity.description
        report.lease.end()
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// A job with a schedule, which has three combinations and takes two of them.
    func add(_ schedule: JobSchedule, from start: String, named name: String = "job") throws -> JobID {
        let time = try time(start)
        var document = JobDocument(
            uuid: .random(), name: try JobName(name), owner: 0, created: time,
            project: .init(path: "/p", name: "p"), pipeline: .init(path: "main.orchest", uuid: "u", name: "p"),
            snapshot: snapshot, policy: .init(name: "default", digest: ""),
            parameters: .init(grid: #"{"pipeline_parameters": {"x": [1, 2, 3]}}"#, selection: RunNumbers([0, 2])))
        document.schedule = schedule
        document.batches = try JobBatches(beginning: document, at: time)
        try store.write(document)
        try store.database.insert(document, runCount: 0) { _ in RunParameters(label: "", json: "{}") }
        return document.uuid
    }

    /// Ends all that is pending.
    func work(at time: Timestamp) throws {
        while let run = try store.database.claimNextRun(limit: 100_000, at: time) {
            try store.database.finish(
                run.address, attempt: run.attempt, verdict: Verdict(.succeeded, "done"), at: time)
        }
    }
}

func time(_ text: String) throws -> Timestamp { try #require(Timestamp(text)) }

@Suite("Keeping schedules") struct ScheduleKeeperTests {
    private func cron(
        _ text: String, zone: String = "UTC", _ catchUp: JobSchedule.CatchUp = .one,
        _ overlap: JobSchedule.Overlap = .allow
    ) throws -> JobSchedule {
        JobSchedule(.recurring(try CronExpression(text)), zone: zone, catchUp: catchUp, overlap: overlap)
    }

    @Test func `a daily job makes a batch a day by its clocks, over a change of them`() throws {
        let trial = try TrialStore()
        let job = try trial.add(cron("30 2 * * *", zone: "Europe/Berlin"), from: "2026-03-26T12:00:00Z")
        let keeper = ScheduleKeeper(trial.store)
        var now = try time("2026-03-26T12:00:00Z")
        var times: [String] = []
        while times.count < 5, let next = try keeper.advance(at: now) {
            #expect(next > now)
            now = next
            times.append(String(next.description.prefix(16)))
        }
        #expect(
            times == [
                "2026-03-27T01:30", "2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30", "2026-03-31T00:30",
            ])
        let runs = try trial.store.database.runs(of: job)
        #expect(runs.count == 8 && runs.map(\.address.number) == Array(0..<8))
        #expect(runs[2].parameters.label == "x=1" && runs[3].parameters.label == "x=3")
        #expect(runs[3].parameters.json.contains(#""x":3"#) && runs[3].parameters.json.contains(#""y":5"#))
        #expect(try trial.store.document(job).batches.made == 4)
        #expect(try keeper.advance(at: now).map { $0 > now } == true)
    }

    @Test func `in a day of a job each minute every minute comes once, with two keepers and a clock that jumps`() throws
    {
        let trial = try TrialStore()
        let job = try trial.add(cron("* * * * *"), from: "2026-05-01T00:00:30Z")
        let keepers = [ScheduleKeeper(trial.store), ScheduleKeeper(trial.store)]
        let start = try time("2026-05-01T00:00:30Z")
        // Each batch waits for the disk some times: a whole day takes a minute.
        let isFull = ProcessInfo.processInfo.environment["CLOCHE_TEST_SWEEP"] == "full"
        let last = (isFull ? 24 : 3) * 60, middle = last / 2
        // From the middle on nobody looks for half an hour: what was missed then is one batch.
        for minute in Array(1...middle) + Array(middle + 31...last) {
            let now = Timestamp(milliseconds: start.milliseconds + Int64(minute) * 60_000)
            let next = try keepers[minute % 2].advance(at: now)
            #expect(next?.milliseconds == now.milliseconds + 30_000)
            #expect(try keepers[(minute + 1) % 2].advance(at: now) == next)
            if minute % 100 == 0 {
                // The clock is set back by ten minutes, and forth again.
                _ = try keepers[0].advance(at: Timestamp(milliseconds: now.milliseconds - 600_000))
                try trial.work(at: now)
            }
        }
        let record = try trial.store.database.job(job)
        #expect(record.batches == last - 30 && record.counts.total == 2 * (last - 30))
        #expect(try trial.store.document(job).batches.made == last - 30)
        #expect(record.counts.failed == 0 && !record.state.isFinal)
    }

    @Test func `missed times make one batch, none, or one each`() throws {
        let trial = try TrialStore()
        let start = "2026-01-01T00:30:00Z", now = try time("2026-01-01T05:10:00Z")
        let jobs = try JobSchedule.CatchUp.allCases.map {
            try trial.add(cron("0 * * * *", $0), from: start, named: $0.rawValue)
        }
        #expect(try ScheduleKeeper(trial.store).advance(at: now) == time("2026-01-01T06:00:00Z"))
        #expect(try jobs.map { try trial.store.database.job($0).batches } == [0, 1, 5])
    }

    @Test func `runs are for the times of their batches, and those of a trigger for none`() throws {
        let trial = try TrialStore()
        let job = try trial.add(cron("0 * * * *", .all), from: "2026-01-01T00:30:00Z")
        let keeper = ScheduleKeeper(trial.store)
        _ = try keeper.advance(at: time("2026-01-01T03:10:00Z"))
        _ = try trial.store.trigger(job, at: time("2026-01-01T03:20:00Z"))
        let hours = try (1...3).map { try time("2026-01-01T0\($0):00:00Z") }
        let times = hours.flatMap { [$0, $0] as [Timestamp?] } + [nil, nil]
        #expect(try trial.store.database.runs(of: job).map(\.scheduled) == times)
        #expect(try trial.store.document(job).batches.times == [0: hours[0], 1: hours[1], 2: hours[2]])
        // What all runs of a batch have begun with is in their directories.
        try trial.work(at: time("2026-01-01T03:30:00Z"))
        _ = try keeper.advance(at: time("2026-01-01T04:00:00Z"))
        #expect(try trial.store.document(job).batches.times == [4: time("2026-01-01T04:00:00Z")])
    }

    @Test func `a time is skipped while runs go on, where that was asked for, and the job tells which`() throws {
        let trial = try TrialStore()
        let skip = try trial.add(cron("0 * * * *", .one, .skip), from: "2026-01-01T00:30:00Z")
        let keeper = ScheduleKeeper(trial.store)
        for hour in 1...3 { _ = try keeper.advance(at: time("2026-01-01T0\(hour):00:00Z")) }
        let skipped = JobBatches.Skipped(count: 2, last: try time("2026-01-01T03:00:00Z"))
        #expect(try trial.store.database.job(skip).batches == 1)
        #expect(try trial.store.database.job(skip).skipped == skipped)
        try trial.work(at: time("2026-01-01T03:30:00Z"))
        _ = try keeper.advance(at: time("2026-01-01T04:00:00Z"))
        #expect(try trial.store.database.job(skip).batches == 2)
        #expect(try trial.store.database.job(skip).skipped == skipped)
        #expect(try trial.store.document(skip).batches.skipped == skipped)
    }

    @Test func `a single time comes once, late if need be, and the job ends with its runs`() throws {
        let trial = try TrialStore()
        let job = try trial.add(JobSchedule(.once(time("2026-01-01T01:00:00Z"))), from: "2026-01-01T00:00:00Z")
        let keeper = ScheduleKeeper(trial.store)
        #expect(try keeper.advance(at: time("2026-01-01T00:59:59Z")) == time("2026-01-01T01:00:00Z"))
        #expect(try trial.store.database.runs(of: job).isEmpty)
        for _ in 0..<2 { #expect(try keeper.advance(at: time("2026-01-03T00:00:00Z")) == nil) }
        #expect(try trial.store.database.runs(of: job).count == 2)
        try trial.work(at: time("2026-01-03T00:00:01Z"))
        #expect(try trial.store.database.job(job).state == .succeeded)
    }

    @Test func `a clock that is set back a little repeats nothing, and one that was far ahead is followed`() throws {
        let trial = try TrialStore()
        let job = try trial.add(cron("0 * * * *"), from: "2026-01-01T00:30:00Z")
        let keeper = ScheduleKeeper(trial.store)
        _ = try keeper.advance(at: time("2026-01-01T01:00:00Z"))
        #expect(try keeper.advance(at: time("2026-01-01T00:55:00Z")) == time("2026-01-01T02:00:00Z"))
        #expect(try trial.store.database.job(job).batches == 1)
        #expect(try keeper.advance(at: time("2036-01-01T00:00:00Z")) == time("2036-01-01T01:00:00Z"))
        #expect(try keeper.advance(at: time("2026-01-01T01:30:00Z")) == time("2026-01-01T02:00:00Z"))
        #expect(try trial.store.database.job(job).batches == 2)
    }

    @Test func `whoever was interrupted between document and database is completed`() throws {
        let trial = try TrialStore()
        let job = try trial.add(cron("0 * * * *"), from: "2026-01-01T00:30:00Z")
        var document = try trial.store.document(job)
        let first = try time("2026-01-01T01:00:00Z")
        document.batches = JobBatches(
            made: 1, next: try time("2026-01-01T02:00:00Z"), decided: first, times: [0: first])
        try trial.store.write(document)
        let keeper = ScheduleKeeper(trial.store)
        #expect(try keeper.advance(at: time("2026-01-01T01:00:01Z")) == time("2026-01-01T02:00:00Z"))
        #expect(try trial.store.database.runs(of: job).map(\.scheduled) == [first, first])
        #expect(try keeper.advance(at: time("2026-01-01T02:00:00Z")) == time("2026-01-01T03:00:00Z"))
        #expect(try trial.store.database.job(job).batches == 2 && trial.store.document(job).batches.made == 2)
    }

    @Test func `whoever was interrupted at a single time, or between pausing and resuming, is completed too`() throws {
        let trial = try TrialStore()
        let once = try trial.add(JobSchedule(.once(time("2026-01-01T01:00:00Z"))), from: "2026-01-01T00:00:00Z")
        var document = try trial.store.document(once)
        document.batches = JobBatches(made: 1)
        try trial.store.write(document)
        let paused = try trial.add(cron("0 * * * *"), from: "2026-01-01T00:30:00Z", named: "paused")
        document = try trial.store.document(paused)
        document.will.paused = try time("2026-01-01T00:31:00Z")
        try trial.store.write(document)
        let next = try ScheduleKeeper(trial.store).advance(at: time("2026-01-01T01:00:00Z"))
        #expect(try next == time("2026-01-01T02:00:00Z"))
        #expect(try trial.store.database.runs(of: once).count == 2 && trial.store.database.job(once).next == nil)
        #expect(try trial.store.database.job(paused).batches == 1 && trial.store.document(paused).will.paused == nil)
    }

    @Test func `a paused job is left alone, and goes on with the first time after it is resumed`() throws {
        let trial = try TrialStore()
        let job = try trial.add(cron("0 * * * *", .all), from: "2026-01-01T00:30:00Z")
        let keeper = ScheduleKeeper(trial.store)
        try trial.store.change(job) { document in
            try trial.store.database.apply(.pause, to: job, at: time("2026-01-01T00:31:00Z"))
            document.will.paused = try time("2026-01-01T00:31:00Z")
        }
        #expect(try keeper.advance(at: time("2026-01-01T05:10:00Z")) == nil)
        try trial.store.resume(job, at: time("2026-01-01T05:20:00Z"))
        #expect(try keeper.advance(at: time("2026-01-01T05:30:00Z")) == time("2026-01-01T06:00:00Z"))
        #expect(try trial.store.database.job(job).batches == 0 && trial.store.document(job).will.paused == nil)
        #expect(try trial.store.trigger(job, at: time("2026-01-01T05:40:00Z")) == 0..<2)
        #expect(try trial.store.database.job(job).next == time("2026-01-01T06:00:00Z"))
    }

    @Test func `many callers at once make each batch once`() async throws {
        let trial = try TrialStore()
        let job = try trial.add(cron("* * * * *", .all), from: "2026-01-01T00:00:00Z")
        let path = trial.store.path
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let keeper = ScheduleKeeper(try Store.open(path))
                    for minute in 1...9 { _ = try keeper.advance(at: time("2026-01-01T00:0\(minute):00Z")) }
                }
            }
            try await group.waitForAll()
        }
        #expect(try trial.store.database.job(job).batches == 9 && trial.store.document(job).batches.made == 9)
        #expect(try trial.store.database.runs(of: job).count == 18)
    }

    @Test func `a job that cannot go on holds up no other, and is told of`() throws {
        let trial = try TrialStore()
        let broken = try trial.add(cron("0 * * * *"), from: "2026-01-01T00:10:00Z", named: "broken")
        let fine = try trial.add(cron("0 * * * *"), from: "2026-01-01T00:20:00Z", named: "fine")
        let file = trial.store.jobDirectory(broken).appending("job.json").string
        try Data("{".utf8).write(to: URL(filePath: file))
        #expect(throws: (any Error).self) { try ScheduleKeeper(trial.store).advance(at: time("2026-01-01T01:00:00Z")) }
        #expect(try trial.store.database.job(fine).batches == 1 && trial.store.database.job(broken).batches == 0)
    }

    @Test func `wishes of many threads are all kept`() async throws {
        let trial = try TrialStore()
        let job = try trial.add(cron("0 * * * *"), from: "2026-01-01T00:00:00Z")
        let store = trial.store
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                group.addTask {
                    try store.change(job) { document in
                        document.will.cancelledRuns = document.will.cancelledRuns.union(RunNumbers([number]))
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try store.document(job).will.cancelledRuns == RunNumbers(first: 24))
    }

    @Test(arguments: [
        "", "/etc/passwd", "../passwd", "Europe/../../passwd", ".", "Europe", "Europe/Nowhere", "a\u{1B}[2J",
        "zone.tab",
    ])
    func `a name that is no time zone is refused, and nothing outside is read`(name: String) {
        let error = #expect(throws: TimeZoneError.self) { try TimeZoneDirectory().rules(name) }
        #expect(error?.description.unicodeScalars.contains { $0.value < 32 } == false && error?.hint.isEmpty == false)
    }
}

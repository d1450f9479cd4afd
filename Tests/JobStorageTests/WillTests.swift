import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Cancelling, pausing and retrying") struct WillTests {
    private func address(_ number: Int) -> RunAddress { RunAddress(job: id(1), number: number) }

    @Test func `cancelling a job ends what waits at once, and asks what runs to end`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 4)
            try database.end(try #require(try database.claim()))
            let running = try #require(try database.claim())
            #expect(try database.cancelledRunningRuns().isEmpty)
            #expect(try database.apply(.cancel, to: job, at: time(300)) == .running)
            #expect(try database.states(job) == [.succeeded, .running, .cancelled, .cancelled])
            #expect(try database.run(address(2)).verdict?.cause == .cancelled)
            #expect(try database.run(address(2)).finished == time(300))
            #expect(try database.cancelledRunningRuns().map(\.address) == [running.address])
            let record = try database.job(job)
            #expect(record.state == .running && record.cancelled == time(300) && record.finished == nil)
            #expect(throws: JobStorageError.refused("job 1", .jobBeingCancelled)) {
                try database.apply(.pause, to: job, at: time(301))
            }
            #expect(try database.apply(.cancel, to: job, at: time(302)) == .running)
            try database.end(running, .cancelled, at: 303)
            #expect(try database.job(job).state == .cancelled && database.job(job).finished == time(303))
            #expect(try database.job(job).cancelled.map { $0 >= time(300) } == true)
            #expect(throws: JobStorageError.refused("job 1", .job(.cancelled, .cancel))) {
                try database.apply(.cancel, to: job, at: time(304))
            }
        }
    }

    @Test func `a waiting run is cancelled at once, a running one when it has ended`() throws {
        try withDatabase { database in
            let job = try database.add(document { $0.retries = 5 }, runs: 3)
            let run = try #require(try database.claim())
            #expect(try database.cancel(address(2), at: time(5)).state == .cancelled)
            #expect(try database.run(address(2)).verdict?.cause == .cancelled)
            #expect(try database.cancel(run.address, at: time(6)).state == .running)
            #expect(try database.cancelledRunningRuns().map(\.address) == [run.address])
            #expect(try database.end(run, .cancelled).state == .cancelled)
            #expect(try database.claim()?.address == address(1))
            #expect(try database.states(job) == [.cancelled, .running, .cancelled])
            #expect(throws: JobStorageError.refused("job 1/2", .run(.cancelled, .cancel))) {
                try database.cancel(address(2), at: time(7))
            }
        }
    }

    @Test(arguments: [Verdict.Cause.interrupted, .cancelled, .succeeded, .exit, .dependencyFailed])
    func `the verdict of a run fits its state, also when its end was asked for`(cause: Verdict.Cause) throws {
        try withDatabase { database in
            try database.add(document())
            let run = try #require(try database.claim())
            try database.cancel(run.address, at: time(6))
            let ended = try database.end(run, cause)
            #expect(ended.state.isFinal)
            #expect(ended.verdict.map { RunState(after: $0.cause) } == ended.state)
        }
    }

    @Test func `a run that was cancelled can be retried, and is a run like any other then`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 2)
            try database.apply(.cancel, to: job, at: time(5))
            #expect(throws: JobStorageError.refused("job 1", .job(.cancelled, .resume))) {
                try database.apply(.resume, to: job, at: time(6))
            }
            let again = try database.retry(address(1), at: time(7))
            #expect(again.state == .pending && again.verdict == nil && again.finished == nil)
            let record = try database.job(job)
            #expect(!record.state.isFinal && record.finished == nil && record.cancelled == nil)
            let run = try #require(try database.claim())
            #expect(run.address == again.address && !run.lifecycle.isCancelled)
            try database.end(run)
            #expect(try database.job(job).state == .succeeded && database.states(job) == [.cancelled, .succeeded])
        }
    }

    @Test func `a run that waits again has no start, and none when it is ended as it waits`() throws {
        try withDatabase { database in
            let job = try database.add(document { ($0.retries, $0.retryDelaySeconds) = (1, 30) }, runs: 4)
            let runs = try (0..<3).map { _ in try #require(try database.claim(at: 50)) }
            #expect(try database.end(runs[0], .interrupted, at: 60).started == nil)
            #expect(try database.end(runs[1], .exit, at: 60).started == nil)
            #expect(try database.end(runs[2], .cancelled, at: 60).started == time(50))
            #expect(try database.retry(address(2), at: time(70)).started == nil)
            #expect(try database.outlines(of: job).map { $0.seconds(until: time(999)) } == [nil, nil, nil, nil])
            #expect(try database.cancel(address(0), at: time(80)).started == nil)
            try database.cancel(RunNumbers([1]), of: job, at: time(80))
            try database.apply(.cancel, to: job, at: time(80))
            #expect(try database.states(job) == [.cancelled, .failed, .cancelled, .cancelled])
            #expect(try database.runs(of: job).map(\.started) == [nil, time(50), nil, nil])
            #expect(try database.outlines(of: job).map { $0.seconds(until: time(999)) } == [nil, 10, nil, nil])
        }
    }

    @Test(arguments: ["run", "runs", "job", "time", "failure", "retry"])
    func `a run that failed is that again when it is ended as it waits for another attempt`(way: String) throws {
        try withDatabase { database in
            let options = { (options: inout JobOptions) in
                (options.retries, options.retryDelaySeconds) = (way == "retry" ? 0 : 1, 30)
                (options.stopOnFailure, options.retryOn) = (way == "failure", [.exit])
                options.jobTimeoutSeconds = 5
            }
            let job = try database.add(document(options: options), runs: 3)
            let runs = try (0..<2).map { _ in try #require(try database.claim(at: 50)) }
            try database.end(runs[0], .exit, at: 60)
            let failed = Verdict(.exit, "it ended")
            if way == "retry" {
                #expect(try database.run(address(0)).verdict == failed)
                #expect(try database.retry(address(0), at: time(61)).verdict == nil)
            }
            #expect(try database.run(address(0)).state == .pending)
            switch way {
            case "runs": #expect(try database.cancel(RunNumbers([0, 2]), of: job, at: time(70)).count == 2)
            case "job": try database.apply(.cancel, to: job, at: time(70))
            case "time": #expect(try database.expire(job, at: time(70)).count == 3)
            case "failure":
                try database.end(runs[1], .timeout, at: 70)
                #expect(try database.states(job) == [.failed, .failed, .skipped])
            default: #expect(try database.cancel(address(0), at: time(70)).state == .failed)
            }
            let run = try database.run(address(0))
            #expect(run.state == .failed && run.verdict == failed && run.failure == nil && run.notBefore == nil)
            #expect(run.started == time(50) && run.finished == time(60))
            #expect(try database.job(job).counts.failed == (way == "failure" ? 2 : 1))
        }
    }

    @Test func `a run that was interrupted, and is ended as it waits, says so, and its steps wait no more`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 2)
            let run = try #require(try database.claim(at: 50))
            var step = StepRecord(uuid: "s", title: "load", position: 0, attempt: 1)
            step.verdict = Verdict(.interrupted, "it was interrupted")
            try database.record([step], of: run.address)
            try database.end(run, .interrupted, at: 60)
            try database.apply(.cancel, to: job, at: time(70))
            let verdicts = try database.runs(of: job).map { $0.verdict?.summary }
            #expect(
                verdicts == [
                    "the job was cancelled before the run went on", "the job was cancelled before the run started",
                ])
            let ended = try #require(try database.steps(of: run.address).first)
            #expect(ended.state == .cancelled && ended.finished == time(70))
            #expect(ended.verdict?.summary.contains("was interrupted, and not started again") == true)
        }
    }

    @Test func `a run that is asked to end keeps the start of its attempt, unless that was only interrupted`() throws {
        try withDatabase { database in
            try database.add(document(), runs: 2)
            let runs = try (0..<2).map { _ in try #require(try database.claim(at: 50)) }
            for run in runs { #expect(try database.cancel(run.address, at: time(55)).started == time(50)) }
            let cancelled = try database.end(runs[0], .cancelled, at: 60)
            #expect(cancelled.started == time(50) && cancelled.finished == time(60))
            let interrupted = try database.end(runs[1], .interrupted, at: 60)
            #expect(interrupted.state == .cancelled && interrupted.started == nil)
        }
    }

    @Test func `of several runs all are retried, or none`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 3)
            try database.cancel(address(0), at: time(1))
            try database.cancel(address(2), at: time(1))
            #expect(throws: JobStorageError.self) { try database.retry(RunNumbers([0, 1, 2]), of: job, at: time(2)) }
            #expect(try database.states(job) == [.cancelled, .pending, .cancelled])
            try database.retry(RunNumbers([0, 2]), of: job, at: time(3))
            #expect(try database.states(job) == [.pending, .pending, .pending])
        }
    }

    @Test func `a run that succeeded, waits or runs is not retried`() throws {
        try withDatabase { database in
            try database.add(document(), runs: 2)
            #expect(throws: JobStorageError.refused("job 1/0", .run(.pending, .retry))) {
                try database.retry(address(0), at: time(1))
            }
            let run = try #require(try database.claim())
            #expect(throws: JobStorageError.refused("job 1/0", .run(.running, .retry))) {
                try database.retry(address(0), at: time(1))
            }
            try database.end(run)
            let error = #expect(throws: JobStorageError.refused("job 1/0", .run(.succeeded, .retry))) {
                try database.retry(address(0), at: time(1))
            }
            #expect(error?.hint == "make another job to execute it once more")
        }
    }

    @Test func `a paused job keeps its waiting runs until it is resumed`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 2)
            let run = try #require(try database.claim())
            #expect(try database.apply(.pause, to: job, at: time(5)) == .paused)
            #expect(try database.end(run).state == .succeeded)
            #expect(try database.claim() == nil)
            #expect(try database.apply(.resume, to: job, at: time(6)) == .running)
            #expect(try database.claim()?.address == address(1))
        }
    }

    @Test func `after a failure the rest is skipped, and says why`() throws {
        try withDatabase { database in
            let job = try database.add(document { $0.stopOnFailure = true }, runs: 4)
            let (first, second) = (try #require(try database.claim()), try #require(try database.claim()))
            try database.end(second, .timeout, at: 30)
            #expect(try database.states(job) == [.running, .failed, .skipped, .skipped])
            let skipped = try database.run(address(3))
            #expect(skipped.verdict?.cause == .dependencyFailed && skipped.finished == time(30))
            #expect(skipped.verdict?.detail["failed_run"] == .integer(1))
            try database.end(first)
            let record = try database.job(job)
            #expect(record.state == .failed && record.counts.skipped == 2 && record.counts.total == 4)
        }
    }

    @Test func `a job has not started before one of its runs has`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 2)
            try database.cancel(address(1), at: time(5))
            try database.apply(.pause, to: job, at: time(6))
            try database.apply(.resume, to: job, at: time(7))
            #expect(try database.job(job).started == nil)
            #expect(try database.job(job).state == .pending)
        }
    }

    @Test func `a draft can be cancelled without ever starting`() throws {
        try withDatabase { database in
            let job = try database.add(document(isDraft: true), runs: 2)
            #expect(try database.apply(.cancel, to: job, at: time(5)) == .cancelled)
            let record = try database.job(job)
            #expect(record.started == nil && record.finished == time(5) && record.counts.cancelled == 2)
        }
    }
}

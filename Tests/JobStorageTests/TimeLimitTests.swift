import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Limits of time, and runs without files") struct TimeLimitTests {
    private func address(_ number: Int) -> RunAddress { RunAddress(job: id(1), number: number) }

    @Test func `a job is out of time so long after its first run began, and is ended with all its runs`() throws {
        try withDatabase { database in
            let job = try database.add(
                document {
                    $0.jobTimeoutSeconds = 60
                    $0.retries = 3
                }, runs: 3)
            #expect(try database.jobsOutOfTime(at: time(10_000)).isEmpty)
            let run = try #require(try database.claim(at: 100))
            #expect(try database.jobsOutOfTime(at: time(159)).isEmpty)
            #expect(try database.jobsOutOfTime(at: time(160)) == [job])
            #expect(try database.expire(job, at: time(161)).description == "0-2")
            #expect(try database.states(job) == [.running, .cancelled, .cancelled])
            #expect(try database.run(address(1)).verdict.map(TimeLimit.job.isNamed) == true)
            #expect(try database.jobsOutOfTime(at: time(200)).isEmpty)
            #expect(try database.claim() == nil)
            // It is not made again, whatever retries are left.
            #expect(try database.end(run, .timeout, at: 170).state == .failed)
            let record = try database.job(job)
            #expect(record.state == .failed && record.timedOut == time(161) && record.clock == nil)
            try database.retry(address(1), at: time(300))
            #expect(try database.job(job).timedOut == nil)
            _ = try #require(try database.claim(at: 400))
            #expect(try database.jobsOutOfTime(at: time(459)).isEmpty)
            #expect(try database.jobsOutOfTime(at: time(460)) == [job])
        }
    }

    @Test func `a schedule goes on when the time of its runs is over`() throws {
        try withDatabase { database in
            var nightly = try document { $0.jobTimeoutSeconds = 60 }
            nightly.batches.next = time(9000)
            let job = try database.add(nightly, runs: 2)
            let run = try #require(try database.claim(at: 100))
            #expect(try database.expire(job, at: time(161)).description == "0-1")
            #expect(try database.end(run, .timeout).state == .failed)
            let record = try database.job(job)
            #expect(record.state == .pending && record.timedOut == nil && record.next == time(9000))
        }
    }

    @Test func `runs of a list are cancelled together, those alone that are in a state that was asked for`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 6)
            try database.end(try #require(try database.claim()))
            _ = try #require(try database.claim())
            let cancelled = try database.cancel(
                RunNumbers([0, 1, 2, 4]), of: job, in: [.pending], at: time(300))
            #expect(cancelled.description == "2,4")
            #expect(try database.states(job) == [.succeeded, .running, .cancelled, .pending, .cancelled, .pending])
            #expect(try database.cancelledRunningRuns().isEmpty)
            let counts = try database.job(job).counts
            #expect(counts.cancelled == 2 && counts.pending == 2 && counts.running == 1)
            #expect(try database.cancel(RunNumbers(first: 6), of: job, at: time(301)).description == "1,3,5")
            #expect(try database.cancelledRunningRuns().map(\.address) == [address(1)])
            #expect(try database.cancel(RunNumbers(first: 6), of: job, at: time(302)).isEmpty == false)
        }
    }

    @Test func `where logs are kept, runs beyond those with files lose these once`() throws {
        try withDatabase { database in
            let job = try database.add(
                document {
                    $0.keep = 1
                    $0.keepLogs = true
                }, runs: 3)
            for _ in 0..<3 { try database.end(try #require(try database.claim())) }
            #expect(try database.runsBeyondKeep(of: job) == [address(0), address(1)])
            for number in 0..<2 { try database.noteFilesRemoved(of: address(number), at: time(500)) }
            #expect(try database.runsBeyondKeep(of: job).isEmpty)
            #expect(try database.run(address(0)).filesRemoved == time(500))
            #expect(throws: JobStorageError.self) {
                try database.noteFilesRemoved(of: RunAddress(job: job, number: 9), at: time(501))
            }
        }
    }
}

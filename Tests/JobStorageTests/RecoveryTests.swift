import Isolation
import JobStorage
import Jobs
import Testing

@Suite("Attempts of which only the directories tell") struct RecoveryTests {
    @Test func `a run that waits is taken up at the attempt that was made, once, and ends as it did`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 2)
            #expect(try database.jobsWithPendingRuns() == [job])
            #expect(try database.pendingAttempts(of: job) == [0: 0, 1: 0])
            let address = RunAddress(job: job, number: 1)
            let run = try #require(try database.begin(2, ofPending: address, at: time(70)))
            #expect(run.state == .running && run.attempt == 2 && run.started == time(70))
            #expect(try database.job(job).state == .running && database.job(job).counts.running == 1)
            #expect(try database.begin(3, ofPending: address, at: time(80)) == nil)
            let ended = try database.finish(
                address, attempt: 2, verdict: Verdict(.succeeded, "done"), at: time(90))
            #expect(ended.state == .succeeded)
            #expect(try database.pendingAttempts(of: job) == [0: 0])
        }
    }

    @Test func `an attempt that the database knows is left as it is`() throws {
        try withDatabase { database in
            let job = try database.add(document(), runs: 1)
            let run = try #require(try database.claim(at: 50))
            try database.finish(run.address, attempt: 1, verdict: Verdict(.interrupted, "interrupted"), at: time(60))
            #expect(try database.pendingAttempts(of: job) == [0: 1])
            #expect(try database.begin(1, ofPending: run.address, at: time(70)) == nil)
            #expect(try database.run(run.address).state == .pending)
        }
    }
}

import Isolation
import Jobs
import Testing

@Suite("What the directories of a job tell") struct JobFactsTests {
    private func facts(
        runs: Int,
        _ causes: [Int: [Verdict.Cause?]] = [:],
        change: (inout JobDocument) -> Void = { _ in }
    ) throws -> JobFacts {
        var document = try Samples.document()
        (document.options, document.will) = (JobOptions(), JobWill(confirmed: Samples.time(0)))
        change(&document)
        let runFacts = causes.map { number, causes in
            let attempts = causes.enumerated().map { index, cause in
                RunFacts.Attempt(
                    number: index + 1,
                    started: Samples.time(Double(index)),
                    verdict: cause.map { Verdict($0, "attempt \(index + 1)") },
                    finished: cause.map { _ in Samples.time(Double(index) + 0.5) }
                )
            }
            return RunFacts(number: number, attempts: attempts)
        }
        return JobFacts(document: document, runCount: runs, runs: runFacts)
    }

    @Test func `runs without a directory wait`() throws {
        let lives = try facts(runs: 3).lives()
        #expect(lives.runs == [0: RunLifecycle(), 1: RunLifecycle(), 2: RunLifecycle()])
        #expect(lives.job.state == .pending && lives.job.counts == JobCounts(pending: 3))
        #expect(try facts(runs: 3) { $0.will.confirmed = nil }.lives().job.state == .draft)
        #expect(try facts(runs: 3) { $0.will.paused = Samples.time(1) }.lives().job.state == .paused)
    }

    @Test(
        arguments: [
            ([.succeeded], 0, RunState.succeeded), ([.exit], 0, .failed), ([.exit], 1, .pending), ([nil], 0, .running),
            ([.exit, .exit], 1, .failed), ([.interrupted], 0, .pending), ([.interrupted, .succeeded], 0, .succeeded),
            ([.interrupted, nil], 0, .running), ([.exit, .succeeded], 0, .succeeded),
            ([.succeeded, .exit], 0, .succeeded),
            ([.cancelled], 3, .cancelled), ([.supervisorLost, .supervisorLost], 9, .failed), ([], 0, .pending),
        ] as [([Verdict.Cause?], Int, RunState)])
    func `the attempts of a run tell its state`(causes: [Verdict.Cause?], retries: Int, expected: RunState) throws {
        let lives = try facts(runs: 1, [0: causes]) { $0.options.retries = retries }.lives()
        #expect(lives.runs[0]?.state == expected)
        #expect(lives.job.counts[expected] == 1 && lives.job.counts.total == 1)
    }

    @Test func `the verdict of a run is that of its newest attempt that was not interrupted`() throws {
        let run = try facts(runs: 1, [0: [.exit, .signal, .interrupted]]).runs[0]
        #expect(run.decisive?.number == 2)
        #expect(try facts(runs: 1, [0: [.interrupted]]).runs[0].decisive == nil)
    }

    @Test func `a cancelled job starts nothing again, and waits for what still runs`() throws {
        let lives = try facts(runs: 4, [0: [.succeeded], 1: [nil], 2: [.interrupted]]) {
            $0.will.cancelled = Samples.time(9)
        }.lives()
        #expect((0..<4).map { lives.runs[$0]?.state } == [.succeeded, .running, .cancelled, .cancelled])
        #expect(lives.runs[1]?.isCancelled == true)
        #expect(lives.job.state == .running && lives.job.isCancelled)
        #expect(try facts(runs: 4) { $0.will.cancelled = Samples.time(9) }.lives().job.state == .cancelled)
    }

    @Test func `runs that were cancelled one by one stay so`() throws {
        let lives = try facts(runs: 3, [2: [.succeeded]]) { $0.will.cancelledRuns = RunNumbers([0, 2]) }.lives()
        #expect((0..<3).map { lives.runs[$0]?.state } == [.cancelled, .pending, .succeeded])
    }

    @Test func `deleted runs are never made again, and still count`() throws {
        let lives = try facts(runs: 4, [3: [.succeeded]]) {
            $0.will.removedRuns = [.succeeded: RunNumbers([0, 1]), .failed: RunNumbers([2])]
        }.lives()
        #expect(Array(lives.runs.keys) == [3])
        #expect(lives.job.counts.succeeded == 3 && lives.job.counts.failed == 1 && lives.job.counts.total == 4)
        #expect(lives.job.state == .failed)
    }

    @Test func `after a failure the rest is skipped where that was asked for, also when the failure was deleted`()
        throws
    {
        let kept = try facts(runs: 3, [0: [.exit]]) { $0.options.stopOnFailure = true }.lives()
        #expect((0..<3).map { kept.runs[$0]?.state } == [.failed, .skipped, .skipped])
        #expect(kept.job.state == .failed)
        let deleted = try facts(runs: 3) {
            $0.options.stopOnFailure = true
            $0.will.removedRuns = [.failed: RunNumbers([0])]
        }.lives()
        #expect(deleted.runs.values.allSatisfy { $0.state == .skipped } && deleted.runs.count == 2)
        let allowed = try facts(runs: 3, [0: [.exit]]).lives()
        #expect(allowed.runs[1]?.state == .pending)
    }

    @Test func `directories of runs that the job never had are passed over`() throws {
        let lives = try facts(runs: 1, [5: [.succeeded], 9_000_000: [nil]]).lives()
        #expect(lives.runs == [0: RunLifecycle()])
    }
}

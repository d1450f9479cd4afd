import Isolation
import Jobs
import Testing

@Suite("The life of a job") struct JobLifecycleTests {
    private func job(_ state: JobState, runs: Int = 3) -> JobLifecycle {
        JobLifecycle(state: state, counts: JobCounts(pending: runs))
    }

    private func options(stopOnFailure: Bool = false, retries: Int = 0) -> JobOptions {
        var options = JobOptions()
        options.stopOnFailure = stopOnFailure
        options.retries = retries
        return options
    }

    @Test(arguments: JobState.allCases, JobEvent.allCases)
    func `only what makes sense in a state happens to a job; everything else is refused and changes nothing`(
        state: JobState, event: JobEvent
    ) throws {
        let allowed: [JobState: [JobEvent: JobState]] = [
            .draft: [.confirm: .pending, .cancel: .cancelled],
            .pending: [.pause: .paused, .cancel: .cancelled],
            .running: [.pause: .paused, .cancel: .cancelled],
            .paused: [.resume: .pending, .cancel: .cancelled],
        ]
        let before = job(state)
        var job = before
        if let expected = allowed[state]?[event] {
            let consequence = try job.apply(event)
            #expect(job.state == expected)
            #expect(consequence == (event == .cancel ? .cancelRuns : nil))
        } else {
            #expect(throws: RefusedTransition.job(state, event)) { try job.apply(event) }
            #expect(job == before)
        }
    }

    @Test(arguments: [JobState.draft, .paused, .succeeded, .failed, .cancelled])
    func `no run of a job starts unless the job is to be executed`(state: JobState) throws {
        var (job, run) = (job(state), RunLifecycle())
        #expect(throws: RefusedTransition.runOfJob(state, .start)) { try job.apply(.start, to: &run) }
        #expect(run == RunLifecycle() && job == self.job(state))
    }

    @Test func `a job runs from its first run to its last`() throws {
        var (job, runs) = (job(.pending, runs: 2), [RunLifecycle(), RunLifecycle()])
        #expect(try job.apply(.start, to: &runs[0]) == nil)
        #expect(job.state == .running && job.counts.running == 1 && job.counts.pending == 1)
        _ = try job.apply(.end(.succeeded), to: &runs[0])
        #expect(job.state == .running)
        _ = try job.apply(.start, to: &runs[1])
        _ = try job.apply(.end(.succeeded), to: &runs[1])
        #expect(job.state == .succeeded && job.counts.succeeded == 2 && job.counts.total == 2)
    }

    @Test(arguments: [
        ([RunState.succeeded, .succeeded], JobState.succeeded), ([.succeeded, .failed], .failed),
        ([.succeeded, .cancelled], .succeeded), ([.cancelled, .cancelled], .cancelled),
        ([.cancelled, .failed], .failed), ([.skipped, .failed], .failed),
    ])
    func `how the runs ended tells how the job ended`(states: [RunState], expected: JobState) {
        let counts = Samples.counts(states.map { RunLifecycle(state: $0) })
        #expect(
            JobLifecycle(will: JobWill(confirmed: Samples.time(0)), counts: counts, options: .init()).state == expected)
    }

    @Test func `a cancelled job ends when its last running run has stopped, and starts nothing until then`() throws {
        var (job, runs) = (job(.pending), [RunLifecycle(), RunLifecycle()])
        _ = try job.apply(.start, to: &runs[0])
        #expect(try job.apply(.cancel) == .cancelRuns)
        #expect(job.state == .running && job.isCancelled)
        #expect(job.counts.cancelled == 2 && job.counts.pending == 0 && job.counts.running == 1)
        #expect(throws: RefusedTransition.jobBeingCancelled) { try job.apply(.start, to: &runs[1]) }
        #expect(throws: RefusedTransition.jobBeingCancelled) { try job.apply(.pause) }
        #expect(try job.apply(.cancel) == .cancelRuns)
        _ = try job.apply(.end(.succeeded), to: &runs[0])
        #expect(job.state == .cancelled && job.counts.succeeded == 1)
    }

    @Test func `after a failure the rest is skipped where that was asked for`() throws {
        var job = JobLifecycle(
            state: .pending, counts: .init(pending: 4), options: options(stopOnFailure: true, retries: 1))
        var runs = [RunLifecycle(), RunLifecycle()]
        _ = try job.apply(.start, to: &runs[0])
        _ = try job.apply(.start, to: &runs[1])
        #expect(try job.apply(.end(.exit), to: &runs[0]) == nil, "an attempt is left")
        _ = try job.apply(.start, to: &runs[0])
        #expect(try job.apply(.end(.exit), to: &runs[0]) == .skipPendingRuns)
        #expect(job.counts.skipped == 2 && job.counts.pending == 0 && job.state == .running)
        _ = try job.apply(.end(.succeeded), to: &runs[1])
        #expect(job.state == .failed)
    }

    @Test func `a retry takes an ended job up again`() throws {
        var run = RunLifecycle(state: .failed)
        var job = JobLifecycle(state: .failed, counts: Samples.counts([run, RunLifecycle(state: .succeeded)]))
        _ = try job.apply(.retry, to: &run)
        #expect(!job.state.isFinal && run.state == .pending)
        #expect(throws: RefusedTransition.run(.pending, .retry)) { try job.apply(.retry, to: &run) }
        _ = try job.apply(.start, to: &run)
        _ = try job.apply(.end(.succeeded), to: &run)
        #expect(job.state == .succeeded && job.counts.succeeded == 2 && job.counts.failed == 0)
    }

    @Test func `a job is running only once one of its runs has started`() throws {
        var (job, run) = (job(.pending), RunLifecycle())
        _ = try job.apply(.cancel, to: &run)
        #expect(job.state == .pending)
        _ = try job.apply(.pause)
        _ = try job.apply(.resume)
        #expect(job.state == .pending, "after a pause")
        let told = JobLifecycle(will: JobWill(confirmed: Samples.time(0)), counts: job.counts, options: JobOptions())
        #expect(told.state == .pending, "as the directories tell it")
    }

    @Test func `a paused job lets its runs end, and ends with them`() throws {
        var (job, run) = (job(.pending, runs: 1), RunLifecycle())
        _ = try job.apply(.start, to: &run)
        _ = try job.apply(.pause)
        _ = try job.apply(.end(.interrupted), to: &run)
        #expect(job.state == .paused && job.counts.pending == 1)
        _ = try job.apply(.resume)
        _ = try job.apply(.start, to: &run)
        _ = try job.apply(.pause)
        _ = try job.apply(.end(.succeeded), to: &run)
        #expect(job.state == .succeeded)
    }

    @Test func `a draft whose runs were all cancelled is over when it is started`() throws {
        var (job, run) = (job(.draft, runs: 1), RunLifecycle())
        _ = try job.apply(.cancel, to: &run)
        #expect(job.state == .draft)
        _ = try job.apply(.confirm)
        #expect(job.state == .cancelled)
    }

    /// Whatever happens to whatever run: the counts are those of the runs, and the state fits them.
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func `the counts are true after any history`(seed: UInt64) throws {
        var generator = SeededGenerator(state: seed)
        let options = options(stopOnFailure: seed % 3 == 0, retries: Int(seed % 2))
        var runs = Array(repeating: RunLifecycle(), count: Int.random(in: 1...6, using: &generator))
        var job = JobLifecycle(state: .draft, counts: JobCounts(pending: runs.count), options: options)
        for _ in 0..<120 {
            let index = Int.random(in: runs.indices, using: &generator)
            let causes: [Verdict.Cause] = [.succeeded, .succeeded, .exit, .interrupted, .cancelled, .supervisorLost]
            let changes: [RunChange] = [.start, .start, .cancel, .retry] + causes.map(RunChange.end)
            let before = (job, runs)
            let consequence: JobConsequence?
            do {
                if Int.random(in: 0..<8, using: &generator) == 0 {
                    let events: [JobEvent] = [.confirm, .confirm, .pause, .resume, .resume, .cancel]
                    consequence = try job.apply(events.randomElement(using: &generator) ?? .confirm)
                } else {
                    consequence = try job.apply(changes.randomElement(using: &generator) ?? .start, to: &runs[index])
                }
            } catch {
                #expect((job, runs) == before, "\(error) changed something")
                continue
            }
            for index in runs.indices where runs[index].state == .pending {
                switch consequence {
                case .cancelRuns: runs[index] = RunLifecycle(state: .cancelled, isCancelled: true)
                case .skipPendingRuns: runs[index] = RunLifecycle(state: .skipped)
                case nil: break
                }
            }
            #expect(job.counts == Samples.counts(runs))
            #expect(job.counts.total == runs.count)
            #expect(job.counts.ended == runs.count { $0.state.isFinal })
            #expect(job.state == .draft || job.state.isFinal == runs.allSatisfy(\.state.isFinal))
            if job.state == .pending || job.state == .draft { #expect(job.counts.running == 0) }
        }
    }
}

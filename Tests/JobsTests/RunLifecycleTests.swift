import Isolation
import Jobs
import Testing

@Suite("The life of a run") struct RunLifecycleTests {
    private func after(_ changes: RunChange..., retries: Int = 0) throws -> RunLifecycle {
        var run = RunLifecycle()
        for change in changes { try run.apply(change, retries: retries) }
        return run
    }

    @Test(arguments: RunState.allCases, [RunChange.start, .end(.succeeded), .cancel, .retry])
    func `only what makes sense in a state happens; everything else is refused and changes nothing`(
        state: RunState, change: RunChange
    ) throws {
        let allowed: [RunState: [RunChange: RunState]] = [
            .pending: [.start: .running, .cancel: .cancelled],
            .running: [.end(.succeeded): .succeeded, .cancel: .running],
            .succeeded: [:],
            .failed: [.retry: .pending],
            .cancelled: [.retry: .pending],
            .skipped: [.retry: .pending],
        ]
        let before = RunLifecycle(state: state, failures: 2, losses: 1)
        var run = before
        if let expected = allowed[state]?[change] {
            try run.apply(change, retries: 0)
            #expect(run.state == expected)
        } else {
            #expect(throws: RefusedTransition.run(state, change)) { try run.apply(change, retries: 0) }
            #expect(run == before)
        }
    }

    @Test(arguments: Verdict.Cause.allCases) func `every cause leads to a state`(cause: Verdict.Cause) throws {
        let others: [Verdict.Cause: RunState] = [
            .succeeded: .succeeded, .cancelled: .cancelled, .interrupted: .pending, .dependencyFailed: .skipped,
        ]
        let expected = others[cause] ?? .failed
        #expect(RunState(after: cause) == expected)
        let run = try after(.start, .end(cause))
        #expect(run.state == expected)
        #expect(run.failures == (expected == .failed ? 1 : 0))
        #expect(run.losses == (cause == .supervisorLost ? 1 : 0))
    }

    @Test func `a failed attempt is followed by as many others as were asked for`() throws {
        var run = RunLifecycle()
        for attempt in 1...3 {
            #expect(run.state == .pending)
            try run.apply(.start, retries: 2)
            try run.apply(.end(.exit), retries: 2)
            #expect(run.failures == attempt)
        }
        #expect(run.state == .failed)
    }

    @Test func `an interrupted attempt costs no retry`() throws {
        let run = try after(.start, .end(.interrupted), .start, .end(.interrupted), .start, .end(.signal), retries: 1)
        #expect(run.state == .pending)
        #expect(run.failures == 1)
    }

    @Test func `a run that loses its supervisor twice is not tried again`() throws {
        let once = try after(.start, .end(.supervisorLost), retries: 10)
        #expect(once.state == .pending)
        let twice = try after(
            .start, .end(.supervisorLost), .start, .end(.exit), .start, .end(.supervisorLost), retries: 10)
        #expect(twice.state == .failed)
    }

    @Test(arguments: [
        (Verdict.Cause.interrupted, RunState.cancelled), (.cancelled, .cancelled), (.succeeded, .succeeded),
        (.exit, .failed), (.supervisorLost, .failed),
    ])
    func `whoever cancels a running run never sees it start again`(cause: Verdict.Cause, expected: RunState) throws {
        var run = try after(.start, .cancel, .cancel, retries: 5)
        #expect(run.state == .running && run.isCancelled)
        try run.apply(.end(cause), retries: 5)
        #expect(run.state == expected)
    }

    @Test func `a retry that somebody asks for begins anew`() throws {
        let run = try after(.start, .end(.supervisorLost), .start, .cancel, .end(.supervisorLost), .retry, retries: 3)
        #expect(run == RunLifecycle(hasFailed: true))
    }

    @Test func `a run that is ended as it waits is what its last attempt made of it, if that failed`() throws {
        #expect(try after(.cancel).state == .cancelled)
        #expect(try after(.start, .end(.interrupted), .cancel).state == .cancelled)
        let failed = try after(.start, .end(.exit), .cancel, retries: 3)
        #expect(failed.state == .failed && failed.isCancelled)
        #expect(try after(.start, .end(.exit), .start, .end(.interrupted), .cancel, retries: 3).state == .failed)
        #expect(try after(.start, .end(.exit), .start, .cancel, .end(.interrupted), retries: 3).state == .failed)
        #expect(try after(.start, .end(.exit), .start, .cancel, .end(.cancelled), retries: 3).state == .cancelled)
        #expect(try after(.start, .end(.exit), .retry, .cancel).state == .failed)
        #expect(try after(.start, .end(.cancelled), .retry, .cancel).state == .cancelled)
    }

    @Test func `final states are the ones that only a retry leaves`() {
        #expect(RunState.allCases.filter(\.isFinal) == [.succeeded, .failed, .cancelled, .skipped])
        #expect(JobState.allCases.filter(\.isFinal) == [.succeeded, .failed, .cancelled])
    }

    @Test func `a refusal says what cannot be done and what can`() {
        let running = RefusedTransition.run(.running, .start)
        #expect(running.description == "cannot start a run that is running")
        #expect(RefusedTransition.run(.succeeded, .retry).hint == "make another job to execute it once more")
        #expect(RefusedTransition.run(.failed, .cancel).hint == "it has ended already")
        #expect(RefusedTransition.job(.draft, .pause).description == "cannot pause a job that is draft")
        #expect(RefusedTransition.runOfJob(.paused, .start).hint == "resume the job first")
    }
}

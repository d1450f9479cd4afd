/// A change that a job or a run in its state does not allow; nothing was changed.
package enum RefusedTransition: Error, Sendable, Hashable, CustomStringConvertible {
    /// The job, being in that state, cannot take the event.
    case job(JobState, JobEvent)
    /// The job has been cancelled, and only waits for its runs to stop.
    case jobBeingCancelled
    /// The run, being in that state, cannot take the change.
    case run(RunState, RunChange)
    /// The job, being in that state, does not let the change happen to its runs.
    case runOfJob(JobState, RunChange)
    /// The job, being in that state, gets no further runs.
    case batch(JobState)

    /// A lower-case fragment that fits after the name of the job or run.
    package var description: String {
        switch self {
        case .job(let state, let event): "cannot \(event.rawValue) a job that is \(state.rawValue)"
        case .jobBeingCancelled: "the job is being cancelled"
        case .run(let state, let change): "cannot \(change.verb) a run that is \(state.rawValue)"
        case .runOfJob(let state, let change): "cannot \(change.verb) a run of a job that is \(state.rawValue)"
        case .batch(let state): "cannot make runs of a job that is \(state.rawValue)"
        }
    }

    /// What to do about it.
    package var hint: String? {
        switch self {
        case .job(let state, .confirm) where state != .draft: "it was started before"
        case .job(.draft, .pause), .job(.draft, .resume), .runOfJob(.draft, _), .batch(.draft):
            "start the job first: `cloche job start JOB`"
        case .job(_, .resume): "only a paused job can be resumed"
        case .job(let state, _) where state.isFinal: "the job has ended; make another one for more runs"
        case .job: nil
        case .jobBeingCancelled: "wait until its runs have stopped"
        case .run(.succeeded, .retry): "make another job to execute it once more"
        case .run(.pending, .retry), .run(.running, .retry): "it has not ended yet"
        case .run(let state, .cancel) where state.isFinal: "it has ended already"
        case .run: nil
        case .runOfJob(.paused, _): "resume the job first"
        case .runOfJob: "the job has ended"
        case .batch: "make another one of it by `cloche job copy`"
        }
    }
}

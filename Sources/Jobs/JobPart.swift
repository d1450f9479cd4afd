/// What of a job its author may change, by where the job is in its life.
package enum JobPart: String, Sendable, Hashable, CaseIterable {
    /// What it is called.
    case name
    /// How many runs go on at once, limits of time, retries, what stops it, what is kept: also for runs that are retried.
    case limits
    /// The policy.
    case policy
    /// When its runs are made.
    case schedule
    /// Parameters, selection and variables: what its runs are.
    case runs

    /// Refuses what cannot be changed in a job that is in `state`; `awaitsBatches` tells whether its schedule goes on.
    package func checkChange(in state: JobState, awaitsBatches: Bool) throws(RefusedEdit) {
        let isAllowed =
            switch self {
            case .name, .limits: true
            case .policy, .schedule: state == .draft || awaitsBatches && !state.isFinal
            case .runs: state == .draft
            }
        if !isAllowed { throw RefusedEdit(part: self, state: state) }
    }
}

/// A change of a job that its state does not allow; nothing was changed.
package struct RefusedEdit: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was to be changed.
    package let part: JobPart
    /// Where the job is.
    package let state: JobState

    /// A lower-case fragment that fits after the name of the job.
    package var description: String {
        let what =
            switch part {
            case .name: "its name"
            case .limits: "its limits"
            case .policy: "its policy"
            case .schedule: "its schedule"
            case .runs: "what its runs are"
            }
        return "cannot change \(what): it is \(state.rawValue)" + (needsSchedule ? ", and has no times to come" : "")
    }

    /// What to do about it.
    package var hint: String {
        part == .runs || state.isFinal || needsSchedule
            ? "make a draft of it by `cloche job copy`, and change that" : "see it with `cloche show`"
    }

    private var needsSchedule: Bool { (part == .schedule || part == .policy) && !state.isFinal }
}

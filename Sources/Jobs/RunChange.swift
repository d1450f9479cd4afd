package import Isolation

/// What can happen to a run.
package enum RunChange: Sendable, Hashable {
    /// An attempt begins.
    case start
    /// The attempt ended with a verdict of this cause.
    case end(Verdict.Cause)
    /// Somebody asks for its end.
    case cancel
    /// Somebody asks for another attempt at a run that has ended.
    case retry

    /// The name of the change, as a verb.
    package var verb: String {
        switch self {
        case .start: "start"
        case .end: "end"
        case .cancel: "cancel"
        case .retry: "retry"
        }
    }
}

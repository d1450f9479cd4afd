package import Isolation

/// Where a run, or a step of a run, is in its life.
package enum RunState: String, Sendable, Hashable, Codable, CodingKeyRepresentable, CaseIterable {
    /// Not started, or to be started again.
    case pending
    /// An attempt at it is being made.
    case running
    /// It did what it should.
    case succeeded
    /// It did not.
    case failed
    /// It was stopped, or kept from starting, because somebody asked for that.
    case cancelled
    /// It never started, because something before it failed.
    case skipped

    /// Whether nothing but a retry changes it any more.
    package var isFinal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled, .skipped: true
        case .pending, .running: false
        }
    }

    /// The state in which a verdict of that cause leaves a run or a step, retries left aside.
    package init(after cause: Verdict.Cause) {
        switch cause {
        case .succeeded: self = .succeeded
        case .cancelled: self = .cancelled
        case .interrupted: self = .pending
        case .dependencyFailed: self = .skipped
        case .exit, .signal, .outOfMemory, .timeout, .cpuLimit, .pidsLimit, .diskFull, .outputLimit, .denied, .setup,
            .supervisorLost:
            self = .failed
        }
    }
}

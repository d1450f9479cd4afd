/// Where a job is in its life.
package enum JobState: String, Sendable, Hashable, Codable, CaseIterable {
    /// Made, but not to be executed before its author says so.
    case draft
    /// To be executed; none of its runs has started yet, or those of its last batch have ended and more are to come.
    case pending
    /// At least one of its runs has started.
    case running
    /// No further run starts until it is resumed; runs that have started go on.
    case paused
    /// All its runs have ended, and none failed.
    case succeeded
    /// All its runs have ended, and at least one failed.
    case failed
    /// It was cancelled, and nothing of it runs any more.
    case cancelled

    /// Whether nothing but a retry changes it any more.
    package var isFinal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled: true
        case .draft, .pending, .running, .paused: false
        }
    }
}

/// What somebody can be told of: the end of a run, of a job, and of a batch of a job with a schedule.
package enum NotificationEvent: String, Sendable, Hashable, Codable, CaseIterable {
    case runSucceeded = "run.succeeded"
    case runFailed = "run.failed"
    case runCancelled = "run.cancelled"
    case runSkipped = "run.skipped"
    case batchSucceeded = "batch.succeeded"
    case batchFailed = "batch.failed"
    case jobSucceeded = "job.succeeded"
    case jobFailed = "job.failed"
    case jobCancelled = "job.cancelled"

    /// What is told where nothing else is asked for: ends of jobs and batches, and runs that failed.
    package static let usual = [
        runFailed, batchSucceeded, batchFailed, jobSucceeded, jobFailed, jobCancelled,
    ]

    /// Words that stand for several events.
    private static let groups = ["run", "batch", "job"].map { ("\($0).finished", $0 + ".") }

    /// The words that name events.
    package static let words = groups.map(\.0) + allCases.map(\.rawValue)

    /// The events that a word names; nil where it names none.
    package static func named(_ word: String) -> [NotificationEvent]? {
        if let event = NotificationEvent(rawValue: word) { return [event] }
        guard let group = groups.first(where: { $0.0 == word }) else { return nil }
        return allCases.filter { $0.rawValue.hasPrefix(group.1) }
    }
}

import ArgumentParser
import Isolation
import Jobs
import TerminalOutput

/// How long an attempt at a run, and a job, may take.
struct TimeLimitOptions: ParsableArguments {
    @Option(
        help: """
            End an attempt at a run after this time: 90s, 15m, 2h; it has failed with `timeout`. In `job edit`, `none` \
            takes the limit away.
            """)
    var runTimeout: String?
    @Option(
        help: """
            End the job after this time, with all its runs; counted from the start of its first run, and of a job with a \
            schedule anew when all its runs had ended.
            """)
    var jobTimeout: String?

    /// How the options change; nil leaves them.
    func change() throws -> ((inout JobOptions) -> Void)? {
        guard runTimeout != nil || jobTimeout != nil else { return nil }
        let (run, job) = (try Self.limit(runTimeout), try Self.limit(jobTimeout))
        return { options in
            if let run { options.runTimeoutSeconds = run }
            if let job { options.jobTimeoutSeconds = job }
        }
    }

    /// The outer nil leaves the limit, the inner one takes it away.
    static func limit(_ text: String?) throws -> Double?? {
        guard let text else { return nil }
        return .some(text == "none" ? nil : try JobSettings.seconds(text))
    }

    /// How a job's runs are made, and its limits, for its facts; empty where that is as usual.
    static func facts(_ job: JobRecord) -> [(String, String)] {
        let limits = [
            ("a step", job.options.timeoutSeconds), ("a run", job.options.runTimeoutSeconds),
            ("the job", job.options.jobTimeoutSeconds),
        ].compactMap { name, seconds in seconds.map { "\(name) \(humanDuration(.seconds($0)))" } }
        var facts: [(String, String)] = []
        let options = job.options
        if let most = options.maxParallel { facts.append(("at once", counted(most, "run"))) }
        if options.stopOnFailure { facts.append(("stops", "at the first run that fails")) }
        if options.retries > 0 {
            let causes = options.retryOn.map { " of " + $0.map(\.rawValue).sorted().joined(separator: ", ") } ?? ""
            let delay = options.retryDelaySeconds.map { ", the first after \(humanDuration(.seconds($0)))" } ?? ""
            facts.append(
                ("retries", "\(options.retries) of a run\(delay)\(causes.isEmpty ? "" : ", in case\(causes)")"))
        }
        if !limits.isEmpty { facts.append(("time limits", limits.joined(separator: ", "))) }
        if let time = job.timedOut { facts.append(("timed out", "\(time); \(TimeLimit.job.remedy)")) }
        return facts
    }
}

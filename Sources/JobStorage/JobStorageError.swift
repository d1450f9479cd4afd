package import Jobs
import Pipelines
import PlainText

/// Why the database of jobs did not do what was asked; nothing was changed.
package enum JobStorageError: Error, Sendable, Hashable {
    /// No job, run or reference of that name exists; the names are those that were probably meant.
    case notFound(String, nearest: [String])
    /// The job exists, but not its run of that number; it has so many runs.
    case noSuchRun(job: String, number: Int, count: Int)
    /// More than one job is meant by this: their names and identities.
    case ambiguous(String, candidates: [String])
    /// Another job of the owner has that name already; the proposal is free.
    case nameTaken(JobName, proposal: JobName)
    /// A job of that identity is there already.
    case identityTaken(JobID)
    /// A job needs at least one run, and at most ten million.
    case runCount(Int)
    /// The job or run, named by the text, does not allow the change.
    case refused(String, RefusedTransition)
    /// The job or run, named by the text, cannot be deleted in that state.
    case notEnded(String, String)
    /// A verdict came for an attempt that is not the newest one of the run.
    case staleAttempt(RunAddress, attempt: Int, newest: Int)
    /// The database at the path has a format that only a newer version knows.
    case newerFormat(path: String, found: Int, known: Int)
    /// The file at the path is the database of another program.
    case foreign(path: String)
    /// The file at the path is damaged, as told by the detail.
    case corrupted(path: String, detail: String)
    /// Other processes kept the database at the path locked.
    case busy(path: String)
    /// The file system has no room for the database at the path.
    case full(path: String)
    /// The file at the path cannot be opened, read or written, as told by the detail.
    case unusable(path: String, detail: String)
}

extension JobStorageError: CustomStringConvertible {
    /// A lower-case fragment, safe to show.
    package var description: String {
        switch self {
        case .notFound(let name, _): "no job matches \(Self.quoted(name))"
        case .noSuchRun(let job, let number, let count) where (0..<count).contains(number):
            "run \(number) of job \(Self.quoted(job)) has been removed"
        case .noSuchRun(let job, let number, let count):
            "job \(Self.quoted(job)) has no run \(number), \(Self.extent(count))"
        case .ambiguous(let name, let candidates): "\(Self.quoted(name)) matches \(candidates.count) jobs"
        case .nameTaken(let name, _): "a job named \(Self.quoted(name.description)) exists already"
        case .identityTaken(let job): "a job with the identity `\(job)` exists already"
        case .runCount(let count): "a job cannot have \(count) runs"
        case .refused(let name, let refusal): "\(Self.quoted(name)): \(refusal)"
        case .notEnded(let name, let state): "\(Self.quoted(name)) is \(state) and cannot be deleted"
        case .staleAttempt(let run, let attempt, let newest):
            "attempt \(attempt) of run `\(run)` came too late, attempt \(newest) has begun"
        case .newerFormat(let path, let found, let known):
            "database \(Self.quoted(path)) is of format \(found), and only formats up to \(known) are known"
        case .foreign(let path): "\(Self.quoted(path)) is the database of another program"
        case .corrupted(let path, let detail):
            "database \(Self.quoted(path)) is damaged: \(printable(detail, limit: 300))"
        case .busy(let path): "database \(Self.quoted(path)) is locked by another process"
        case .full(let path): "no room left to write database \(Self.quoted(path))"
        case .unusable(let path, let detail):
            "cannot use database \(Self.quoted(path)): \(printable(detail, limit: 300))"
        }
    }

    /// What to do about it, safe to show.
    package var hint: String? {
        switch self {
        case .notFound(_, let nearest):
            nearest.isEmpty
                ? "`cloche ls` lists the jobs" : "did you mean \(nearest.map(Self.quoted).joined(separator: " or "))?"
        case .noSuchRun(_, let number, let count) where (0..<count).contains(number):
            "`cloche ls JOB` lists those that there are; `--keep` and `cloche rm` remove runs"
        case .noSuchRun(_, _, 0): "`cloche job start JOB` makes the runs of a draft; a schedule makes them in its time"
        case .noSuchRun: "`cloche ls JOB` lists the runs of a job"
        case .ambiguous(_, let candidates):
            "write more of one of " + candidates.map(Self.quoted).joined(separator: ", ")
        case .nameTaken(_, let proposal):
            "\(Self.quoted(proposal.description)) is free, or remove the other job by `cloche rm`"
        case .identityTaken: "make the job with a new identity"
        case .runCount: "choose 1 to 10,000,000 combinations of its parameters"
        case .refused(_, let refusal): refusal.hint
        case .notEnded: "cancel it first"
        case .staleAttempt: nil
        case .newerFormat: "use the newer cloche that wrote it, or rebuild it with `cloche system reindex`"
        case .foreign: "move the file away, then run `cloche system reindex`"
        case .corrupted: "rebuild it from the run directories with `cloche system reindex`"
        case .busy: "try again"
        case .full: "make room on the disk"
        case .unusable: "check that the directory exists, and that its owner runs this command"
        }
    }

    private static func quoted(_ text: String) -> String {
        "`\(printable(text, limit: 120))`"
    }

    private static func extent(_ count: Int) -> String {
        switch count {
        case 0: "it has none yet"
        case 1: "it has run 0 only"
        default: "its runs are 0 to \(count - 1)"
        }
    }
}

/// The exit codes of the command line; `exec` passes on the command's own code besides.
package enum ExitStatus: Int32, Sendable, Hashable, CaseIterable {
    /// Nothing went wrong.
    case succeeded = 0
    /// A step or the command failed.
    case failed = 1
    /// Cancelled by somebody else.
    case cancelled = 2
    /// A part of a grid failed.
    case partlyFailed = 3
    /// No such thing.
    case notFound = 5
    /// Not allowed, or not confirmed.
    case refused = 6
    /// EX_USAGE of sysexits.h.
    case usage = 64
    /// EX_DATAERR of sysexits.h.
    case badData = 65
    /// EX_UNAVAILABLE of sysexits.h.
    case unavailable = 69
    /// EX_TEMPFAIL of sysexits.h.
    case tryAgain = 75
    /// EX_CONFIG of sysexits.h.
    case badConfiguration = 78
    /// As timeout(1) has it.
    case timedOut = 124
    /// Nothing ran.
    case sandboxSetup = 125
    /// As shells have it.
    case notExecutable = 126
    /// As shells have it.
    case commandNotFound = 127
    /// 128 and SIGINT.
    case interrupted = 130
    /// 128 and SIGTERM.
    case terminated = 143

    /// What the code means, as one sentence for `help exit-codes`.
    package var sentence: String {
        switch self {
        case .succeeded: "Everything that was asked for was done, and every run succeeded."
        case .failed: "A run failed because one of its steps failed, or the command itself failed."
        case .cancelled: "The run was cancelled by somebody else."
        case .partlyFailed: "Some runs of the grid failed and some succeeded."
        case .notFound: "The job, run, step, snapshot, environment or policy does not exist."
        case .refused: "Refused: a policy, a quota or a full disk forbids it, or it needs a confirmation or --yes."
        case .usage: "The command line is wrong."
        case .badData: "A pipeline, parameters file or other document is wrong."
        case .unavailable: "The service cannot be reached."
        case .tryAgain: "Something is busy or locked for now; the same command may work later."
        case .badConfiguration: "The configuration, a policy or this host does not allow to start."
        case .timedOut: "The time limit was reached."
        case .sandboxSetup: "The sandbox could not be set up, so nothing ran in it."
        case .notExecutable: "The program was found in the sandbox but cannot be executed."
        case .commandNotFound: "The program was not found in the sandbox."
        case .interrupted: "Interrupted from the keyboard."
        case .terminated: "Terminated by a signal."
        }
    }
}

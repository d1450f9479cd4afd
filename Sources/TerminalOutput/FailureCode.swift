/// Why a command failed, as programs read it; the list only grows, and words never change their meaning.
package enum FailureCode: String, Sendable, Hashable, CaseIterable {
    /// The command line is wrong.
    case usage
    /// What was named does not exist.
    case notFound = "not_found"
    /// What was named could be several things.
    case ambiguous
    /// It exists already.
    case alreadyExists = "already_exists"
    /// Its state does not allow it.
    case wrongState = "wrong_state"
    /// It needs a confirmation that was not given.
    case confirmationRequired = "confirmation_required"
    /// A policy forbids it.
    case policyDenied = "policy_denied"
    /// It belongs to somebody else.
    case permissionDenied = "permission_denied"
    /// It would exceed a quota or fill the disk.
    case quotaExceeded = "quota_exceeded"
    /// A pipeline file is wrong.
    case invalidPipeline = "invalid_pipeline"
    /// Parameters are wrong.
    case invalidParameters = "invalid_parameters"
    /// A project, snapshot, image or other input is wrong.
    case invalidData = "invalid_data"
    /// A policy document is wrong.
    case invalidPolicy = "invalid_policy"
    /// The configuration, or an environment's recipe, is wrong.
    case invalidConfiguration = "invalid_configuration"
    /// The host lacks something that is needed.
    case hostUnsupported = "host_unsupported"
    /// The service cannot be reached.
    case serviceUnavailable = "service_unavailable"
    /// Something is locked or busy.
    case busy
    /// A time limit was reached.
    case timedOut = "timed_out"
    /// The sandbox could not be set up.
    case sandboxSetup = "sandbox_setup"
    /// The program cannot be executed.
    case notExecutable = "not_executable"
    /// The program does not exist in the sandbox.
    case commandNotFound = "command_not_found"
    /// A build, a run or an action failed.
    case failed
    /// Somebody cancelled it.
    case cancelled
    /// Output could not be written.
    case outputFailed = "output_failed"
    /// The keyboard interrupted it.
    case interrupted
    /// A signal ended it.
    case terminated
    /// A fault of this program.
    case internalFault = "internal"

    /// The exit code that goes with it, unless a failure says otherwise.
    package var exitStatus: ExitStatus {
        switch self {
        case .usage, .ambiguous: .usage
        case .notFound: .notFound
        case .alreadyExists, .wrongState, .confirmationRequired, .policyDenied, .permissionDenied, .quotaExceeded:
            .refused
        case .invalidPipeline, .invalidParameters, .invalidData: .badData
        case .invalidPolicy, .invalidConfiguration, .hostUnsupported: .badConfiguration
        case .serviceUnavailable: .unavailable
        case .busy: .tryAgain
        case .timedOut: .timedOut
        case .sandboxSetup: .sandboxSetup
        case .notExecutable: .notExecutable
        case .commandNotFound: .commandNotFound
        case .failed, .outputFailed, .internalFault: .failed
        case .cancelled: .cancelled
        case .interrupted: .interrupted
        case .terminated: .terminated
        }
    }
}

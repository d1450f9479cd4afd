import Environments
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Policies
import PreparedCommands
import SandboxLaunch
import SandboxRuntime
import Snapshots
import SystemPackage
import TerminalOutput

/// The one place where errors of the program become failures with words, a hint and an exit code.
enum Failures {
    /// The failure that an error means; nil for the argument parser's own.
    static func failure(_ error: any Error) -> CommandFailure? {
        switch error {
        case let error as CommandFailure: error
        case let error as InvalidDocument: document(error)
        case let error as DocumentError: recipe(error)
        case let error as ParameterError: CommandFailure(.invalidParameters, error.message, hint: error.hint)
        case let error as JobStorageError: storage(error)
        case let error as JobScheduling.StoreError: store(error)
        case let error as ServiceError: service(error)
        case let error as ClientFault:
            CommandFailure(.failed, "use the service: it sent \(error)", hint: "use the version that the service has")
        case let error as Environments.StoreError: environments(error)
        case let error as BuildError: build(error)
        case let error as JobEditError: CommandFailure(.wrongState, error.description, hint: error.refusal.hint)
        case let error as JobRefusal: CommandFailure(.wrongState, error.message, hint: error.hint)
        case let error as InvalidCronExpression: CommandFailure(.usage, error.description, hint: error.hint)
        case let error as TimeZoneError: CommandFailure(.usage, error.description, hint: error.hint)
        case let error as EnvironmentInUse:
            CommandFailure(error.isBusy ? .busy : .wrongState, error.description, hint: error.hint)
        case let error as BaseError: base(error)
        case let error as ProjectEnvironmentError: projectEnvironment(error)
        case let error as SnapshotError: snapshot(error)
        case let error as InvalidRunReference: CommandFailure(.usage, "\(error)", hint: error.hint)
        case let error as InvalidRunExpression: CommandFailure(.usage, "\(error)", hint: error.hint)
        case let error as InvalidJobName: CommandFailure(.usage, "\(error)", hint: error.hint)
        case let error as PolicyError: policy(error)
        case let error as LaunchError: CommandReport.failure(error)
        case let error as SyscallError: system(error)
        default: nil
        }
    }

    private static func document(
        _ error: InvalidDocument, _ code: FailureCode = .invalidPipeline
    ) -> CommandFailure {
        let problems = error.diagnostics.map { diagnostic in
            CommandFailure.Problem(
                diagnostic.message, hint: diagnostic.hint,
                at: .init(diagnostic.file, line: diagnostic.line, column: diagnostic.column),
                severity: diagnostic.severity == .error ? .error : .warning)
        }
        return CommandFailure(code, problems, omitted: error.omitted)
    }

    private static func recipe(_ error: DocumentError) -> CommandFailure {
        let problems = error.problems.map { problem in
            CommandFailure.Problem(
                problem.message, hint: problem == error.problems.first ? error.hint : nil,
                at: .init(problem.file, line: problem.line, column: problem.column))
        }
        return CommandFailure(.invalidConfiguration, problems)
    }

    private static func base(_ error: BaseError) -> CommandFailure {
        switch error {
        case .document(let error): recipe(error)
        case .unusable: CommandFailure(.invalidConfiguration, error.description, hint: error.hint)
        case .unknown: CommandFailure(.notFound, error.description, hint: error.hint)
        case .system(let error): system(error)
        }
    }

    private static func projectEnvironment(_ error: ProjectEnvironmentError) -> CommandFailure {
        if case .document(let error) = error { return document(error, .invalidData) }
        return CommandFailure(.invalidData, error.description, hint: error.hint)
    }

    private static func policy(_ error: PolicyError) -> CommandFailure {
        switch error {
        case .notFound: CommandFailure(.notFound, error.description, hint: error.hint)
        case .unreadable: CommandFailure(.invalidConfiguration, error.description, hint: error.hint)
        case .invalid(let problems, _):
            CommandFailure(
                .invalidConfiguration,
                problems.prefix(50).map { problem in
                    .init(
                        problem.message, hint: problem == problems.first ? error.hint : nil,
                        at: .init(problem.file, line: problem.place?.line, column: problem.place?.column))
                }, omitted: max(0, problems.count - 50))
        }
    }

    private static func environments(_ error: Environments.StoreError) -> CommandFailure {
        if case .unknownBuild(let name) = error {
            return CommandFailure(
                .notFound, "find the environment `\(printable(name))`: it has not been built",
                hint: MeantNames.environment(name))
        }
        let code: FailureCode = if case .ambiguous = error { .ambiguous } else { .invalidConfiguration }
        return CommandFailure(code, "\(error)", hint: error.hint)
    }

    private static func store(_ error: JobScheduling.StoreError) -> CommandFailure {
        let code: FailureCode =
            switch error.kind {
            case .configuration: .invalidConfiguration
            case .missing: .notFound
            case .noRoom: .quotaExceeded
            }
        return CommandFailure(code, error.message, hint: error.hint)
    }

    private static func service(_ error: ServiceError) -> CommandFailure {
        let code: FailureCode =
            switch error.kind {
            case .absent: .serviceUnavailable
            case .occupied: .alreadyExists
            case .silent: .busy
            case .unusable: .invalidConfiguration
            case .failed: .failed
            }
        return CommandFailure(code, error.message, hint: error.hint)
    }

    private static func storage(_ error: JobStorageError) -> CommandFailure {
        let code: FailureCode =
            switch error {
            case .notFound, .noSuchRun: .notFound
            case .ambiguous: .ambiguous
            case .nameTaken, .identityTaken: .alreadyExists
            case .refused, .notEnded, .staleAttempt: .wrongState
            case .busy: .busy
            case .full: .quotaExceeded
            default: .invalidConfiguration
            }
        return CommandFailure(code, "\(error)", hint: error.hint)
    }

    private static func snapshot(_ error: SnapshotError) -> CommandFailure {
        let code: FailureCode =
            switch error.reason {
            case .notFound: .notFound
            case .inUse: .busy
            case .diskFull: .quotaExceeded
            case .stopped: .cancelled
            case .system(let cause) where cause.errno == .noSuchFileOrDirectory: .notFound
            default: .invalidData
            }
        guard case .system(let cause) = error.reason, code == .notFound else {
            return CommandFailure(code, "\(error)", hint: error.hint)
        }
        return CommandFailure(code, "\(cause)", hint: cause.object.map(MeantNames.file) ?? "check the name")
    }

    private static func build(_ error: BuildError) -> CommandFailure {
        if case .cancelled = error { return CommandFailure(.cancelled, "\(error)", exitCode: 130) }
        if case .image(let error) = error { return image(error) }
        if case .host = error { return CommandFailure(.hostUnsupported, "\(error)", hint: error.hint) }
        if case .stage(_, _, let line?, _, _) = error, let file = line.file {
            return CommandFailure(.failed, "\(error)", hint: error.hint, at: .init(file, line: line.number))
        }
        return CommandFailure(.failed, "\(error)", hint: error.hint)
    }

    private static func image(_ error: ImportError) -> CommandFailure {
        let code: FailureCode =
            switch error.kind {
            case .notFound: .notFound
            case .ambiguous: .ambiguous
            case .invalid: .invalidData
            case .tooLarge: .quotaExceeded
            case .taken: .alreadyExists
            case .unreachable: .serviceUnavailable
            case .denied: .permissionDenied
            case .host: .hostUnsupported
            }
        return CommandFailure(code, error.description, hint: error.hint)
    }

    private static func system(_ error: SyscallError) -> CommandFailure {
        switch error.errno {
        case .noSuchFileOrDirectory:
            CommandFailure(.notFound, "\(error)", hint: error.object.map(MeantNames.file) ?? "check the name")
        case .noSpace: CommandFailure(.quotaExceeded, "\(error)", hint: "make room on the disk")
        case .fileTooLarge:
            CommandFailure(.invalidData, "\(error)", hint: "the file is larger than anything that is read here")
        case .isDirectory, .notDirectory, .invalidArgument, .tooManySymbolicLinkLevels:
            CommandFailure(.invalidData, "\(error)", hint: "check the name")
        default: CommandFailure(.hostUnsupported, "\(error)", hint: "`cloche system doctor` tells what is wrong")
        }
    }
}

package import Isolation
package import LinuxSystem
package import SandboxLaunch

/// What happened to one sandbox.
package struct SandboxReport: Sendable {
    /// How it came to its end.
    package enum Ending: Sendable {
        /// The command ran and ended by itself or by a signal.
        case ended(ProcessEnd)
        /// The sandbox could not be set up.
        case setup(LaunchError)
        /// The program could not be executed: `missing` when there is no such file.
        case notExecuted(missing: Bool, reason: String)
        /// Process 1 vanished without a word.
        case lost
    }

    /// Why the supervisor ended it before its time.
    package enum Intervention: String, Sendable, Hashable {
        case timeLimit
        /// The time of its whole run is over, or that of the run's job.
        case runTimeLimit
        case jobTimeLimit
        case outputLimit
        case outOfMemory
        case processorTime
        /// What was written to the project, or to an environment that is built, takes more room than it may.
        case projectLimit
        /// What was written to be thrown away takes more room on the disk than it may.
        case scratchLimit
        /// The user of a service keeps more on its disk than he may.
        case userLimit
        /// What is left of the disk is needed to tell of the run.
        case diskReserve
        case cancelled
        case siblingFailed
        case interrupted
    }

    /// What the end of a command's output says of what it could not have.
    package struct Complaint: Sendable, Hashable {
        /// Which of the refusals.
        package enum Kind: Sendable, Hashable {
            /// ENOSPC or EDQUOT.
            case noSpace
            /// EROFS.
            case readOnly
            /// EACCES.
            case permission
            /// A name that nobody resolves, or an address that no route leads to.
            case unreachable
            /// A module or package of a language, or a program.
            case missingModule
            /// A file that a program wanted to read.
            case missingFile
        }

        package var kind: Kind
        /// The line, without control characters.
        package var line: String
    }

    package var ending: Ending
    package var intervention: Intervention?
    package var usage: ProcessUsage?
    /// Seconds from the launch to the end.
    package var seconds: Double
    package var outputBytes: Int64
    package var denials: [Denial]
    /// Refused calls of kinds beyond those in `denials`.
    package var unrecordedDenials: Int
    /// Packets that found no network.
    package var unroutedDatagrams: UInt64
    /// Growth of the run's counters while it ran.
    package var outOfMemoryKills: Int64, pidsLimitHits: Int64
    /// Most memory of the run so far, where a control group or a watchdog tells.
    package var peakMemory: Int64?
    /// Places for throw-away changes that were full at the end.
    package var fullPlaces: [String] = []
    package var complaint: Complaint?
    /// Whether what it wrote to the project is thrown away with the sandbox.
    package var throwsProjectAway = false
    /// What had been written where it took more room than it may.
    package var written: WrittenRoom?
    /// What it read from disks and wrote to them.
    package var traffic: DiskTraffic?
    /// What it asked its proxy for, where its network is filtered.
    package var egress: EgressSummary?
    /// The most processes and threads of the run so far, where a control group tells.
    package var peakProcesses: Int64?
    /// What it did, where that was to be recorded.
    package var recording: SandboxRecording?
}

/// Names of signals as signal(7) has them.
package enum SignalName {
    private static let names: [Int32: String] = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
        9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
        16: "SIGSTKFLT", 24: "SIGXCPU", 25: "SIGXFSZ", 26: "SIGVTALRM", 27: "SIGPROF", 29: "SIGIO", 30: "SIGPWR",
        31: "SIGSYS",
    ]

    /// The name, or the number where there is none; those of real time count from the first that glibc leaves to programs.
    package static func of(_ signal: Int32) -> String {
        if let name = names[signal] { return name }
        guard (34...64).contains(signal) else { return "\(signal)" }
        return signal == 34 ? "SIGRTMIN" : "SIGRTMIN+\(signal - 34)"
    }
}

import PlainText
package import SystemPackage

/// Runs the commands of builds; a build itself runs nothing.
///
/// Both calls block until the command ended. They pass on the raw bytes of its standard output and error as they come,
/// give it an empty standard input, ask `isCancelled` at least four times a second and end the command when it says so.
/// They throw when the command could not be started as asked; what it did is the outcome.
package protocol BuildExecutor {
    /// What of this host keeps a command from being run in a sandbox, with what to do; asked before a build begins.
    func obstacle(to command: SandboxCommand) -> String?

    /// Whether a command reaches the public network, when everything is considered that clips it.
    func isOnline(_ command: SandboxCommand) -> Bool

    /// Runs a program of the host as uid 0 of a mapped user namespace.
    func run(
        _ command: NamespaceCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void
    ) throws -> CommandOutcome

    /// Runs a program in a sandbox as uid 0 of its user namespace.
    func run(
        _ command: SandboxCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void
    ) throws -> CommandOutcome

    /// Undoes a compression in a sandbox without a network that shows the host's programs and nothing else.
    ///
    /// `root` is an empty directory for the sandbox's root. `read` gives the next bytes, none at the end; `write` takes
    /// what comes out, and what it throws ends the program and is thrown here.
    func decompress(
        _ compression: Compression, root: FilePath, from read: () throws -> [UInt8], isCancelled: () -> Bool,
        output: ([UInt8]) -> Void, into write: ([UInt8]) throws -> Void
    ) throws -> CommandOutcome

    /// Carries out a task of an import where nothing of the host can be reached (`UnpackProgram`).
    ///
    /// `feed` writes the archive; it is ended early, by what `write` throws, when nothing more is wanted.
    func unpack(
        _ command: UnpackCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void,
        feed: (_ write: @escaping ([UInt8]) throws -> Void) throws -> Void
    ) throws -> UnpackAnswer

    /// Lists a tree where nothing of the host can be reached and nothing changed (`TreeListing`); `write` takes the text.
    func list(
        _ tree: FilePath, isCancelled: () -> Bool, output: ([UInt8]) -> Void, into write: ([UInt8]) throws -> Void
    ) throws -> CommandOutcome
}

/// How a command ended.
package struct CommandOutcome: Sendable, Hashable {
    /// Its exit status; 128 and the signal's number when a signal ended it.
    package let status: Int32
    /// One sentence when it did not end by itself: a limit, a refusal, a signal.
    package let verdict: String?
    /// What it complained of last, safe to show, where that is known.
    var said: String?

    /// Records an end.
    package init(status: Int32, verdict: String? = nil) {
        self.status = status
        self.verdict = verdict
    }

    /// Whether the command ended by itself, with 0.
    package var succeeded: Bool { status == 0 && verdict == nil }

    /// Why a supervisor could not start a program, from what it said last, with what to do; nil where it could.
    static func notStarted(_ status: Int32, _ said: [UInt8]) -> (why: String, hint: String?)? {
        guard status == 125 else { return nil }
        let lines = String(decoding: said, as: UTF8.self).split(separator: "\n")
        func last(_ prefix: String) -> String? {
            lines.last { $0.hasPrefix(prefix) }.map { printable(String($0.dropFirst(prefix.count)), limit: 400) }
        }
        return (last("error: ") ?? last("cloche: ")).map { ($0, last("hint: ")) }
    }
}

/// A path of the host that is mounted elsewhere.
package struct BuildMount: Sendable, Hashable {
    /// The path on the host.
    package let source: FilePath
    /// The absolute path where it appears.
    package let target: FilePath

    /// Names both ends.
    package init(_ source: FilePath, at target: FilePath) {
        self.source = source
        self.target = target
    }
}

/// A program of the host in a user namespace whose ids 0 to 65535 are an unprivileged range.
///
/// It has a private mount namespace too: it sees the host's files with the rights of that range, and the host's network.
package struct NamespaceCommand: Sendable, Hashable {
    /// The program, looked up in the variables' `PATH`, and its arguments.
    package var arguments: [String]
    /// All of its environment.
    package var variables: [String: String]
    /// The directory mounted writable at `/mnt`; it is given to uid 0 of the namespace unless its owner is in the range.
    package var directory: FilePath
    /// What is mounted read-only, on directories that exist on the host.
    package var binds: [BuildMount]
    /// How long it may run.
    package var timeLimit: Duration

    /// Asks for a program.
    package init(
        arguments: [String], variables: [String: String], directory: FilePath, binds: [BuildMount] = [],
        timeLimit: Duration
    ) {
        self.arguments = arguments
        self.variables = variables
        self.directory = directory
        self.binds = binds
        self.timeLimit = timeLimit
    }

    /// Where `directory` appears.
    package static let mountPoint = "/mnt"
}

/// A program in a sandbox under the policy `build`.
///
/// It has the capabilities CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID and SETUID. `/run` and `/tmp` are empty and
/// private; mount points that are missing are made.
package struct SandboxCommand: Sendable, Hashable {
    /// The root directory.
    package enum Root: Sendable, Hashable {
        /// A tree that the command changes.
        case tree(FilePath)
        /// Trees below a layer that takes the changes, top first, and the directory that overlayfs works in; both are
        /// given to uid 0 of the namespace.
        case layers([FilePath], upper: FilePath, work: FilePath)
    }

    /// What the command can reach.
    package enum Network: Sendable, Hashable {
        /// Nothing but a loopback device of its own.
        case none
        /// The outside through a stack of its own; private, link-local and host addresses are closed except those of the
        /// hosts named.
        case outbound(reachable: Set<String>)
    }

    /// The root directory.
    package var root: Root
    /// The program and its arguments.
    package var arguments: [String]
    /// All of its environment.
    package var variables: [String: String]
    /// Where it starts.
    package var workingDirectory: FilePath
    /// What is mounted read-only.
    package var binds: [BuildMount]
    /// What is mounted so that changes are thrown away at the end.
    package var scratch: [BuildMount]
    /// What it can reach; where that is outbound, `/etc/resolv.conf` names a resolver while it runs.
    package var network: Network
    /// How long it may run.
    package var timeLimit: Duration
}

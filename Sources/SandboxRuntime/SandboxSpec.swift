package import Isolation

/// What one sandbox is asked to be: a step of a run, a command of `cloche exec`, a command of a build.
package struct SandboxSpec: Sendable, Hashable, Codable {
    /// What a sandbox shows at a path.
    package enum Source: Sendable, Hashable, Codable {
        /// The run's project.
        case project
        /// A bind of the stage, by its index.
        case bind(Int)
        /// A bind of the stage that is a directory, with changes that are thrown away.
        case scratchOver(Int)
        /// A directory inside the run's own one.
        case writable(String)
    }

    /// A mount inside; its target must be in the stage's skeleton.
    package struct Mount: Sendable, Hashable, Codable {
        package var source: Source
        package var target: String

        /// Shows `source` at `target`.
        package init(_ source: Source, at target: String) {
            self.source = source
            self.target = target
        }
    }

    /// The index of the environment in the stage.
    package var environment: Int
    /// Whether what is written to the root stays, in the stage's persistent root.
    package var keepsRoot: Bool
    package var mounts: [Mount]
    package var policy: SandboxPolicy
    package var arguments: [String]
    package var variables: [String: String]
    package var directory: String
    package var hostName: String
    /// The standard streams that are a terminal of the sandbox.
    package var terminal: StandardStreams
    package var umask: UInt32
    /// Whether what it does is recorded, which makes its system calls slower and allows it nothing more.
    package var isRecorded = false

    /// Asks for a throw-away sandbox.
    package init(environment: Int = 0, policy: SandboxPolicy, arguments: [String], variables: [String: String]) {
        self.environment = environment
        keepsRoot = false
        mounts = []
        self.policy = policy
        self.arguments = arguments
        self.variables = variables
        directory = "/"
        hostName = "cloche"
        terminal = []
        umask = 0o022
    }
}

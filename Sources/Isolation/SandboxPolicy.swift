/// What a sandbox may do: a named document, resolved to values.
package struct SandboxPolicy: Sendable, Hashable, Codable {
    /// How a sandbox reaches a network.
    package enum Network: String, Sendable, Hashable, Codable {
        /// A network of its own with only a loopback device.
        case none
        /// Connections to the outside through a user-mode stack; host and private addresses stay closed.
        case outbound
    }

    /// What a sandbox sees at `/data`.
    package enum DataAccess: String, Sendable, Hashable, Codable {
        /// The store's shared directory, writable.
        case readWrite = "rw"
        /// The same, read-only.
        case readOnly = "ro"
        /// Nothing.
        case none
    }

    /// As whom the command runs.
    package enum Identity: String, Sendable, Hashable, Codable {
        /// As the author's id inside, 1000, without a capability.
        case user
        /// As root of the sandbox's user namespace, with the capabilities that package managers need.
        case namespaceRoot = "namespace-root"
    }

    package var name: String
    package var network: Network
    package var data: DataAccess
    package var identity: Identity
    package var limits: ResourceLimits
    package var seccomp: SeccompPolicy

    /// Makes a policy.
    package init(
        name: String, network: Network, data: DataAccess, identity: Identity, limits: ResourceLimits,
        seccomp: SeccompPolicy
    ) {
        self.name = name
        self.network = network
        self.data = data
        self.identity = identity
        self.limits = limits
        self.seccomp = seccomp
    }

    /// Bits of the capability sets of the command: capabilities(7).
    package var capabilities: UInt64 {
        switch identity {
        case .user: 0
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID.
        case .namespaceRoot: 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7
        }
    }
}

/// What a sandbox may do: a named document, resolved to values.
package struct SandboxPolicy: Sendable, Hashable, Codable {
    /// How a sandbox reaches a network.
    package enum Network: String, Sendable, Hashable, Codable {
        /// A network of its own with only a loopback device.
        case none
        /// A network of its own with only a loopback device, and what the policy names through a proxy outside.
        case filtered
        /// Connections to the outside through a user-mode stack; host and private addresses stay closed.
        case outbound
        /// The host's own network, with everything that listens there; never where there is a single id.
        case host
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

    /// Whom a sandbox shares `/data` with.
    package enum DataScope: String, Sendable, Hashable, Codable {
        /// Every sandbox of the store.
        case shared
        /// Runs of the same project.
        case project
        /// Runs of the same job.
        case job
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
    /// What a filtered network leads to; nil in every other mode.
    package var egress: EgressRules?
    package var data: DataAccess
    package var dataScope = DataScope.shared
    package var identity: Identity
    /// The host's devices that it gets beside the harmless ones that all have; nil for none.
    package var devices: DeviceAccess?
    /// Whether supervisor and steps must have ids of their own: nothing runs where there is a single id.
    package var needsRange = false
    package var limits: ResourceLimits
    /// The limits without which nothing runs: what holds them must be the kernel.
    package var hardLimits: Set<LimitName> = []
    package var seccomp: SeccompPolicy
    /// What the administrator's ceiling took from the policy, with the places that say so; nil where it took nothing.
    package var clipped: [String]?

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

    private enum CodingKeys: String, CodingKey {
        case name, network
        case egress = "network_allow"
        case data
        case dataScope = "data_scope"
        case identity, devices
        case needsRange = "needs_range"
        case limits
        case hardLimits = "hard_limits"
        case seccomp
        case clipped
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

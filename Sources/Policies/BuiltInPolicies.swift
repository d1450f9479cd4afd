package import Isolation

/// The policies that come with the program.
package enum BuiltInPolicies {
    /// For steps: no network, no capabilities, the author's id.
    package static let standard = SandboxPolicy(
        name: "default", network: .none, data: .readWrite, identity: .user, limits: limits, seccomp: .steps())

    /// As `default`, with connections to the outside.
    package static let online = SandboxPolicy(
        name: "online", network: .outbound, data: .readWrite, identity: .user, limits: limits, seccomp: .steps())

    /// For code of strangers: no network, no `/data`, no filters of its own, no file locks between runs, small limits.
    ///
    /// It runs nowhere where the steps would share the supervisor's id, or the kernel does not hold memory and processes.
    package static let strict = {
        var policy = SandboxPolicy(
            name: "strict", network: .none, data: .none, identity: .user, limits: smallLimits,
            seccomp: .strict(.withoutFileLocks))
        policy.needsRange = true
        policy.hardLimits = [.memory, .pids]
        return policy
    }()

    /// For building environments: root of the sandbox with what package managers need, and the outside network.
    package static let build = SandboxPolicy(
        name: "build", network: .outbound, data: .none, identity: .namespaceRoot,
        limits: ResourceLimits(
            memory: .mebibytes(8192), pids: 4096, wallTime: .seconds(2 * 3600), openFiles: 65536,
            scratch: .mebibytes(4096), project: .mebibytes(65536), output: .mebibytes(256)),
        seccomp: .build())

    /// For computing on graphics processors: as `default`, with their devices and more room.
    package static let gpu = {
        var policy = SandboxPolicy(
            name: "gpu", network: .none, data: .readWrite, identity: .user,
            limits: ResourceLimits(
                memory: .mebibytes(32768), pids: 4096, wallTime: .seconds(24 * 3600), openFiles: 65536,
                scratch: .mebibytes(8192), project: .mebibytes(65536), output: .mebibytes(256)),
            seccomp: .steps())
        policy.devices = DeviceAccess(DeviceAccess.Family.allCases, need: .any)
        return policy
    }()

    /// Every one, in the order in which they are listed.
    package static var all: [SandboxPolicy] { names.compactMap(named) }

    /// The names of `all`.
    package static let names = ["default", "strict", "online", "gpu", "build"]

    /// The policy of that name.
    package static func named(_ name: String) -> SandboxPolicy? {
        // One by one: each makes its table of system calls when it is first asked for.
        switch name {
        case "default": standard
        case "strict": strict
        case "online": online
        case "gpu": gpu
        case "build": build
        default: nil
        }
    }

    /// What the answer to an exercise needs, on one processor.
    private static let smallLimits = ResourceLimits(
        memory: .mebibytes(1024), pids: 128, cpus: 1, wallTime: .seconds(600), cpuTime: .seconds(600), openFiles: 1024,
        scratch: .mebibytes(256), project: .mebibytes(1024), output: .mebibytes(16))

    private static let limits = ResourceLimits(
        memory: .mebibytes(4096), pids: 1024, wallTime: .seconds(6 * 3600), openFiles: 65536, scratch: .mebibytes(2048),
        project: .mebibytes(65536), output: .mebibytes(256))
}

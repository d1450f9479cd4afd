import Cgroups
package import Isolation
import LinuxSystem
package import SandboxLaunch
import SeccompFilters

#if canImport(Glibc)
    import Glibc
#endif

/// What a sandbox would be, told from the same values that its launch is made of, without starting it.
package struct SandboxExplanation: Sendable, Encodable {
    /// A directory or file of the host that the supervisor takes along.
    package struct Source: Sendable, Encodable {
        /// Its path on the host, and where it is in the supervisor's own root.
        package var host: String, stage: String
        package var flags: [String]
    }

    /// A mount in the sandbox; its source is a path of the supervisor's root, or a name.
    package struct Mount: Sendable, Encodable {
        package var source: String
        /// Where it appears; from `/` inside.
        package var target: String
        /// The kind of file system; `bind` for something that is there already.
        package var type: String
        package var flags: [String]
        package var options: String?
    }

    /// Calls that are refused for one reason.
    package struct Refusal: Sendable, Encodable {
        package var group: String
        package var reason: String
        package var answers: [String]
        package var calls: [String]
        /// What in a policy would allow them; nil where nothing can.
        package var opens: String?
    }

    package var policy: String
    /// Ids inside, the ids that they stand for outside, and how many.
    package var users: [String]
    package var groups: [String]
    /// Namespaces of the sandbox, beside the user namespace of its run.
    package var namespaces: [String]
    /// How it reaches a network, and what it may connect to where that is filtered.
    package var network: String
    package var networkAllow: [String]?
    /// Devices of the host below `/dev`, beside those that every sandbox has.
    package var devices: [String]
    package var sources: [Source]
    package var mounts: [Mount]
    /// Every operation between clone(2) and init, in order.
    package var operations: [String]
    /// The command's ids and capabilities; process 1 has an id of its own and no capability.
    package var user: UInt32
    package var capabilities: [String]
    package var directory: String
    package var variables: [String]
    package var limits: [LimitReport]
    /// What this host leaves open of what the policy closes.
    package var weaknesses: [String]
    /// Numbers of instructions of the filters of the command and of process 1.
    package var filterInstructions: Int
    package var initFilterInstructions: Int
    /// Calls without a rule, such as those that are newer than this program, get this answer.
    package var unlisted: String
    package var refusals: [Refusal]

    private enum CodingKeys: String, CodingKey {
        case policy, users, groups, namespaces, network
        case networkAllow = "network_allow"
        case devices, sources, mounts, operations, user, capabilities, directory, variables, limits, weaknesses
        case filterInstructions = "filter_instructions"
        case initFilterInstructions = "init_filter_instructions"
        case unlisted, refusals
    }
}

extension OneSandbox {
    /// Tells what `run` would start; makes control groups for a moment, to see what they hold.
    package func explanation() throws(LaunchError) -> SandboxExplanation {
        let group = try ControlGroups.make(run: name, limits: sandbox.policy.limits)
        var spec = stage
        if let scratch { spec.scratch = "\(scratch)/\(name)" }
        let stage = Stage(
            spec: spec, facts: HostFacts.probe(), bindKinds: [], network: nil, view: view,
            ownsDevices: DeviceDirectory.isPossible(for: identity))
        let planner = SandboxPlanner(stage: stage, identity: identity, enforcement: group.enforcement)
        let plan = planner.launchPlan(sandbox, number: 0)
        let filter = try SandboxSupervisor.compile(sandbox.policy.seccomp, mode: .notify)
        let initFilter = try SandboxSupervisor.compile(.initProcess(), mode: .silent)
        let command = planner.commandPlan(sandbox, filter: filter.code, initFilter: initFilter.code)
        let policy = sandbox.policy
        return SandboxExplanation(
            policy: policy.name, users: identity.users.map(\.line), groups: identity.groups.map(\.line),
            namespaces: Self.names(plan.namespaces, of: Self.namespaceNames),
            network: policy.network.rawValue, networkAllow: policy.egress?.rules.map(\.description),
            devices: spec.devices?.nodes ?? [],
            sources: spec.sources.map {
                .init(
                    host: $0.path, stage: $0.target,
                    flags: Self.names($0.attributes.rawValue, of: Self.flagNames))
            },
            mounts: plan.operations.compactMap(Self.mount), operations: plan.operations.map(\.description),
            user: command.user, capabilities: Self.names(command.capabilities, of: Self.capabilityNames),
            directory: command.directory, variables: command.variables,
            limits: LimitEnforcement.complete(
                group.enforcement, for: policy.limits, scratchInMemory: spec.scratch == nil,
                project: sandbox.keepsRoot ? .watchdog : nil),
            weaknesses: planner.weaknesses(sandbox),
            filterInstructions: filter.length, initFilterInstructions: initFilter.length,
            unlisted: SystemCallErrno.symbol(of: policy.seccomp.unlisted.errno),
            refusals: Self.refusals(of: policy.seccomp))
    }

    private static func mount(_ operation: LaunchPlan.Operation) -> SandboxExplanation.Mount? {
        func inside(_ target: String) -> String {
            guard target.hasPrefix(StagePath.newRoot) else { return "(supervisor) \(target)" }
            let path = target.dropFirst(StagePath.newRoot.count)
            return path.isEmpty ? "/" : String(path)
        }
        switch operation {
        case .mount(let source, let target, let type, let flags, let data):
            return .init(
                source: source ?? "none", target: inside(target), type: type ?? "bind",
                flags: names(flags, of: flagNames), options: data)
        case .remount(let target, let flags):
            return .init(
                source: inside(target), target: inside(target), type: "remount", flags: names(flags, of: flagNames))
        default: return nil
        }
    }

    private static func refusals(of policy: SeccompPolicy) -> [SandboxExplanation.Refusal] {
        policy.groups.values.sorted { $0.id.rawValue < $1.id.rawValue }.compactMap { group in
            let calls = policy.calls(refusedBy: group.id)
            guard let first = calls.first else { return nil }
            let answers = policy.rules.values.flatMap(\.verdicts).compactMap { verdict -> String? in
                guard case .refuse(let refusal) = verdict, refusal.group == group.id else { return nil }
                return SystemCallErrno.symbol(of: refusal.errno)
            }
            return .init(
                group: group.id.rawValue, reason: group.reason, answers: Set(answers).sorted(), calls: calls,
                opens: group.opensWith(call: calls.count == 1 ? first : "CALL"))
        }
    }

    private static func names(_ bits: UInt64, of names: [(bit: UInt64, name: String)]) -> [String] {
        names.filter { bits & $0.bit != 0 }.map(\.name)
    }

    private static func names(_ bits: UInt32, of names: [(bit: UInt64, name: String)]) -> [String] {
        Self.names(UInt64(bits), of: names)
    }

    // The same numbers in mount(2) and, for these, in mount_setattr(2).
    private static let flagNames: [(bit: UInt64, name: String)] = [
        (UInt64(MS_RDONLY), "ro"), (UInt64(MS_NOSUID), "nosuid"), (UInt64(MS_NODEV), "nodev"),
        (UInt64(MS_NOEXEC), "noexec"), (UInt64(MS_REC), "recursive"),
    ]
    private static let namespaceNames: [(bit: UInt64, name: String)] = [
        (0x0002_0000, "mount"), (0x2000_0000, "pid"), (0x4000_0000, "network"), (0x0800_0000, "ipc"),
        (0x0400_0000, "uts"), (0x0200_0000, "cgroup"),
    ]
    private static let capabilityNames: [(bit: UInt64, name: String)] = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    ].enumerated().map { (1 << UInt64($0.offset), $0.element) }
}

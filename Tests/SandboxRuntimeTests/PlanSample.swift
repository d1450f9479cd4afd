import Isolation
import Policies
import Testing

@testable import SandboxRuntime

/// A sandbox to plan: one policy, one kind of ids, one place for what is thrown away.
struct PlanSample: Sendable, CustomTestStringConvertible {
    /// The built-in policies, and one with the host's network.
    static let policies: [SandboxPolicy] =
        BuiltInPolicies.all + [
            {
                var policy = BuiltInPolicies.standard
                policy.name = "host"
                policy.network = .host
                policy.data = .readOnly
                return policy
            }()
        ]

    static let identities: [IdentityMap] = [
        .ownerRange(base: 1_000_000),
        .userRange(user: 1000, group: 1000, subordinateUsers: 100_000, subordinateGroups: 100_000),
        .single(user: 1000, group: 1000, inside: 1000),
    ]

    /// Every combination.
    static let all = policies.flatMap { policy in
        identities.flatMap { identity in
            [false, true].map { PlanSample(policy: policy, identity: identity, scratchOnDisk: $0) }
        }
    }

    static let host = ResourceView.Host(processors: [0, 1, 2, 3], memory: 64 << 30, processorText: "")
    static let facts = HostFacts(
        maskedFiles: ["kcore", "keys", "sys/fs/file-nr"], maskedDirectories: ["acpi"],
        readOnlyPaths: ["sys", "sysrq-trigger"],
        openFiles: 4096, canForbidSockets: true)

    var policy: SandboxPolicy
    var identity = IdentityMap.ownerRange(base: 1_000_000)
    var scratchOnDisk = false
    var facts = Self.facts
    var host = Self.host
    var enforcement: [LimitReport] = []
    var devices: DevicePlan?

    var testDescription: String {
        "\(policy.name), \(identity.kind.rawValue), scratch \(scratchOnDisk ? "on disk" : "in memory")"
    }

    var isBuild: Bool { policy.identity == .namespaceRoot }

    var stageSpec: StageSpec {
        var spec = StageSpec(
            environments: [.init(layers: ["/store/b", "/store/a"])], writable: "/runs/1",
            binds: [
                .init(source: "/store/data", readOnly: policy.data == .readOnly),
                .init(source: "/home/user/project", readOnly: true),
            ])
        spec.devices = devices
        spec.scratch = scratchOnDisk ? "/var/tmp/scratch" : nil
        if isBuild {
            spec.persistentRoot = .init(directory: "/store/build", upper: "upper", work: "work")
        } else {
            spec.project = .init(lowers: ["/snapshots/1"])
        }
        return spec
    }

    var planner: SandboxPlanner {
        let view = ResourceView(limits: policy.limits, host: host, seed: "")
        let stage = Stage(spec: stageSpec, facts: facts, bindKinds: [], network: nil, view: view)
        return SandboxPlanner(stage: stage, identity: identity, enforcement: enforcement)
    }

    var spec: SandboxSpec {
        var spec = SandboxSpec(policy: policy, arguments: ["python3", "a.py"], variables: ["PATH": "/usr/bin:/bin"])
        if isBuild {
            spec.keepsRoot = true
            spec.mounts = [.init(.scratchOver(1), at: "/project-dir"), .init(.bind(0), at: "/tmp/cache/pip")]
        } else {
            spec.mounts = [.init(.project, at: "/project-dir"), .init(.writable("steps/1"), at: "/outputs")]
            if policy.data != .none { spec.mounts.append(.init(.bind(0), at: "/data")) }
        }
        spec.directory = "/project-dir"
        return spec
    }

    var plan: LaunchPlan { planner.launchPlan(spec, number: 7) }
    var operations: [LaunchPlan.Operation] { plan.operations }
    var mounts: [PlannedMount] { operations.compactMap(PlannedMount.init) }

    /// The expected mount table of the plan.
    var audited: [ExpectedMount] {
        operations.lazy.compactMap { if case .auditMounts(let table) = $0 { table } else { nil } }.first ?? []
    }
}

/// A mount of a plan.
struct PlannedMount: Sendable, Hashable {
    let source: String, target: String
    let type: String?
    let flags: UInt64
    let data: String?

    init?(_ operation: LaunchPlan.Operation) {
        guard case .mount(let source, let target, let type, let flags, let data) = operation else { return nil }
        self.source = source ?? ""
        self.target = target
        self.type = type
        self.flags = flags
        self.data = data
    }

    var options: [String] { (data ?? "").split(separator: ",").map(String.init) }

    func has(_ flag: Int) -> Bool { flags & UInt64(flag) == UInt64(flag) }
}

extension Collection<LaunchPlan.Operation> {
    /// Operations of one kind, by the words that they begin with.
    func indices(beginning words: String) -> [Index] { indices.filter { self[$0].description.hasPrefix(words) } }
}

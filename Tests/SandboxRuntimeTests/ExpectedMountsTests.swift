import Glibc
import Isolation
import Policies
import Testing

@testable import SandboxRuntime

/// The mount table that a plan has to lead to.
struct ExpectedMountsTests {
    private static let plain: ExpectedMount.Flags = [.noSetuid, .noDevices]
    private static let device: ExpectedMount.Flags = [.noSetuid, .noExecute]

    private func expected(_ mounts: [SandboxSpec.Mount], _ sample: PlanSample) -> [ExpectedMount] {
        var spec = sample.spec
        spec.mounts = mounts
        let planner = sample.planner
        return planner.expectedMounts(planner.launchPlan(spec, number: 0).operations)
    }

    @Test("there is a line for each mount of the plan, and for the devices", arguments: PlanSample.all)
    func coversThePlan(sample: PlanSample) {
        let planned = sample.mounts.map(\.target).filter { $0.hasPrefix("/new") }
            .map { $0 == "/new" ? "/" : String($0.dropFirst(4)) }
        let devices = ["null", "zero", "full", "random", "urandom", "tty"].map { "/dev/\($0)" }
        let expected = sample.audited.filter { $0.extent == .one }.map(\.target)
        #expect(expected.sorted() == (planned + devices).sorted())
    }

    @Test("what is in the plan is in its audit", arguments: PlanSample.all)
    func auditIsTheExpectation(sample: PlanSample) {
        #expect(sample.audited == sample.planner.expectedMounts(sample.operations))
    }

    @Test("every line demands what the plan promises", arguments: PlanSample.all)
    func demands(sample: PlanSample) {
        for mount in sample.audited {
            #expect(mount.flags.contains(.noSetuid), "\(mount.target)")
            // Devices are devices, and terminals too.
            let hasDevices =
                mount.target.hasPrefix("/dev/") && mount.target != "/dev/shm"
                || ["/proc/kcore", "/proc/keys", "/proc/sys/fs/file-nr"].contains(mount.target)
            #expect(mount.flags.contains(.noDevices) == !hasDevices, "\(mount.target)")
        }
        let readOnly = Set(sample.audited.filter { $0.flags.contains(.readOnly) && $0.extent == .one }.map(\.target))
        let data: Set = sample.policy.data == .readOnly ? ["/data"] : []
        let processors: Set = sample.policy.limits.cpus == nil ? [] : ["/proc/cpuinfo"]
        #expect(
            readOnly
                == data.union(processors).union([
                    "/dev", "/proc/acpi", "/proc/sys", "/proc/sysrq-trigger", "/proc/meminfo", "/proc/loadavg",
                    "/proc/stat", "/proc/swaps", "/proc/vmstat",
                ]))
    }

    @Test("mounts of unknown number are those below directories of the host", arguments: PlanSample.all)
    func broughtAlong(sample: PlanSample) {
        let below = sample.audited.filter { $0.extent == .anyBelow }.map(\.target)
        let binds = sample.spec.mounts.filter { if case .bind = $0.source { true } else { false } }.map(\.target)
        #expect(below == binds)
    }

    @Test func `parts of procfs are as closed as procfs`() {
        let sample = PlanSample(policy: BuiltInPolicies.standard)
        let parts = sample.audited.filter { ["/proc", "/proc/sys"].contains($0.target) }
        #expect(parts.map(\.type) == ["proc", nil])
        #expect(parts.allSatisfy { $0.flags.isSuperset(of: [.noSetuid, .noDevices, .noExecute]) })
    }

    @Test func `a directory of the host is as it was taken along, and so is what it brings`() {
        let sample = PlanSample(policy: BuiltInPolicies.standard)
        let table = expected([.init(.bind(0), at: "/w"), .init(.bind(1), at: "/r")], sample)
        let readOnly = Self.plain.union(.readOnly)
        for mount in [
            ExpectedMount(.one, at: "/w", type: nil, flags: Self.plain),
            ExpectedMount(.anyBelow, at: "/w", type: nil, flags: Self.plain),
            ExpectedMount(.one, at: "/r", type: nil, flags: readOnly),
            ExpectedMount(.anyBelow, at: "/r", type: nil, flags: readOnly),
        ] { #expect(table.contains(mount)) }
    }

    @Test func `the project brings nothing along`() {
        let table = expected([.init(.project, at: "/p")], PlanSample(policy: BuiltInPolicies.standard))
        #expect(table.filter { $0.target == "/p" } == [.init(.one, at: "/p", type: nil, flags: Self.plain)])
    }

    @Test func `changes over a directory are an overlay`() {
        let table = expected([.init(.scratchOver(1), at: "/p")], PlanSample(policy: BuiltInPolicies.standard))
        #expect(table.filter { $0.target == "/p" } == [.init(.one, at: "/p", type: "overlay", flags: Self.plain)])
    }

    @Test func `a tenth bind is not taken for the first`() {
        var sample = PlanSample(policy: BuiltInPolicies.standard)
        sample.policy.data = .readOnly
        var spec = sample.stageSpec
        spec.binds += (2..<12).map { .init(source: "/\($0)", readOnly: $0 == 10) }
        let stage = Stage(spec: spec, facts: sample.facts, bindKinds: [], network: nil, view: .whole)
        let planner = SandboxPlanner(stage: stage, identity: sample.identity, enforcement: [])
        var sandbox = sample.spec
        sandbox.mounts = [.init(.bind(10), at: "/ten"), .init(.bind(11), at: "/eleven")]
        let table = planner.expectedMounts(planner.launchPlan(sandbox, number: 0).operations)
        #expect(table.first { $0.target == "/ten" }?.flags.contains(.readOnly) == true)
        #expect(table.first { $0.target == "/eleven" }?.flags.contains(.readOnly) == false)
    }

    @Test func `nodes of its own are no mounts, and what covers a file is as closed as they`() {
        let sample = PlanSample(policy: BuiltInPolicies.standard)
        var stage = Stage(spec: sample.stageSpec, facts: sample.facts, bindKinds: [], network: nil, view: .whole)
        func table() -> [ExpectedMount] {
            let planner = SandboxPlanner(stage: stage, identity: sample.identity, enforcement: [])
            return planner.expectedMounts(planner.launchPlan(sample.spec, number: 0).operations)
        }
        let nodes = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"]
        #expect(Set(nodes).isSubset(of: table().map(\.target)))
        #expect(table().first { $0.target == "/dev" }?.flags == [.readOnly, .noSetuid, .noDevices, .noExecute])
        stage.ownsDevices = true
        #expect(Set(nodes).isDisjoint(with: table().map(\.target)))
        #expect(table().first { $0.target == "/dev" }?.flags == [.readOnly, .noSetuid, .noExecute])
        #expect(table().first { $0.target == "/proc/keys" }?.flags == [.readOnly, .noSetuid, .noExecute])
    }

    @Test func `the supervisor's own places are not expected inside`() {
        let targets = PlanSample(policy: BuiltInPolicies.standard).audited.map(\.target)
        #expect(!targets.contains { $0.hasPrefix("/scratch") || $0.hasPrefix("/new") })
    }
}

import Glibc
import Isolation
import Policies
import Testing

@testable import SandboxRuntime

/// What single mounts of a specification become.
struct PlanMountTests {
    private func operations(_ mounts: [SandboxSpec.Mount], _ sample: PlanSample) -> [LaunchPlan.Operation] {
        var spec = sample.spec
        spec.mounts = mounts
        return sample.planner.launchPlan(spec, number: 0).operations
    }

    @Test(
        "a source is a place of the stage, with all that is mounted in it",
        arguments: [
            (SandboxSpec.Source.project, "/project"), (.bind(1), "/binds/1"),
            (.writable("steps/1"), "/writable/steps/1"),
        ])
    func sources(source: SandboxSpec.Source, path: String) throws {
        let mounts = operations([.init(source, at: "/here")], PlanSample(policy: BuiltInPolicies.standard))
            .compactMap(PlannedMount.init)
        let mount = try #require(mounts.first { $0.target == "/new/here" })
        #expect(mount.source == path)
        #expect(mount.type == nil)
        #expect(mount.has(Int(MS_BIND) | Int(MS_REC)))
    }

    @Test("changes over a directory belong to whom it belongs", arguments: PlanSample.identities)
    func scratchOver(identity: IdentityMap) throws {
        let sample = PlanSample(policy: BuiltInPolicies.standard, identity: identity)
        let operations = operations([.init(.project, at: "/a"), .init(.scratchOver(1), at: "/b")], sample)
        let overlay = try #require(operations.compactMap(PlannedMount.init).first { $0.target == "/new/b" })
        #expect(
            overlay.options == [
                "lowerdir=/binds/1", "upperdir=/scratch/over-1-upper", "workdir=/scratch/over-1-work", "userxattr",
            ])
        let change = LaunchPlan.Operation.changeOwner("/scratch/over-1-upper", user: 1000, group: 1000)
        #expect(operations.contains(change) == identity.hasRange)
        for name in ["upper", "work"] {
            let made = try #require(
                operations.firstIndex(of: .makeDirectory("/scratch/over-1-\(name)", mode: 0o755)))
            #expect(made < (operations.firstIndex { $0.path == "/new/b" } ?? 0))
        }
    }

    @Test func `two directories with changes of their own keep them apart`() {
        let mounts = [SandboxSpec.Mount(.scratchOver(0), at: "/a"), .init(.scratchOver(0), at: "/b")]
        let uppers = operations(mounts, PlanSample(policy: BuiltInPolicies.standard))
            .compactMap(PlannedMount.init).flatMap(\.options).filter { $0.hasPrefix("upperdir=") }
        #expect(Set(uppers).count == 3)
    }

    @Test func `a build keeps its root, but neither /tmp nor /run`() {
        let sample = PlanSample(policy: BuiltInPolicies.build)
        #expect(sample.mounts.first { $0.target == "/new" }?.options.contains("upperdir=/persistent/upper") == true)
        #expect(sample.mounts.first { $0.target == "/new/tmp" }?.options.first == "mode=1777")
        #expect(sample.mounts.first { $0.target == "/new/run" }?.options.first == "mode=0755")
    }

    @Test func `mount points below the new /tmp of a build are made from the top down`() throws {
        let operations = PlanSample(policy: BuiltInPolicies.build).operations
        let paths = ["/new/tmp", "/new/tmp/cache", "/new/tmp/cache/pip", "/new/tmp/cache/pip"]
        #expect(operations.compactMap(\.path).filter { $0.hasPrefix("/new/tmp") } == paths)
        #expect(operations.contains(.makeDirectory("/new/tmp/cache", mode: 0o755)))
    }

    @Test(
        "names are resolved by a file of the sandbox, also where the root is kept",
        arguments: [SandboxPolicy.Network.none, .outbound, .host])
    func resolver(network: SandboxPolicy.Network) {
        var policy = BuiltInPolicies.build
        policy.network = network
        let bind = PlanSample(policy: policy).mounts.first { $0.target == "/new/etc/resolv.conf" }
        #expect(bind?.source == (network == .outbound ? "/skeleton/etc/resolv.conf" : nil))
    }

    @Test("terminals belong to their group, where there is one", arguments: PlanSample.identities)
    func terminals(identity: IdentityMap) throws {
        let mounts = PlanSample(policy: BuiltInPolicies.standard, identity: identity).mounts
        let terminals = try #require(mounts.first { $0.type == "devpts" })
        #expect(terminals.options.contains("newinstance"))
        // So many at most, that others can have theirs.
        #expect(terminals.options.contains("max=256"))
        #expect(terminals.options.contains("gid=5") == identity.hasRange)
    }

    @Test func `the name of the host is the one of the specification`() {
        let sample = PlanSample(policy: BuiltInPolicies.standard)
        var spec = sample.spec
        spec.hostName = "step-1"
        #expect(sample.planner.launchPlan(spec, number: 0).operations.contains(.setHostName("step-1")))
    }
}

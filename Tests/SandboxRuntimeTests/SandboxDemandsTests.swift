import Isolation
import Policies
import SandboxLaunch
import SystemPackage
import Testing

@testable import SandboxRuntime

struct SandboxDemandsTests {
    private static let range = IdentityMap.ownerRange(base: 1_000_000)
    private static let single = IdentityMap.single(user: 1000, group: 1000, inside: 1000)

    private func refusal(
        _ policy: SandboxPolicy, _ identity: IdentityMap = range, _ reports: [LimitReport] = []
    ) -> LaunchError? {
        do throws(LaunchError) {
            try SandboxDemands(policy, identity: identity).check(reports)
            return nil
        } catch {
            return error
        }
    }

    private func policy(_ change: (inout SandboxPolicy) -> Void) -> SandboxPolicy {
        var policy = BuiltInPolicies.standard
        policy.name = "lab"
        change(&policy)
        return policy
    }

    @Test("built-in policies ask for nothing that cannot be", arguments: BuiltInPolicies.names)
    func builtIn(name: String) throws {
        let policy = try #require(BuiltInPolicies.named(name))
        let held = LimitName.allCases.map { LimitReport($0, 1, .cgroup) }
        #expect(refusal(policy, Self.range, held) == nil)
        #expect((refusal(policy, Self.single, held) == nil) == (name != "strict"))
    }

    @Test(
        "a limit that means nothing is refused by its name",
        arguments: [
            (ResourceLimits(memory: ByteCount(0)), "memory"), (ResourceLimits(pids: 0), "pids"),
            (ResourceLimits(pids: -1), "pids"), (ResourceLimits(cpus: 0), "cpus"),
            (ResourceLimits(cpus: -0.5), "cpus"), (ResourceLimits(cpus: .nan), "cpus"),
            (ResourceLimits(wallTime: .zero), "wall_time"), (ResourceLimits(cpuTime: .seconds(-1)), "cpu_time"),
            (ResourceLimits(openFiles: 0), "open_files"), (ResourceLimits(scratch: ByteCount(0)), "scratch"),
            (ResourceLimits(output: ByteCount(0)), "output"),
        ])
    func emptyLimits(limits: ResourceLimits, name: String) throws {
        let error = try #require(refusal(policy { $0.limits = limits }))
        #expect(error.step.contains("`\(name)`"))
        #expect(error.errno == .invalidArgument)
        #expect(error.remedy?.contains("`limits.\(name)` of policy `lab`") == true)
    }

    @Test("numbers of processors that no machine has mean nothing either", arguments: [.infinity, 1e300])
    func endlessProcessors(cpus: Double) {
        #expect(refusal(policy { $0.limits = ResourceLimits(cpus: cpus) }) != nil)
    }

    @Test func `small limits, and none, are accepted`() {
        let small = ResourceLimits(
            memory: ByteCount(1), pids: 1, cpus: 0.01, wallTime: .milliseconds(1), cpuTime: .milliseconds(1),
            openFiles: 1, scratch: ByteCount(1), output: ByteCount(1))
        #expect(refusal(policy { $0.limits = small }) == nil)
        #expect(refusal(policy { $0.limits = ResourceLimits() }) == nil)
    }

    @Test func `where there is a single id, a demand for more is refused`() throws {
        let demanding = policy { $0.needsRange = true }
        let error = try #require(refusal(demanding, Self.single))
        #expect(error.step.contains("policy `lab`"))
        #expect(error.remedy?.contains("usermod --add-subuids") == true)
        #expect(refusal(demanding, Self.range) == nil)
        #expect(refusal(demanding, .userRange(user: 1, group: 1, subordinateUsers: 9, subordinateGroups: 9)) == nil)
    }

    @Test(
        "the host's network stays closed to commands that would be its user there",
        arguments: [single, .userRange(user: 1002, group: 1002, subordinateUsers: 165_536, subordinateGroups: 165_536)])
    func hostNetwork(identity: IdentityMap) throws {
        // The author inside is the user of the host himself, with a range as well.
        #expect(identity.users.contains { $0.inside == IdentityMap.user && $0.count == 1 && $0.outside < 2000 })
        let error = try #require(refusal(policy { $0.network = .host }, identity))
        #expect(error.step == "open the host's network, as policy `lab` does")
        #expect(error.reason.contains("would be this user"))
        #expect(error.remedy?.contains("`network: outbound`") == true && error.remedy?.contains("usermod") == false)
        for network in [SandboxPolicy.Network.none, .outbound, .filtered] {
            #expect(refusal(policy { $0.network = network }, identity) == nil)
        }
    }

    @Test func `the ids of root's runs are nobody's, also on the host's network`() {
        #expect(refusal(policy { $0.network = .host }, Self.range) == nil)
    }

    @Test(
        "a hard limit is one that the kernel holds at every moment",
        arguments: [
            (Enforcement.cgroup, true), (.rlimit, true), (.tmpfs, true), (.watchdog, false), (.none, false),
        ])
    func hardLimits(enforcement: Enforcement, isEnough: Bool) throws {
        let demanding = policy { $0.hardLimits = [.memory] }
        let others = [LimitReport(.pids, 1, .none)]
        let error = refusal(demanding, Self.range, others + [LimitReport(.memory, 1, enforcement)])
        #expect((error == nil) == isEnough)
        guard let error else { return }
        #expect(error.step == "hold the limit `memory`, as policy `lab` demands")
        #expect(error.reason.contains(enforcement.rawValue))
        #expect(error.remedy?.contains("cloche system doctor") == true)
    }

    @Test func `the reason is what is known of the host`() {
        let reports = [LimitReport(.memory, 1, .watchdog, remark: "no controller of memory is delegated")]
        let error = refusal(policy { $0.hardLimits = [.memory] }, Self.range, reports)
        #expect(error?.reason == "no controller of memory is delegated")
    }

    @Test func `a limit that is not hard may be held by less`() {
        #expect(refusal(policy { _ in }, Self.range, [LimitReport(.memory, 1, .watchdog)]) == nil)
    }
}

import Isolation
import Policies
import SeccompFilters
import Testing

@testable import SandboxRuntime

struct CommandPlanTests {
    private static let silent = try? FilterCompiler(mode: .silent).compile(.initProcess())
    private static let listening = try? FilterCompiler(mode: .notify).compile(.steps())

    private func plan(
        _ sample: PlanSample, _ change: (inout SandboxSpec) -> Void = { _ in }
    ) throws -> CommandPlan {
        var spec = sample.spec
        change(&spec)
        return sample.planner.commandPlan(
            spec, filter: try #require(Self.listening).code, initFilter: try #require(Self.silent).code)
    }

    @Test("the command is the author, or root of the sandbox in builds", arguments: PlanSample.all)
    func identity(sample: PlanSample) throws {
        let plan = try plan(sample)
        #expect(plan.user == (sample.isBuild ? 0 : 1000))
        #expect(plan.group == plan.user)
        #expect(plan.changesIdentity == sample.identity.hasRange)
        // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID and SETUID.
        #expect(plan.capabilities == (sample.isBuild ? 0b1111_1011 : 0))
        #expect(plan.initUser == IdentityMap.initProcess)
        #expect(plan.initUser != plan.user)
    }

    @Test func `filters go in as they were compiled`() throws {
        let plan = try plan(PlanSample(policy: BuiltInPolicies.standard))
        #expect(plan.filter == Self.listening?.bytes)
        #expect(plan.filterListens)
        #expect(plan.initFilter == Self.silent?.bytes)
    }

    @Test func `variables of the command win over those of the view`() throws {
        var policy = BuiltInPolicies.standard
        policy.limits.cpus = 2
        let plan = try plan(PlanSample(policy: policy)) { $0.variables = ["OMP_NUM_THREADS": "7", "A": "=b"] }
        #expect(plan.variables.contains("OMP_NUM_THREADS=7"))
        #expect(!plan.variables.contains("OMP_NUM_THREADS=2"))
        #expect(plan.variables.contains("GOMAXPROCS=2"))
        #expect(plan.variables.contains("A==b"))
        #expect(plan.variables == plan.variables.sorted())
    }

    @Test func `the program is looked for along the PATH of the sandbox`() throws {
        let plan = try plan(PlanSample(policy: BuiltInPolicies.standard)) {
            $0.umask = 0o077
            $0.terminal = [.input, .output]
        }
        #expect(plan.candidates == ["/usr/bin/python3", "/bin/python3"])
        #expect(plan.arguments == ["python3", "a.py"])
        #expect(plan.directory == "/project-dir")
        #expect(plan.umask == 0o077)
        #expect(plan.terminal == [.input, .output])
    }

    @Test(
        "sockets are forbidden in a shared directory that can be written",
        arguments: [
            (SandboxPolicy.DataAccess.readWrite, true, ["data"]), (.readWrite, false, []), (.readOnly, true, []),
            (.none, true, []),
        ])
    func socketless(data: SandboxPolicy.DataAccess, landlock: Bool, directories: [String]) throws {
        var policy = BuiltInPolicies.standard
        policy.data = data
        var sample = PlanSample(policy: policy)
        sample.facts.canForbidSockets = landlock
        #expect(try plan(sample).socketless == directories)
    }

    @Test(
        "a kernel that cannot forbid them is told of, where a network is to be kept away",
        arguments: [
            (SandboxPolicy.Network.none, SandboxPolicy.DataAccess.readWrite, false, true),
            (.none, .readWrite, true, false), (.none, .readOnly, false, true), (.none, .none, false, false),
            (.outbound, .readWrite, false, false), (.host, .readWrite, false, false),
        ])
    func weaknesses(
        network: SandboxPolicy.Network, data: SandboxPolicy.DataAccess, landlock: Bool, isWeak: Bool
    ) {
        var policy = BuiltInPolicies.standard
        policy.network = network
        policy.data = data
        var sample = PlanSample(policy: policy)
        sample.facts.canForbidSockets = landlock
        let weaknesses = sample.planner.weaknesses(sample.spec)
        #expect(weaknesses.isEmpty == !isWeak)
        #expect(weaknesses.allSatisfy { $0.contains("/data") && $0.contains("Landlock") && !$0.hasSuffix(".") })
    }

    @Test func `a handler of core dumps that no limit holds off is told of`() throws {
        var sample = PlanSample(policy: BuiltInPolicies.standard)
        #expect(sample.planner.weaknesses(sample.spec).isEmpty)
        sample.facts.startsCoreHandler = true
        let weakness = try #require(sample.planner.weaknesses(sample.spec).first)
        #expect(weakness.contains("core_pattern") && weakness.contains("ulimit -Hc") && !weakness.hasSuffix("."))
    }
}

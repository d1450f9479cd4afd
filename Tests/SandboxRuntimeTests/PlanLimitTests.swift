import Glibc
import Isolation
import Policies
import Testing

@testable import SandboxRuntime

/// What the limits of a policy become in a plan.
struct PlanLimitTests {
    private func sample(_ change: (inout ResourceLimits) -> Void) -> PlanSample {
        var policy = BuiltInPolicies.standard
        policy.limits = ResourceLimits()
        change(&policy.limits)
        return PlanSample(policy: policy)
    }

    /// Soft and hard value of a resource limit.
    private func values(_ resource: Int32, in sample: PlanSample) -> [UInt64?]? {
        sample.operations.lazy.compactMap { operation in
            guard case .setLimit(resource, let soft, let hard) = operation else { return nil }
            return [soft, hard]
        }.first
    }

    /// RLIMIT_NPROC.
    private static let processes: Int32 = 6
    private static let files = Int32(RLIMIT_NOFILE.rawValue)
    private static let processorTime = Int32(RLIMIT_CPU.rawValue)

    @Test func `without a limit of processors there is no choice of them`() {
        #expect(sample { _ in }.operations.indices(beginning: "keep to").isEmpty)
        #expect(sample { $0.cpus = 4 }.operations.indices(beginning: "keep to").isEmpty)
    }

    @Test func `processors are those of the view, chosen after the audit`() throws {
        let sample = sample { $0.cpus = 2 }
        let operations = sample.operations
        let processors = try #require(sample.planner.stage.view.processors)
        #expect(processors.count == 2)
        let affinity = try #require(operations.firstIndex(of: .setAffinity(processors)))
        #expect(affinity > (operations.indices(beginning: "compare").first ?? .max))
    }

    @Test(
        "open files are bounded by the host's own limit",
        arguments: [(nil, nil), (64, 64), (4096, 4096), (65536, 4096)] as [(Int?, UInt64?)])
    func openFiles(limit: Int?, value: UInt64?) {
        let sample = sample { $0.openFiles = limit }
        #expect(values(Self.files, in: sample) == value.map { [$0, $0] })
    }

    @Test(
        "processes are held by a resource limit where no control group does",
        arguments: [
            ([], true), ([LimitReport(.pids, 64, .none)], true), ([LimitReport(.pids, 64, .rlimit)], true),
            ([LimitReport(.pids, 64, .cgroup)], false), ([LimitReport(.memory, 64, .cgroup)], true),
        ] as [([LimitReport], Bool)])
    func processes(enforcement: [LimitReport], limited: Bool) {
        var sample = sample { $0.pids = 64 }
        sample.enforcement = enforcement
        #expect(values(Self.processes, in: sample) == (limited ? [64, 64] : nil))
    }

    @Test(
        "processor time ends with a signal that can be caught, and then with one that cannot",
        arguments: [(nil, nil), (.seconds(30), 30), (.milliseconds(200), 1)] as [(Duration?, UInt64?)])
    func processorTime(limit: Duration?, soft: UInt64?) {
        let sample = sample { $0.cpuTime = limit }
        #expect(values(Self.processorTime, in: sample) == soft.map { [$0, $0 + 5] })
    }

    @Test func `a small scratch still has room for names`() throws {
        let sample = sample { $0.scratch = .mebibytes(1) }
        let scratch = try #require(sample.mounts.first { $0.target == "/scratch" })
        #expect(scratch.options == ["mode=0755", "size=1048576", "nr_inodes=4096"])
    }

    @Test func `without a limit scratch and shared memory are as large as the kernel lets them be`() {
        let mounts = sample { _ in }.mounts
        #expect(mounts.first { $0.target == "/scratch" }?.options == ["mode=0755"])
        #expect(mounts.first { $0.target == "/new/dev/shm" }?.options == ["mode=1777"])
    }

    @Test func `files of the view cover those of the host, and are read-only`() throws {
        let sample = sample {
            $0.cpus = 1
            $0.memory = .mebibytes(512)
        }
        for name in ["cpuinfo", "meminfo", "stat"] {
            let path = "/new/proc/\(name)"
            let bind = try #require(sample.mounts.first { $0.target == path })
            #expect(bind.source == "/view/\(name)")
            let expected = sample.audited.first { $0.target == "/proc/\(name)" }
            #expect(expected?.flags.contains(.readOnly) == true)
        }
    }

    @Test func `places of a build that are thrown away are bounded as well`() throws {
        let sample = PlanSample(policy: BuiltInPolicies.build)
        let bytes = try #require(sample.policy.limits.scratch?.bytes)
        for path in ["/new/tmp", "/new/run"] {
            let mount = try #require(sample.mounts.first { $0.target == path })
            #expect(mount.type == "tmpfs")
            #expect(mount.options.contains("size=\(bytes)"))
        }
    }
}

import Isolation
import LinuxSystem
import Testing

@testable import SandboxRuntime

struct LimitEnforcementTests {
    private static let limits = ResourceLimits(
        memory: .mebibytes(512), pids: 64, cpus: 1.5, wallTime: .seconds(60), cpuTime: .seconds(30), openFiles: 16,
        scratch: .mebibytes(64), project: .mebibytes(128), output: .mebibytes(1))

    private func complete(
        _ groups: [LimitReport], for limits: ResourceLimits = limits, inMemory: Bool = true,
        project: Enforcement? = .watchdog
    ) -> [LimitName: LimitReport] {
        let reports = LimitEnforcement.complete(
            groups, for: limits, scratchInMemory: inMemory, project: project,
            host: LimitEnforcement.Host(memory: 8 << 30, processors: 2))
        #expect(Set(reports.map(\.name)).count == reports.count)
        return Dictionary(reports.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    private static func groups(_ enforcement: Enforcement, remark: String? = nil) -> [LimitReport] {
        [(LimitName.memory, 512 * 1024 * 1024.0), (.pids, 64), (.cpus, 1.5)].map {
            LimitReport($0.0, $0.1, enforcement, remark: remark)
        }
    }

    @Test func `what control groups hold stays theirs`() {
        let reports = complete(Self.groups(.cgroup))
        #expect(reports.count == LimitName.allCases.count)
        for name in [LimitName.memory, .pids, .cpus] { #expect(reports[name]?.enforcement == .cgroup) }
    }

    @Test func `without groups the rest does what it can`() {
        let reports = complete(Self.groups(.none, remark: "there is no control group"))
        #expect(reports[.pids]?.enforcement == .rlimit)
        #expect(reports[.memory]?.enforcement == .watchdog)
        #expect(reports[.cpus]?.enforcement == Enforcement.none)
        #expect(
            reports[.memory]?.remark
                == "there is no control group; measured now and then; what lies in sockets and pipes is not counted")
        #expect(reports[.cpus]?.remark == "there is no control group")
        #expect(reports[.pids]?.value == 64)
    }

    @Test func `a remark that is no longer true is dropped`() {
        #expect(complete(Self.groups(.none, remark: "nothing holds it"))[.pids]?.remark == nil)
    }

    @Test func `limits of each process and of time need no group`() {
        for groups in [Self.groups(.cgroup), Self.groups(.none), []] {
            let reports = complete(groups)
            #expect(reports[.cpuTime]?.enforcement == .rlimit)
            #expect(reports[.openFiles]?.enforcement == .rlimit)
            #expect(reports[.wallTime]?.enforcement == .watchdog)
            #expect(reports[.output]?.enforcement == .watchdog)
            #expect(reports[.cpuTime]?.remark?.contains("each process") == true)
            #expect(reports[.wallTime]?.remark == nil)
        }
    }

    @Test func `what a watchdog cannot see is told where it alone looks`() {
        func tells(_ groups: [LimitReport]) -> Bool {
            complete(groups)[.cpuTime]?.remark?.contains("children that nobody waits for") == true
        }
        #expect(!tells(Self.groups(.cgroup)))
        #expect(tells(Self.groups(.none)) && tells([]))
        #expect(complete(Self.groups(.cgroup))[.memory]?.remark == nil)
        #expect(complete([], inMemory: false)[.scratch]?.remark?.contains("in a socket") == true)
        #expect(complete([])[.project]?.remark?.contains("in a socket") == true)
    }

    @Test func `more than the host has is told, whatever holds it`() {
        let wide = ResourceLimits(memory: ByteCount(64 << 40), cpus: 3, scratch: ByteCount(100 << 40))
        let groups = [
            LimitReport(.memory, 0x1p46, .cgroup, remark: "swap is not limited"), LimitReport(.cpus, 3, .cgroup),
        ]
        let reports = complete(groups, for: wide)
        #expect(reports[.memory]?.remark == "swap is not limited; the host has 8GiB")
        #expect(reports[.memory]?.value == 0x1p46)
        #expect(reports[.cpus]?.remark == "the host has 2")
        #expect(reports[.scratch]?.remark == "the host has 8GiB of memory")
        #expect(complete(groups, for: wide, inMemory: false)[.scratch]?.remark?.contains("the host") == false)
        for name in [LimitName.memory, .cpus, .scratch] {
            #expect(complete(Self.groups(.cgroup))[name]?.remark == nil)
        }
        let host = LimitEnforcement.Host.probe()
        #expect(host.memory > 1 << 20 && host.processors > 0)
    }

    @Test func `scratch is held where it is in memory`() {
        #expect(complete([])[.scratch]?.enforcement == .tmpfs)
        #expect(complete([], inMemory: false)[.scratch]?.enforcement == .watchdog)
    }

    @Test func `the project is held by what holds it, and where its changes are thrown away by scratch`() {
        #expect(complete([])[.project]?.enforcement == .watchdog)
        #expect(complete([])[.project]?.remark?.contains("now and then") == true)
        #expect(complete([], project: .quota)[.project]?.enforcement == .quota)
        #expect(complete([], project: .quota)[.project]?.remark == nil)
        #expect(complete([], project: nil)[.project]?.enforcement == .tmpfs)
        var wide = Self.limits
        wide.scratch = .mebibytes(256)
        #expect(complete([], for: wide, project: nil)[.project]?.enforcement == Enforcement.none)
        wide.scratch = nil
        #expect(complete([], for: wide, project: nil)[.project]?.enforcement == Enforcement.none)
    }

    @Test func `limits that are not set are not reported`() {
        #expect(complete([], for: ResourceLimits()).isEmpty)
        #expect(Set(complete([], for: ResourceLimits(output: .mebibytes(1))).keys) == [.output])
    }

    @Test func `values are those of the limits`() {
        let reports = complete([])
        #expect(reports[.wallTime]?.value == 60)
        #expect(reports[.scratch]?.value == 67_108_864)
        #expect(reports[.openFiles]?.value == 16)
    }

    @Test func `more open files than the host allows are told as such`() {
        let report = complete([], for: ResourceLimits(openFiles: .max))[.openFiles]
        #expect(report?.value == Double(Syscall.hardLimitOfOpenFiles()))
        #expect(report?.remark == "the host allows no more")
        #expect(complete([])[.openFiles]?.remark == nil)
    }
}

package import Isolation
import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// How the limits of a policy are held in a run: by its control groups, and where there is none by what is left.
package enum LimitEnforcement {
    /// What a host has of what limits are about.
    package struct Host: Sendable, Hashable {
        /// Bytes of memory.
        var memory: Int64
        var processors: Int

        /// Looks at this one.
        package static func probe() -> Host {
            Host(
                memory: Int64(sysconf(CInt(_SC_PHYS_PAGES))) * Int64(sysconf(CInt(_SC_PAGESIZE))),
                processors: sysconf(CInt(_SC_NPROCESSORS_ONLN)))
        }
    }

    /// Completes what control groups report.
    ///
    /// Without a group the number of processes is held by RLIMIT_NPROC, which counts the processes of the run's user in
    /// the run's user namespace (setrlimit(2)).
    ///
    /// `project` holds what is written to the project, or to an environment that is built; nil where what is written to a
    /// project is thrown away. A limit of more than the host has is told as such: a policy is for other hosts as well.
    package static func complete(
        _ groups: [LimitReport], for limits: ResourceLimits, scratchInMemory: Bool, project: Enforcement?,
        host: Host = .probe()
    ) -> [LimitReport] {
        let scratch = scratchInMemory ? Enforcement.tmpfs : .watchdog
        var reports = groups.map { report in
            switch (report.name, report.enforcement) {
            case (.pids, .none): LimitReport(.pids, report.value, .rlimit)
            case (.memory, .none):
                LimitReport(.memory, report.value, .watchdog, remark: joined(report.remark, Self.memoryRemark))
            default: report
            }
        }
        let countsTime = groups.contains { $0.enforcement == .cgroup }
        let others: [(LimitName, Enforcement)] = [
            (.cpuTime, .rlimit), (.openFiles, .rlimit), (.wallTime, .watchdog), (.output, .watchdog),
            (.scratch, scratch), (.project, project ?? thrownAway(limits, scratch)),
        ]
        for (name, enforcement) in others {
            guard let value = limits.value(of: name) else { continue }
            let most = Double(name == .openFiles ? Syscall.hardLimitOfOpenFiles() : .max)
            reports.append(
                LimitReport(
                    name, min(value, most), enforcement,
                    remark: value > most
                        ? "the host allows no more"
                        : remark(name, enforcement, isThrownAway: project == nil, countsTime: countsTime)))
        }
        return reports.map { report in
            guard let remark = Self.remark(on: report, of: host) else { return report }
            return LimitReport(
                report.name, report.value, report.enforcement, remark: joined(report.remark, remark))
        }
    }

    private static func joined(_ remarks: String?...) -> String {
        remarks.compactMap(\.self).joined(separator: "; ")
    }

    /// What a limit is on a host that has less.
    private static func remark(on report: LimitReport, of host: Host) -> String? {
        func has(_ bytes: Int64) -> String { "the host has \(ByteCount(bytes)?.rounded ?? "\(bytes)B")" }
        switch report.name {
        case .memory where report.value > Double(host.memory): return has(host.memory)
        case .scratch where report.enforcement == .tmpfs && report.value > Double(host.memory):
            return has(host.memory) + " of memory"
        case .cpus where report.value > Double(host.processors): return "the host has \(host.processors)"
        default: return nil
        }
    }

    /// What is in no file and mapped by no process: the kernel tells nobody whose it is.
    private static let memoryRemark = "measured now and then; what lies in sockets and pipes is not counted"

    /// What holds changes of a project that are thrown away: what holds all that is thrown away, where that is no more.
    private static func thrownAway(_ limits: ResourceLimits, _ scratch: Enforcement) -> Enforcement {
        guard let most = limits.project, let room = limits.scratch else { return .none }
        return room <= most ? scratch : .none
    }

    private static func remark(
        _ name: LimitName, _ enforcement: Enforcement, isThrownAway: Bool, countsTime: Bool
    ) -> String? {
        switch name {
        case .cpuTime:
            "of each process; of all together by a watchdog"
                + (countsTime
                    ? ", exactly while no other step runs"
                    : ", which may not see short-lived children that nobody waits for")
        case .project where isThrownAway:
            "changes of the project are thrown away, and `scratch` "
                + (enforcement == .none ? "allows more" : "limits them")
        case .project where enforcement == .watchdog, .scratch where enforcement == .watchdog:
            "measured now and then; files without a name count while they are open, and not while they lie in a socket"
        default: nil
        }
    }

    /// Whether the number of processes is to be held by RLIMIT_NPROC.
    static func needsProcessLimit(_ reports: [LimitReport]) -> Bool {
        !reports.contains { $0.name == .pids && $0.enforcement == .cgroup }
    }
}

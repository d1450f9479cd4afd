package import Isolation
import LinuxSystem

/// How the limits of a policy are held in a run: by its control groups, and where there is none by what is left.
package enum LimitEnforcement {
    /// Completes what control groups report.
    ///
    /// Without a group the number of processes is held by RLIMIT_NPROC, which counts the processes of the run's user in
    /// the run's user namespace (setrlimit(2)).
    package static func complete(_ groups: [LimitReport], for limits: ResourceLimits, scratchInMemory: Bool)
        -> [LimitReport]
    {
        var reports = groups.map { report in
            switch (report.name, report.enforcement) {
            case (.pids, .none): LimitReport(.pids, report.value, .rlimit)
            case (.memory, .none): LimitReport(.memory, report.value, .watchdog, remark: report.remark)
            default: report
            }
        }
        let others: [(LimitName, Enforcement)] = [
            (.cpuTime, .rlimit), (.openFiles, .rlimit), (.wallTime, .watchdog), (.output, .watchdog),
            (.scratch, scratchInMemory ? .tmpfs : .none),
        ]
        for (name, enforcement) in others {
            guard let value = limits.value(of: name) else { continue }
            let most = Double(name == .openFiles ? Syscall.hardLimitOfOpenFiles() : .max)
            reports.append(
                LimitReport(
                    name, min(value, most), enforcement,
                    remark: value > most
                        ? "the host allows no more"
                        : name == .cpuTime ? "of each process; of all together by a watchdog" : nil))
        }
        return reports
    }

    /// Whether the number of processes is to be held by RLIMIT_NPROC.
    static func needsProcessLimit(_ reports: [LimitReport]) -> Bool {
        !reports.contains { $0.name == .pids && $0.enforcement == .cgroup }
    }
}

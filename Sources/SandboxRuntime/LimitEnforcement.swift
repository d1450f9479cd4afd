package import Isolation
import LinuxSystem

/// How the limits of a policy are held in a run: by its control groups, and where there is none by what is left.
package enum LimitEnforcement {
    /// Completes what control groups report.
    ///
    /// Without a group the number of processes is held by RLIMIT_NPROC, which counts the processes of the run's user in
    /// the run's user namespace (setrlimit(2)).
    ///
    /// `project` holds what is written to the project, or to an environment that is built; nil where what is written to a
    /// project is thrown away.
    package static func complete(
        _ groups: [LimitReport], for limits: ResourceLimits, scratchInMemory: Bool, project: Enforcement?
    ) -> [LimitReport] {
        let scratch = scratchInMemory ? Enforcement.tmpfs : .watchdog
        var reports = groups.map { report in
            switch (report.name, report.enforcement) {
            case (.pids, .none): LimitReport(.pids, report.value, .rlimit)
            case (.memory, .none): LimitReport(.memory, report.value, .watchdog, remark: report.remark)
            default: report
            }
        }
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
                        ? "the host allows no more" : remark(name, enforcement, isThrownAway: project == nil)))
        }
        return reports
    }

    /// What holds changes of a project that are thrown away: what holds all that is thrown away, where that is no more.
    private static func thrownAway(_ limits: ResourceLimits, _ scratch: Enforcement) -> Enforcement {
        guard let most = limits.project, let room = limits.scratch else { return .none }
        return room <= most ? scratch : .none
    }

    private static func remark(_ name: LimitName, _ enforcement: Enforcement, isThrownAway: Bool) -> String? {
        switch name {
        case .cpuTime: "of each process; of all together by a watchdog"
        case .project where isThrownAway:
            "changes of the project are thrown away, and `scratch` "
                + (enforcement == .none ? "allows more" : "limits them")
        case .project where enforcement == .watchdog, .scratch where enforcement == .watchdog:
            "measured now and then; files without a name count while they are open"
        default: nil
        }
    }

    /// Whether the number of processes is to be held by RLIMIT_NPROC.
    static func needsProcessLimit(_ reports: [LimitReport]) -> Bool {
        !reports.contains { $0.name == .pids && $0.enforcement == .cgroup }
    }
}

/// A run's numbers apart from the ownership of its groups.
///
/// It is for a supervisor that reads them while a keeper owns the groups.
package struct CgroupAccounting: Sendable {
    let counters: CgroupCounters

    /// Everything that is counted, as it is now; to be taken before the groups are removed.
    package func usage() -> CgroupUsage {
        let values = counters.values()
        let times = Self.processorTimes(values)
        return CgroupUsage(
            oomKills: values[.oomKills], memoryLimitHits: values[.memoryLimitHits],
            currentMemory: values[.currentMemory], peakMemory: values[.peakMemory],
            pidsLimitHits: values[.pidsLimitHits], peakPids: values[.peakPids],
            userSeconds: times.user, systemSeconds: times.system,
            throttledPeriods: values[.throttledPeriods],
            throttledSeconds: values[.throttledTime].map { Double($0) / 1e9 })
    }

    /// Seconds of user and system time; where the sum is known better than its parts, these are scaled to it, as the kernel
    /// does it for processes.
    private static func processorTimes(_ values: [CgroupMetric: Int64]) -> (user: Double?, system: Double?) {
        guard let user = values[.userTime], let system = values[.systemTime] else { return (nil, nil) }
        return divided(values[.processorTime], user: user, system: system)
    }

    /// All numbers are nanoseconds, and the results seconds.
    static func divided(_ total: Int64?, user: Int64, system: Int64) -> (user: Double, system: Double) {
        let (user, system) = (Double(user), Double(system))
        guard let total = total.map(Double.init) else { return (user / 1e9, system / 1e9) }
        let share = user + system > 0 ? user / (user + system) : 1
        return (total * share / 1e9, total * (1 - share) / 1e9)
    }
}

extension RunCgroup {
    /// The numbers of the run, usable for as long as the value is kept.
    package var accounting: CgroupAccounting { CgroupAccounting(counters: counters) }
}

/// A run's numbers apart from the ownership of its groups.
///
/// It is for a supervisor that reads them while a keeper owns the groups.
package struct CgroupAccounting: Sendable {
    let counters: CgroupCounters

    /// Everything that is counted, as it is now; to be taken before the groups are removed.
    package func usage() -> CgroupUsage {
        func seconds(_ metric: CgroupMetric) -> Double? { counters.value(metric).map { Double($0) / 1e9 } }
        return CgroupUsage(
            oomKills: counters.value(.oomKills), memoryLimitHits: counters.value(.memoryLimitHits),
            currentMemory: counters.value(.currentMemory), peakMemory: counters.value(.peakMemory),
            pidsLimitHits: counters.value(.pidsLimitHits), peakPids: counters.value(.peakPids),
            userSeconds: seconds(.userTime), systemSeconds: seconds(.systemTime),
            throttledPeriods: counters.value(.throttledPeriods), throttledSeconds: seconds(.throttledTime))
    }
}

extension RunCgroup {
    /// The numbers of the run, usable for as long as the value is kept.
    package var accounting: CgroupAccounting { CgroupAccounting(counters: counters) }
}

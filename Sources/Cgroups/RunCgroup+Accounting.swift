extension RunCgroup {
    /// Processes that the kernel killed for want of memory; nil where it is not counted.
    package func oomKills() -> Int64? { counters.value(.oomKills) }

    /// How often a process could not be made at the limit of their number; nil where it is not counted.
    package func pidsLimitHits() -> Int64? { counters.value(.pidsLimitHits) }

    /// Bytes in use now; nil where it is not counted.
    package func currentMemory() -> Int64? { counters.value(.currentMemory) }

    /// Everything that is counted, as it is now; to be taken before `remove()`.
    package func usage() -> CgroupUsage { accounting.usage() }
}

/// What the steps of a run used; a number is nil where the host does not count it.
package struct CgroupUsage: Sendable, Hashable, Codable {
    /// Processes that the kernel killed for want of memory.
    package var oomKills: Int64?
    /// How often memory was at its limit, on version 2: 0 beside kills tells that the host, not the run, ran out of it.
    package var memoryLimitHits: Int64?
    /// Bytes in use now, and the most there ever were; page cache counts.
    package var currentMemory: Int64?, peakMemory: Int64?
    /// How often a process could not be made at the limit of their number.
    package var pidsLimitHits: Int64?
    /// The most processes and threads there ever were.
    package var peakPids: Int64?
    /// Seconds of processor time in user and system mode.
    package var userSeconds: Double?, systemSeconds: Double?
    /// How often, and for how many seconds, the run had to wait because of its processor limit, supervisor included.
    package var throttledPeriods: Int64?, throttledSeconds: Double?

    private enum CodingKeys: String, CodingKey {
        case oomKills = "oom_kills"
        case memoryLimitHits = "memory_limit_hits"
        case currentMemory = "current_memory"
        case peakMemory = "peak_memory"
        case pidsLimitHits = "pids_limit_hits"
        case peakPids = "peak_pids"
        case userSeconds = "user_seconds"
        case systemSeconds = "system_seconds"
        case throttledPeriods = "throttled_periods"
        case throttledSeconds = "throttled_seconds"
    }
}

/// A number that the kernel keeps for a control group.
enum CgroupMetric: CaseIterable, Hashable {
    case oomKills
    case memoryLimitHits
    case currentMemory
    case peakMemory
    case pidsLimitHits
    case peakPids
    case processorTime
    case userTime
    case systemTime
    case throttledPeriods
    case throttledTime

    /// The controller that counts it.
    var controller: CgroupController {
        switch self {
        case .oomKills, .memoryLimitHits, .currentMemory, .peakMemory: .memory
        case .pidsLimitHits, .peakPids: .pids
        case .processorTime, .userTime, .systemTime: .cpuacct
        case .throttledPeriods, .throttledTime: .cpu
        }
    }

    /// Where a number stands.
    struct Source {
        let file: String
        /// The word before it on its line; nil where the file holds only the number.
        let key: String?
        /// By what it is multiplied to be bytes, nanoseconds or a plain number.
        let scale: Int64

        init(_ file: String, _ key: String? = nil, scale: Int64 = 1) {
            self.file = file
            self.key = key
            self.scale = scale
        }

        /// Finds the number in the file's text.
        func value(in text: String) -> Int64? {
            let lines = text.utf8.split(separator: UInt8(ascii: "\n"))
            let blank = UInt8(ascii: " ")
            let number: Substring.UTF8View?
            if let key {
                let line = lines.map { $0.split(separator: blank) }.first { $0.first?.elementsEqual(key.utf8) == true }
                number = line?.count == 2 ? line?.last : nil
            } else {
                number = lines.first?.split(separator: blank).first
            }
            guard let number, let value = Int64(Substring(number)), value >= 0 else { return nil }
            let (product, overflow) = value.multipliedReportingOverflow(by: scale)
            return overflow ? nil : product
        }
    }

    /// Where the number stands in a group of this interface; nil where it is not kept.
    func source(_ generation: CgroupGeneration) -> Source? {
        switch (self, generation) {
        // `oom` counts calls for memory that failed; only `oom_kill` counts processes that were killed.
        case (.oomKills, .v1): Source("memory.oom_control", "oom_kill")
        case (.oomKills, .v2): Source("memory.events", "oom_kill")
        // `memory.failcnt` stays 0 on Linux 6.18, even where the limit killed.
        case (.memoryLimitHits, .v1): nil
        case (.memoryLimitHits, .v2): Source("memory.events", "max")
        case (.currentMemory, .v1): Source("memory.usage_in_bytes")
        case (.currentMemory, .v2): Source("memory.current")
        case (.peakMemory, .v1): Source("memory.max_usage_in_bytes")
        case (.peakMemory, .v2): Source("memory.peak")
        case (.pidsLimitHits, _): Source("pids.events", "max")
        case (.peakPids, _): Source("pids.peak")
        // Version 2 divides it between the next two; in version 1 those are counted by ticks, of which a busy host loses some.
        case (.processorTime, .v1): Source("cpuacct.usage")
        case (.processorTime, .v2): nil
        case (.userTime, .v1): Source("cpuacct.usage_user")
        case (.userTime, .v2): Source("cpu.stat", "user_usec", scale: 1000)
        case (.systemTime, .v1): Source("cpuacct.usage_sys")
        case (.systemTime, .v2): Source("cpu.stat", "system_usec", scale: 1000)
        case (.throttledPeriods, _): Source("cpu.stat", "nr_throttled")
        case (.throttledTime, .v1): Source("cpu.stat", "throttled_time")
        case (.throttledTime, .v2): Source("cpu.stat", "throttled_usec", scale: 1000)
        }
    }
}

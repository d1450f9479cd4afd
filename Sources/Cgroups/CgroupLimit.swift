import Glibc
import Isolation
import LinuxSystem
import SystemPackage

/// Sets the limits of a run on its groups, and reads back what holds.
struct CgroupLimit {
    private let hierarchy: RunHierarchy

    /// Sets each limit on memory, processes and processors that is there; the reports tell what holds it.
    static func apply(_ limits: ResourceLimits, to hierarchies: [RunHierarchy], host: CgroupHost) -> [LimitReport] {
        let controllers: [(LimitName, CgroupController)] = [(.memory, .memory), (.pids, .pids), (.cpus, .cpu)]
        return controllers.compactMap { name, controller -> LimitReport? in
            guard let value = limits.value(of: name) else { return nil }
            guard let hierarchy = hierarchies.first(where: { $0.controllers.contains(controller) }) else {
                return LimitReport(name, value, .none, remark: host.obstacle(to: controller)?.description)
            }
            do throws(SyscallError) {
                let remark = try CgroupLimit(hierarchy: hierarchy).set(name, limits)
                return LimitReport(name, value, .cgroup, remark: remark)
            } catch {
                let obstacle = CgroupObstacle(error, generation: hierarchy.generation)
                return LimitReport(name, value, .none, remark: obstacle.description)
            }
        }
    }

    private func set(_ name: LimitName, _ limits: ResourceLimits) throws(SyscallError) -> String? {
        if let memory = limits.memory, name == .memory { return try setMemory(memory.bytes) }
        if let pids = limits.pids, name == .pids { try set("pids.max", to: Int64(pids), on: hierarchy.group) }
        if let cpus = limits.cpus, name == .cpus { try setProcessors(cpus) }
        return nil
    }

    private func setMemory(_ bytes: Int64) throws(SyscallError) -> String? {
        switch hierarchy.generation {
        case .v1:
            // In this order: memory with swap may never be limited to less than memory.
            try set("memory.limit_in_bytes", to: bytes, on: hierarchy.group)
            return try withSwap { () throws(SyscallError) in
                try set("memory.memsw.limit_in_bytes", to: bytes, on: hierarchy.group)
            }
        case .v2:
            try set("memory.max", to: bytes, on: hierarchy.group)
            // A run with one process killed is a failed run: what is left of it would only burn time.
            try set("memory.oom.group", to: 1, on: hierarchy.group)
            return try withSwap { () throws(SyscallError) in
                try set("memory.swap.max", to: 0, on: hierarchy.group)
            }
        }
    }

    /// A kernel that does not count swap cannot limit it; that weakens the limit, but does not lift it.
    private func withSwap(_ set: () throws(SyscallError) -> Void) throws(SyscallError) -> String? {
        do throws(SyscallError) {
            try set()
            return nil
        } catch let error where error.errno == .noSuchFileOrDirectory {
            return "swap is not limited, since this kernel does not count it"
        }
    }

    private func setProcessors(_ cpus: Double) throws(SyscallError) {
        let period = 100_000.0
        // The kernel takes quotas from a millisecond on.
        guard cpus >= 0.01, cpus <= 65536 else {
            throw SyscallError("limit processors to", String(cpus), errno: .outOfRange)
        }
        let quota = Int64((cpus * period).rounded())
        switch hierarchy.generation {
        case .v1:
            try set("cpu.cfs_period_us", to: Int64(period), on: hierarchy.group)
            try set("cpu.cfs_quota_us", to: quota, on: hierarchy.group)
        case .v2:
            try set("cpu.max", to: "\(quota) \(Int64(period))", so: quota, on: hierarchy.group)
        }
    }

    private func set(_ file: String, to value: Int64, on group: CgroupDirectory) throws(SyscallError) {
        try set(file, to: String(value), so: value, on: group)
    }

    /// Writes a file and compares what holds with what was set: the kernel cuts sizes to whole pages, which have up to
    /// 64 KiB.
    private func set(
        _ name: String, to text: String, so value: Int64, on group: CgroupDirectory
    ) throws(SyscallError) {
        let file = try group.file(name, O_RDWR | O_TRUNC)
        try file.write(text)
        let found = CgroupMetric.Source(name).value(in: try file.read())
        let slack: Int64 = name.hasPrefix("memory.") && value >= 65536 ? 65535 : 0
        guard let found, found <= value, found >= value - slack else {
            throw SyscallError("set", file.path.string, errno: .invalidArgument)
        }
    }
}

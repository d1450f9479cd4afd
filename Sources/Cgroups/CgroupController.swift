/// A part of the kernel that limits or counts what the processes of a control group use.
package enum CgroupController: String, Sendable, Hashable, CaseIterable {
    case memory
    case pids
    case cpu
    /// Counting processor time. Version 2 has it without a controller.
    case cpuacct
    /// Stopping all processes at once. Version 2 has it without a controller.
    case freezer
    case cpuset
}

/// The two interfaces that the kernel has for control groups; a hybrid host has both.
package enum CgroupGeneration: Int, Sendable, Hashable {
    case v1 = 1
    case v2 = 2
}

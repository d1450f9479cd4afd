import LinuxSystem

/// When each stage of a launch was done, for whoever wants to know where its time went.
package final class LaunchTimings {
    private var last = Syscall.monotonicSeconds()
    /// The stages in their order, with the seconds that each took.
    package private(set) var stages: [(name: String, seconds: Double)] = []

    /// Begins to count.
    package init() {}

    /// Says that a stage is done.
    package func mark(_ name: String) {
        let now = Syscall.monotonicSeconds()
        stages.append((name, now - last))
        last = now
    }
}

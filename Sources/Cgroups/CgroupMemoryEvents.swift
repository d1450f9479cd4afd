import LinuxSystem
import SystemPackage

/// What becomes ready when the steps are out of memory.
package struct CgroupMemoryEvents: Sendable, Hashable {
    /// How the descriptor tells of an event.
    package enum Readiness: Sendable, Hashable {
        /// It becomes readable (POLLIN), until it is read.
        case readable
        /// It has an exceptional condition (POLLPRI), until `RunCgroup.oomKills()` is asked.
        case exceptional
    }

    /// The descriptor for poll(2) or epoll(7), lent while its owner lives.
    package let descriptor: CInt
    /// What is to be waited for on it.
    package let readiness: Readiness
}

extension RunCgroup {
    /// Has the kernel tell when the steps are out of memory; nil where it is not counted.
    ///
    /// Version 1 tells it through `counter`, an eventfd(2) of the caller's, version 2 through a file of the group. The
    /// result says what to wait for. An event only means that `oomKills()` is worth asking.
    package func memoryEvents(counter: CInt) throws(CgroupError) -> CgroupMemoryEvents? {
        guard let hierarchy = hierarchies.first(where: { $0.controllers.contains(.memory) }),
            let file = counters.file(.oomKills)
        else { return nil }
        guard hierarchy.generation == .v1 else {
            // The kernel tells of changes since the last reading; a file that was never read counts as changed.
            _ = counters.value(.oomKills)
            return CgroupMemoryEvents(descriptor: file.number, readiness: .exceptional)
        }
        do throws(SyscallError) {
            try hierarchy.group.write("cgroup.event_control", "\(counter) \(file.number)")
        } catch {
            throw CgroupError(
                "watch memory of control group", hierarchy.group.path.string, reason: "\(error)", errno: error.errno)
        }
        return CgroupMemoryEvents(descriptor: counter, readiness: .readable)
    }
}

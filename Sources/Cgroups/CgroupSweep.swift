import Glibc
import LinuxSystem
import SystemPackage

/// Kills the processes of a run one by one, stopped meanwhile where the host can stop them.
struct CgroupSweep {
    private let groups: [CgroupDirectory]
    private let freezers: [(group: CgroupDirectory, file: String, stop: String, go: String)]

    init(_ hierarchies: [RunHierarchy]) {
        groups = hierarchies.map(\.group)
        freezers = hierarchies.filter { $0.controllers.contains(.freezer) }.map { hierarchy in
            switch hierarchy.generation {
            case .v1: (hierarchy.group, "freezer.state", "FROZEN", "THAWED")
            case .v2: (hierarchy.group, "cgroup.freeze", "1", "0")
            }
        }
    }

    /// Ends when no process is left; fails with ETIMEDOUT after some seconds, or with why a signal could not be sent.
    func run() throws(SyscallError) {
        var failure: SyscallError?
        for _ in 0..<3000 {
            guard try !processes().isEmpty else { return }
            for freezer in freezers { try? freezer.group.write(freezer.file, freezer.stop) }
            // Stopping only keeps a crowd from growing while it is counted: where it fails, more rounds do it.
            do throws(SyscallError) {
                try signalAll()
            } catch {
                failure = error
            }
            for freezer in freezers { try? freezer.group.write(freezer.file, freezer.go) }
            Waiting.pause()
        }
        throw failure ?? SyscallError("kill", groups.first?.path.string, errno: .timedOut)
    }

    private func processes() throws(SyscallError) -> Set<Int32> {
        var all: Set<Int32> = []
        for group in groups {
            do throws(SyscallError) {
                all.formUnion(try group.processes())
            } catch let error where error.isOfMissingGroup {
                // Only an empty group can have been removed.
                continue
            }
        }
        return all
    }

    /// Sends SIGKILL to a bounded number of the processes.
    private func signalAll() throws(SyscallError) {
        for process in try processes().sorted().prefix(128) where process > 0 {
            do throws(SyscallError) {
                let handle = try ProcessHandle(opening: process)
                // Looked up again: the number may have gone to a stranger before the handle was opened.
                if try processes().contains(process) { try handle.signal(SIGKILL) }
            } catch let error where error.errno == .noSuchProcess {
                continue
            }
        }
    }
}

import Glibc
import LinuxSystem

/// The end of what a program of the host has started: its children hear nothing of its death, nor of its keeper's.
enum GroupWatch {
    /// Forks a process that waits for the end of this one and then kills what is left of the process group.
    ///
    /// To be called by the leader of a group, with a single thread. The new process has the same standard streams until
    /// it ends: whoever reads them to their end finds nothing of the group alive.
    static func start() throws(SyscallError) {
        let leader = getpid()
        let handle = try ProcessHandle(opening: leader)
        guard try Syscall.fork() == 0 else { return }
        do throws(SyscallError) {
            // What is sent to the group is not for this process.
            try HostProcess.leadGroup(ownSession: true)
            _ = try Syscall.poll([handle.number], milliseconds: -1)
            // Named so that it is open until now: a poll of a closed one comes back at once.
            _ = handle.number
            try Syscall.kill(-leader, SIGKILL)
        } catch {
            // A group of which nobody is left; for anything else there is nobody to tell.
        }
        _exit(0)
    }
}

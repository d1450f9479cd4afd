import CLinux
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension Syscall {
    /// prctl(2), PR_SET_CHILD_SUBREAPER: processes whose parent ends become children of this one, not of process 1.
    package static func adoptOrphans() throws(SyscallError) {
        // PR_SET_CHILD_SUBREAPER is 36; Swift does not see it.
        _ = try check("prctl PR_SET_CHILD_SUBREAPER") { CLinux_prctl(36, 1, 0, 0, 0) }
    }

    /// Kills every child of this process, those that it has adopted too, and waits for their ends.
    ///
    /// For a process that has started no other that is to go on.
    package static func endChildren() {
        // Each round ends those that the last one has orphaned; a program that makes them faster is not waited for.
        for _ in 0..<1000 {
            let file = FilePath("/proc/self/task/\(getpid())/children")
            // Without this file (CONFIG_PROC_CHILDREN) nobody is found, and nobody waited for.
            guard let text = try? readFile(file, limit: 1 << 20), !text.isEmpty else { return }
            for word in text.split(separator: 0x20) {
                // A child is not waited for before it is killed: its number is nobody else's.
                if let child = Int32(String(decoding: word, as: UTF8.self)), child > 0 {
                    _ = Glibc.kill(child, SIGKILL)
                }
            }
            if waitpid(-1, nil, 0) < 0, errno != EINTR { return }
        }
    }
}

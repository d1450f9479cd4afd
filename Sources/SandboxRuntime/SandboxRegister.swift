import Cgroups
package import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The names of single sandboxes, each a file that is locked as long as one of its processes lives.
///
/// A sandbox that is killed with its keeper leaves control groups behind; by its name the next command removes them.
package struct SandboxRegister {
    private let directory: FilePath

    /// The register of the store at a path.
    package init(_ store: FilePath) { directory = store.appending("sandboxes") }

    /// Adds a name; its lock is held until the calling process and all that it forks have ended.
    package func add(_ name: String) throws(SyscallError) {
        try Syscall.makeDirectories(directory, mode: 0o700)
        let register = try lock()
        let file = try Syscall.open(FilePath(name), at: register.number, O_RDWR | O_CREAT, mode: 0o600)
        try Syscall.flock(file.number, LOCK_EX | LOCK_NB)
        _ = file.release()
    }

    /// Locks the whole register: no name is seen between its making and its being locked, when it would look free.
    private func lock() throws(SyscallError) -> OwnedFileDescriptor {
        let register = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
        try Syscall.flock(register.number, LOCK_EX)
        return register
    }

    /// Removes a name; one that cannot be removed is found to be free by the next command.
    package func remove(_ name: String) { try? Syscall.unlink(directory.appending(name)) }

    /// Removes the name of a sandbox that could not be started, with its groups; a group that is still in use keeps it.
    ///
    /// Processes that were killed half-way may just be ending. To be called by who added the name.
    package func abandon(_ name: String) {
        let host = CgroupHost.probe()
        let stale = host.removeStale(alive: { $0 != name })
        // By a name that is kept the next command finds the groups.
        guard stale.left.isEmpty, stale.unseen.isEmpty else { return }
        remove(name)
    }

    /// Removes what sandboxes left that have ended.
    package func clear() throws(SyscallError) {
        guard Syscall.exists(directory) else { return }
        let ended = try ended()
        guard !ended.isEmpty else { return }
        let host = CgroupHost.probe()
        // Where groups cannot be looked for, their names are all that leads to them.
        guard host.obstacle == nil else { return }
        let stale = host.removeStale(alive: { !ended.contains($0) })
        // The same holds for one tree of them; `cloche system doctor` tells why.
        guard stale.unseen.isEmpty else { return }
        for name in ended.subtracting(stale.left) { remove(name) }
    }

    private func ended() throws(SyscallError) -> Set<String> {
        let register = try lock()
        var ended: Set<String> = []
        for entry in try Syscall.directoryEntries(register.number) where try isFree(entry.path, register.number) {
            ended.insert(String(decoding: entry.name, as: UTF8.self))
        }
        return ended
    }

    private func isFree(_ name: FilePath, _ directory: CInt) throws(SyscallError) -> Bool {
        // A sandbox that ends in good order removes its name itself, perhaps just now.
        guard Syscall.exists(name, at: directory) else { return false }
        let file = try Syscall.open(name, at: directory, O_RDWR | O_CREAT | O_NOFOLLOW, mode: 0o600)
        // Taken by somebody: alive. It is given back when the descriptor closes.
        return (try? Syscall.flock(file.number, LOCK_EX | LOCK_NB)) != nil
    }
}

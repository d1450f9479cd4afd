package import Isolation
import LinuxSystem
package import SandboxLaunch
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The place of a sandbox's throw-away changes on the disk, for hosts whose tmpfs cannot hold them.
///
/// Before Linux 6.6 tmpfs keeps no `user.*` attributes (xattr(7)), which overlayfs needs in a user namespace to replace
/// a directory. A directory of this kind is locked as long as a process lives that made or inherited it, so what a
/// killed one leaves can be told from what is in use.
package struct ScratchDirectory: Sendable {
    /// Its path.
    package let path: FilePath

    /// Whether tmpfs cannot hold throw-away changes: tried on a file in memory.
    package static func isNeeded() -> Bool {
        guard let memory = try? Syscall.sealedMemory(name: "cloche-probe", bytes: [], executable: false) else {
            return true
        }
        return !Syscall.keepsUserAttributes(memory.number)
    }

    /// Makes and locks a directory `name` in `parent` that belongs to the author's id.
    package static func make(
        in parent: FilePath, name: String, _ identity: IdentityMap
    ) throws(LaunchError) -> ScratchDirectory {
        let path = parent.appending(name)
        try LaunchError.during("make a directory for throw-away changes") { () throws(SyscallError) in
            var isHeld = false
            // A sweep may take it for a leftover before it is locked.
            while !isHeld {
                try Syscall.makeDirectories(path, mode: 0o700)
                let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                try Syscall.flock(directory.number, LOCK_EX)
                if geteuid() == 0, let user = identity.outsideUser(IdentityMap.user),
                    let group = identity.outsideGroup(IdentityMap.user)
                {
                    try Syscall.changeOwner(of: directory.number, user: user, group: group)
                }
                isHeld = Syscall.exists(path)
                // Until the process and all that it forks have ended.
                if isHeld { _ = directory.release() }
            }
        }
        return ScratchDirectory(path: path)
    }

    /// Removes it; what cannot be removed is left to `sweep`.
    package func remove() { try? Self.remove(path) }

    /// Whether there is nothing in `parent`, in use or left.
    package static func isClear(_ parent: FilePath) -> Bool {
        guard Syscall.exists(parent) else { return true }
        guard let opened = try? Syscall.open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let entries = try? Syscall.directoryEntries(opened.number)
        else { return false }
        return entries.isEmpty
    }

    /// Removes what ended processes left in `parent`; what the caller may not remove is handed to `otherwise`.
    package static func sweep(_ parent: FilePath, otherwise: (FilePath) throws -> Void) throws {
        guard Syscall.exists(parent) else { return }
        let opened = try Syscall.open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        for entry in try Syscall.directoryEntries(opened.number) {
            // Another command may be removing it just now, or a sandbox holds its lock: both are no leftovers.
            guard let directory = try? Syscall.open(entry.path, at: opened.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
                (try? Syscall.flock(directory.number, LOCK_EX | LOCK_NB)) != nil
            else { continue }
            let path = parent.appending(FilePath(bytes: entry.name).components)
            do throws(SyscallError) {
                try remove(path)
            } catch {
                try otherwise(path)
                // Empty, though perhaps no longer the caller's to look into.
                try Syscall.unlink(path, directory: true)
            }
        }
    }

    private static func remove(_ path: FilePath) throws(SyscallError) {
        guard let name = path.lastComponent else { return }
        let parent = try Syscall.open(path.removingLastComponent(), O_RDONLY | O_DIRECTORY)
        try TreeRemoval.remove(directory: parent.number, name: FilePath(name.string))
    }
}

import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The names by which a layer of an image removes files of the layers below (OCI image specification, layer.md).
extension TreeUnpacker {
    private static let prefix = Array(".wh.".utf8)
    private static let opaque = Array(".wh..wh..opq".utf8)

    /// Carries out a whiteout; whether the name was one, or one of the marks that aufs kept for itself.
    mutating func removeLower(_ name: [UInt8], _ parent: ArraySlice<[UInt8]>) throws(ArchiveError) -> Bool {
        guard name.starts(with: Self.prefix) else { return false }
        let hidden = Array(name.dropFirst(Self.prefix.count))
        do throws(SyscallError) {
            guard let directory = try existing(parent) else { return true }
            if name == Self.opaque {
                for entry in try Syscall.directoryEntries(directory.number) {
                    try removeLower(TerminatedName(entry.name), in: directory)
                }
            } else if !hidden.starts(with: Self.prefix), ![[], [0x2E], [0x2E, 0x2E]].contains(hidden) {
                try removeLower(TerminatedName(hidden), in: directory)
            }
            return true
        } catch {
            throw ArchiveError(error)
        }
    }

    private func existing(_ path: ArraySlice<[UInt8]>) throws(SyscallError) -> OpenedFile? {
        do throws(SyscallError) {
            return try openDirectory(joined(path))
        } catch  where [.noSuchFileOrDirectory, .notDirectory].contains(error.errno) {
            return nil
        }
    }

    /// Removes what earlier layers have of a name; what this layer has made there stays, in whatever order it comes.
    private mutating func removeLower(_ name: TerminatedName, in parent: OpenedFile) throws(SyscallError) {
        let status: FileStatus
        do throws(SyscallError) {
            status = try Syscall.lstat(name, at: parent.number)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return
        }
        guard own.contains(status.inode) else { return try removeUnlessOwn(name, status, parent) }
        guard status.isDirectory else { return }
        let directory = OpenedFile(
            try Syscall.open(name, at: parent.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: [.beneath]))
        for entry in try Syscall.directoryEntries(directory.number) {
            try removeLower(TerminatedName(entry.name), in: directory)
        }
    }

    /// A directory of an earlier layer may hold files of this one.
    private mutating func removeUnlessOwn(
        _ name: TerminatedName, _ status: FileStatus, _ parent: OpenedFile
    ) throws(SyscallError) {
        guard status.isDirectory else { return try remove(name, parent) }
        let directory = OpenedFile(
            try Syscall.open(name, at: parent.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: [.beneath]))
        for entry in try Syscall.directoryEntries(directory.number) {
            try removeLower(TerminatedName(entry.name), in: directory)
        }
        forgetParent()
        do throws(SyscallError) {
            try Syscall.unlink(name, at: parent.number, directory: true)
        } catch  where error.errno == .directoryNotEmpty {}
    }
}

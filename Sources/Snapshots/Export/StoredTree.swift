import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Opens files of a stored tree by their paths, of any length, without following a link.
struct StoredTree {
    private let root: HeldDescriptor
    private var directories: PathCursor

    /// Opens a tree.
    init(_ path: FilePath) throws(SyscallError) {
        root = HeldDescriptor(try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        directories = PathCursor(root: root.number)
    }

    /// Opens a regular file.
    mutating func open(_ path: [UInt8]) throws(SyscallError) -> HeldDescriptor {
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let directory = try directories.descriptor(for: slash.map { Array(path[..<$0]) } ?? [])
        return HeldDescriptor(
            try Syscall.open(
                TerminatedName(slash.map { path[($0 + 1)...] } ?? path[...]), at: directory,
                O_RDONLY | O_NOFOLLOW | O_NONBLOCK, resolve: TreeCursor.resolution))
    }
}

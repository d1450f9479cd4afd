import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Opens files of a stored tree by their paths, of any length, without following a link.
struct StoredTree {
    private static let pieceLimit = 3840

    private let root: HeldDescriptor
    private var directory: (path: [UInt8], descriptor: HeldDescriptor)

    /// Opens a tree.
    init(_ path: FilePath) throws(SyscallError) {
        let opened = HeldDescriptor(try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
        root = opened
        directory = ([], opened)
    }

    /// Opens a regular file.
    mutating func open(_ path: [UInt8]) throws(SyscallError) -> HeldDescriptor {
        let slash = path.lastIndex(of: UInt8(ascii: "/"))
        let parent = slash.map { Array(path[..<$0]) } ?? []
        let name = slash.map { path[($0 + 1)...] } ?? path[...]
        if parent != directory.path { directory = (parent, try open(directory: parent)) }
        return HeldDescriptor(
            try Syscall.open(
                TerminatedName(name), at: directory.descriptor.number, O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
                resolve: TreeCursor.resolution))
    }

    private func open(directory path: [UInt8]) throws(SyscallError) -> HeldDescriptor {
        var place = root
        var rest = path[...]
        while !rest.isEmpty {
            var end = rest.endIndex
            if rest.count > Self.pieceLimit {
                end = rest.prefix(Self.pieceLimit).lastIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
            }
            place = HeldDescriptor(
                try Syscall.open(
                    TerminatedName(rest[..<end]), at: place.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
                    resolve: TreeCursor.resolution))
            rest = rest[end...].drop { $0 == UInt8(ascii: "/") }
        }
        return place
    }
}

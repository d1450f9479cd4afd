import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// Opens directories of a tree by their paths, of any length, with a few descriptors whatever the depth.
///
/// Paths are resolved below the root's descriptor, follow no symbolic link and enter no other mount; paths longer
/// than the kernel takes at once are walked in pieces.
struct PathCursor {
    private static let pieceLimit = 3840
    /// O_PATH, which Swift does not see: passing through needs no right to list.
    private static let pathOnly: CInt = 0o10000000

    private let root: CInt
    private var held: (path: [UInt8], descriptor: HeldDescriptor)?

    /// Starts at an open directory, which stays open as long as the cursor is used.
    init(root: CInt) { self.root = root }

    /// The descriptor of a directory that may be listed, lent until the next call; the empty path is the root.
    ///
    /// The root's descriptor has been lent, and its position is shared with whoever else reads it: it is opened afresh.
    mutating func descriptor(for path: [UInt8]) throws(SyscallError) -> CInt {
        if let held, held.path == path { return held.descriptor.number }
        var place = root
        var rest = path[...]
        var opened: HeldDescriptor?
        if let held, !held.path.isEmpty, path.count > held.path.count, path[held.path.count] == Self.slash,
            path.starts(with: held.path)
        {
            place = held.descriptor.number
            rest = path[(held.path.count + 1)...]
        }
        repeat {
            var end = rest.endIndex
            if rest.count > Self.pieceLimit {
                end = rest.prefix(Self.pieceLimit).lastIndex(of: Self.slash) ?? rest.endIndex
            }
            let flags = end == rest.endIndex ? O_RDONLY | O_DIRECTORY | O_NOFOLLOW : O_DIRECTORY | Self.pathOnly
            let name = rest.isEmpty ? TerminatedName(".".utf8) : TerminatedName(rest[..<end])
            let next = HeldDescriptor(try Syscall.open(name, at: place, flags, resolve: .withinTree))
            opened = next
            place = next.number
            rest = rest[end...].drop { $0 == Self.slash }
        } while !rest.isEmpty
        if let opened { held = (path, opened) }
        return place
    }

    private static let slash = UInt8(ascii: "/")
}

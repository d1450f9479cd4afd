import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Opens the directories of a surveyed tree one after the other, with a few descriptors whatever the depth.
///
/// Paths are resolved below the root's descriptor, follow no symbolic link and enter no other mount; paths longer
/// than the kernel takes at once are walked in pieces.
struct TreeCursor {
    private static let pieceLimit = 3840

    private let root: CInt
    private let climbs: Bool
    private var current: Int = 0
    private var held: HeldDescriptor?

    /// Starts at an open directory, which stays open as long as the cursor is used.
    ///
    /// - Parameter climbs: Whether the way to the directory above goes by `..`. Only for trees that nobody else can
    ///   change; it keeps the way back from the bottom of a deep tree short.
    init(root: CInt, climbs: Bool = false) {
        self.root = root
        self.climbs = climbs
    }

    /// The descriptor of a directory, lent until the next call.
    mutating func descriptor(for directory: Int, in survey: TreeSurvey) throws(SyscallError) -> CInt {
        if directory == current, let held { return held.number }
        if directory == 0 { return root }
        if let above = climb(to: directory, in: survey) {
            (current, held) = (directory, above)
            return above.number
        }
        // The way up to the tree's own directory, or to the one that is open.
        var names: [TerminatedName] = []
        var node = directory
        while node != 0 && !(node == current && held != nil) {
            names.append(survey.name(of: node))
            node = Int(survey.directories[node].parent)
        }
        var place = node == 0 ? root : (held?.number ?? root)
        var piece: [UInt8] = []
        var opened: HeldDescriptor?
        for (number, name) in names.reversed().enumerated() {
            if !piece.isEmpty { piece.append(UInt8(ascii: "/")) }
            piece += name.bytes
            let isLast = number == names.count - 1
            guard isLast || piece.count > Self.pieceLimit else { continue }
            let flags = isLast ? O_RDONLY | O_DIRECTORY | O_NOFOLLOW : O_DIRECTORY | pathOnly
            let next = HeldDescriptor(
                try Syscall.open(TerminatedName(piece), at: place, flags, resolve: .withinTree))
            opened = next
            place = next.number
            piece = []
        }
        guard let opened else { return root }
        current = directory
        held = opened
        return opened.number
    }

    /// The descriptor of a directory that may be listed.
    ///
    /// The root's descriptor has been lent, and its position is shared with whoever else reads it: listing takes a
    /// fresh one.
    mutating func listable(_ directory: Int, in survey: TreeSurvey) throws(SyscallError) -> CInt {
        guard directory == 0 else { return try descriptor(for: directory, in: survey) }
        let opened = HeldDescriptor(
            try Syscall.open(TerminatedName(".".utf8), at: root, O_RDONLY | O_DIRECTORY, resolve: .withinTree))
        (current, held) = (0, opened)
        return opened.number
    }

    /// Opens the directory above the current one; nil when that is not asked for, or when the current directory's
    /// mode forbids it, and the way from the root has to do.
    private func climb(to directory: Int, in survey: TreeSurvey) -> HeldDescriptor? {
        guard climbs, let held, Int(survey.directories[current].parent) == directory else { return nil }
        return try? HeldDescriptor(
            Syscall.open(TerminatedName("..".utf8), at: held.number, O_RDONLY | O_DIRECTORY))
    }

    /// O_PATH, which Swift does not see: passing through needs no right to list.
    private let pathOnly: CInt = 0o10000000
}

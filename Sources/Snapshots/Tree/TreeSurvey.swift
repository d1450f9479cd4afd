import LinuxSystem

/// What a tree holds, as one walk found it: the plan of a copy or of a verification.
///
/// Names are kept in one array a directory, and files in one flat array, so that a million files take tens of
/// megabytes and no allocation each.
struct TreeSurvey: Sendable {
    /// One directory.
    struct Directory: Sendable {
        /// The directory above; -1 for the tree's own.
        let parent: Int32
        /// Where its name starts in the names of the directory above.
        let nameStart: Int32
        /// Length of its path in bytes.
        let pathLength: Int32
        /// The names of its entries, each with NUL behind it.
        var names: [UInt8] = []
        /// What is taken of it.
        var entries: [Entry] = []
        var mode: UInt32 = 0
        var modified = FileTime(seconds: 0, nanoseconds: 0)
        /// When the directory itself last changed: an entry, its mode, or an attribute.
        var changed = FileTime(seconds: 0, nanoseconds: 0)
        var attributes: [ExtendedAttribute] = []
        var key = FileKey(device: 0, inode: 0)
        /// Whether it has no attributes, and a change after its listing would show in ``changed``.
        var isSettled = false
    }

    /// A file or directory as long as it exists.
    struct FileKey: Sendable, Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// One entry of a directory.
    struct Entry: Sendable {
        let nameStart: Int32
        let nameCount: Int16
        let kind: EntryKind
        /// Index in ``directories``, ``files`` or ``links``.
        let index: Int32

        var place: Place { Place(kind: kind, index: index) }
    }

    /// Where the survey has an entry.
    struct Place: Sendable, Hashable {
        let kind: EntryKind
        /// Index in ``directories``, ``files`` or ``links``.
        let index: Int32
    }

    /// What an entry is.
    enum EntryKind: UInt8, Sendable {
        case directory
        case file
        case link
    }

    /// One regular file.
    struct File: Sendable {
        let directory: Int32
        let nameStart: Int32
        /// Index in ``groups`` when the file has other names in the tree; -1 otherwise.
        var group: Int32
        let stamp: FileStamp
    }

    /// One symbolic link.
    struct Link: Sendable {
        let directory: Int32
        let nameStart: Int32
        let target: [UInt8]
        let modified: FileTime
    }

    /// Names of one file.
    struct Group: Sendable {
        let device: UInt64
        let inode: UInt64
        var files: [Int32]
    }

    var directories: [Directory] = []
    var files: [File] = []
    var links: [Link] = []
    var groups: [Group] = []
    /// Devices 0/0, by which overlay mounts hide an entry of the layer below; only where the walk collects them.
    var whiteouts: [(directory: Int32, nameStart: Int32)] = []
    /// Sum of the sizes of all files; several names of one file count once.
    var bytes: Int64 = 0
    /// The same without their holes: what a copy takes at most.
    var storedBytes: Int64 = 0
    /// The largest files without their holes, in descending order.
    var largest = LargestItems()
    var notes = CaptureNotes()

    /// Number of all entries.
    var entryCount: Int { directories.count + files.count + links.count }

    func name(inDirectory directory: Int32, at start: Int32) -> TerminatedName {
        TerminatedName(in: directories[Int(directory)].names, at: Int(start))
    }

    /// Whether names of two surveys are the same bytes, both ending in NUL.
    static func isSameName(_ names: [UInt8], _ start: Int32, _ others: [UInt8], _ otherStart: Int32) -> Bool {
        var (index, other) = (Int(start), Int(otherStart))
        while names[index] == others[other] {
            if names[index] == 0 { return true }
            index += 1
            other += 1
        }
        return false
    }

    func name(of directory: Int) -> TerminatedName {
        let node = directories[directory]
        return name(inDirectory: node.parent, at: node.nameStart)
    }

    /// The path of a directory relative to the tree; empty for the tree's own.
    func path(ofDirectory directory: Int) -> [UInt8] {
        var path = [UInt8](repeating: UInt8(ascii: "/"), count: Int(directories[directory].pathLength))
        var end = path.count
        var node = directories[directory]
        while node.parent >= 0 {
            let above = directories[Int(node.parent)]
            let start = Int(node.nameStart)
            let length = Int(node.pathLength) - (above.parent < 0 ? 0 : Int(above.pathLength) + 1)
            path.replaceSubrange((end - length)..<end, with: above.names[start..<(start + length)])
            end -= length + 1
            node = above
        }
        return path
    }

    /// The directory with a path; nil when there is none.
    func directory(at path: ArraySlice<UInt8>) -> Int? {
        var directory = 0
        for name in path.split(separator: UInt8(ascii: "/")) {
            let node = directories[directory]
            let next = node.entries.first { entry in
                let start = Int(entry.nameStart)
                return entry.kind == .directory && node.names[start..<(start + Int(entry.nameCount))] == name
            }
            guard let next else { return nil }
            directory = Int(next.index)
        }
        return directory
    }

    /// The path of an entry of a directory.
    func path(inDirectory directory: Int32, at start: Int32) -> [UInt8] {
        let base = path(ofDirectory: Int(directory))
        let name = name(inDirectory: directory, at: start).bytes
        return base.isEmpty ? name : base + [UInt8(ascii: "/")] + name
    }

    /// The path of a file.
    func path(ofFile file: Int) -> [UInt8] { path(inDirectory: files[file].directory, at: files[file].nameStart) }
}

/// The largest of the files that were seen.
package struct LargestItems: Sendable, Hashable {
    /// A file, and what it takes.
    package struct Item: Sendable, Hashable {
        /// Relative to the project.
        package let path: [UInt8]
        /// In bytes, without holes.
        package let size: Int64
    }

    private static let limit = 10

    /// At most ten, the largest first.
    package private(set) var items: [Item] = []

    mutating func add(size: Int64, path: () -> [UInt8]) {
        if items.count == Self.limit, let smallest = items.last, smallest.size >= size { return }
        let place = items.firstIndex { $0.size < size } ?? items.count
        items.insert(Item(path: path(), size: size), at: place)
        if items.count > Self.limit { items.removeLast() }
    }
}

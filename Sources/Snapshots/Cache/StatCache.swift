import LinuxSystem

/// What the last snapshot of a project found in its files, and where that snapshot holds them.
///
/// It saves time and disk, and is never needed: whatever it does not know is read from the project.
struct StatCache: Sendable {
    /// One file of the project that the snapshot holds.
    struct Entry: Sendable {
        /// Index in the directories of ``survey``.
        let directory: Int32
        let nameStart: Int32
        /// Whether the stamp proves the content, or only makes it likely.
        let isSettled: Bool
        let drops: FileDrops
        let stamp: FileStamp
        let digest: ContentDigest
        let attributes: [ExtendedAttribute]

        /// What the manifest says of the file.
        var record: FileRecord {
            var record = FileRecord()
            record.state = .content
            record.drops = drops
            record.isStamped = true
            record.mode = stamp.storedMode
            record.size = stamp.size
            record.modified = stamp.modified
            record.digest = digest
            record.attributes = attributes
            return record
        }
    }

    /// The project's directory.
    let key: Key
    /// The snapshot that holds the files.
    let snapshot: SnapshotIdentity
    /// The directories of the project with the names of their files, and its links.
    let survey: TreeSurvey
    /// How many files there are.
    let count: Int
    /// The file of the cache, with its entries from an offset on: reading them where they are needed saves memory.
    let bytes: [UInt8]
    let entriesStart: Int
    /// Attributes of the few files that have some.
    let attributes: [Int32: [ExtendedAttribute]]
    /// Where entries are by their inodes; made where the cache is loaded, while something else can be done.
    private var table: InodeTable?

    /// A project by its directory's device and inode, wherever it is mounted.
    struct Key: Sendable, Hashable {
        let device: UInt64
        let inode: UInt64

        init(device: UInt64, inode: UInt64) {
            self.device = device
            self.inode = inode
        }

        init(_ status: FileStatus) { self.init(device: status.device, inode: status.inode) }

        /// The name of its file.
        var name: String { String(device, radix: 16) + "-" + String(inode, radix: 16) }
    }

    /// What a capture found in the files.
    static func entries(
        of survey: TreeSurvey, records: TreeJob.Result, clock: SettledClock
    ) -> some Sequence<Entry> {
        survey.files.indices.lazy.compactMap { index in
            let (file, record) = (survey.files[index], records[index])
            guard record.state == .content, record.isStamped else { return nil }
            return Entry(
                directory: file.directory, nameStart: file.nameStart, isSettled: clock.isOver(file.stamp.changed),
                drops: record.drops, stamp: file.stamp, digest: record.digest, attributes: record.attributes)
        }
    }

    /// Prepares for ``matches(_:)``.
    mutating func prepareMatching() { table = InodeTable(self) }

    /// For each file of a survey the entry that proves its content; -1 where there is none.
    func matches(_ survey: TreeSurvey) -> [Int32] {
        let table = table ?? InodeTable(self)
        return survey.files.map { file in
            guard let index = table.index(of: file.stamp.inode, device: file.stamp.device, in: self) else { return -1 }
            return isSettled(index) && stamp(index) == file.stamp ? Int32(index) : -1
        }
    }
}

extension StatCache {
    /// Whether a survey finds the very tree that the snapshot holds: then there is nothing to read, and nothing to
    /// compare with its manifest.
    ///
    /// Files with several names in the tree are left to the manifest.
    ///
    /// - Parameter matches: For each file the entry that proves its content.
    func isUnchanged(_ other: TreeSurvey, matches: [Int32]) -> Bool {
        guard other.directories.count == survey.directories.count, other.links.count == survey.links.count,
            other.files.count == count, !matches.contains(-1),
            !other.groups.contains(where: { $0.files.count > 1 }), let places = places(of: other)
        else { return false }
        for (file, match) in zip(other.files, matches) {
            let directory = directory(Int(match))
            guard places[Int(file.directory)] == directory,
                TreeSurvey.isSameName(
                    other.directories[Int(file.directory)].names, file.nameStart,
                    survey.directories[Int(directory)].names, nameStart(Int(match)))
            else { return false }
        }
        return hasSameLinks(other, places: places)
    }

    /// For each directory of a survey the equal one of the cache; nil when one has none.
    private func places(of other: TreeSurvey) -> [Int32]? {
        var table: [TreeSurvey.FileKey: Int32] = [:]
        table.reserveCapacity(survey.directories.count)
        for (index, directory) in survey.directories.enumerated() { table[directory.key] = Int32(index) }
        var places: [Int32] = []
        places.reserveCapacity(other.directories.count)
        for directory in other.directories {
            guard let place = table[directory.key] else { return nil }
            let known = survey.directories[Int(place)]
            guard known.mode == directory.mode, known.modified == directory.modified,
                known.attributes == directory.attributes
            else { return nil }
            if directory.parent < 0 {
                guard place == 0 else { return nil }
            } else {
                guard places[Int(directory.parent)] == known.parent,
                    TreeSurvey.isSameName(
                        other.directories[Int(directory.parent)].names, directory.nameStart,
                        survey.directories[Int(known.parent)].names, known.nameStart)
                else { return nil }
            }
            places.append(place)
        }
        return places
    }

    private func hasSameLinks(_ other: TreeSurvey, places: [Int32]) -> Bool {
        struct Place: Hashable {
            let directory: Int32
            let name: [UInt8]
        }
        var known: [Place: TreeSurvey.Link] = [:]
        for link in survey.links {
            let name = survey.name(inDirectory: link.directory, at: link.nameStart).bytes
            known[Place(directory: link.directory, name: name)] = link
        }
        return other.links.allSatisfy { link in
            let name = other.name(inDirectory: link.directory, at: link.nameStart).bytes
            let same = known[Place(directory: places[Int(link.directory)], name: name)]
            return same?.target == link.target && same?.modified == link.modified
        }
    }
}

/// Finds entries by inode: a table with open addressing, of four bytes a place.
private struct InodeTable: Sendable {
    private var places: [Int32]
    private let mask: Int

    init(_ cache: StatCache) {
        var size = 16
        while size < cache.count * 2 { size *= 2 }
        places = Array(repeating: -1, count: size)
        mask = size - 1
        for index in 0..<cache.count {
            var place = Self.hash(cache.inode(index)) & mask
            while places[place] >= 0 { place = (place + 1) & mask }
            places[place] = Int32(index)
        }
    }

    func index(of inode: UInt64, device: UInt64, in cache: StatCache) -> Int? {
        var place = Self.hash(inode) & mask
        while places[place] >= 0 {
            let index = Int(places[place])
            if cache.inode(index) == inode, cache.device(index) == device { return index }
            place = (place + 1) & mask
        }
        return nil
    }

    private static func hash(_ inode: UInt64) -> Int { Int(truncatingIfNeeded: inode &* 0x9E37_79B9_7F4A_7C15 >> 20) }
}

/// How many attributes of a file a capture dropped, by kind; 255 stands for more as well.
struct FileDrops: Sendable, Hashable {
    var overlay: UInt8 = 0
    var other: UInt8 = 0
    var notStored: UInt8 = 0

    /// What was dropped between two counts.
    init(before: CaptureNotes, after: CaptureNotes) {
        overlay = UInt8(clamping: after.count(.overlayAttribute) - before.count(.overlayAttribute))
        other = UInt8(clamping: after.count(.otherAttribute) - before.count(.otherAttribute))
        notStored = UInt8(clamping: after.count(.attributeNotStored) - before.count(.attributeNotStored))
    }

    init(overlay: UInt8 = 0, other: UInt8 = 0, notStored: UInt8 = 0) {
        self.overlay = overlay
        self.other = other
        self.notStored = notStored
    }

    /// Says again what was said when the file was read.
    func note(_ stamp: FileStamp, in notes: inout CaptureNotes, path: () -> [UInt8]) {
        if stamp.mode & 0o7000 != 0 { notes.add(.specialModeBits, path()) }
        guard self != FileDrops() else { return }
        for (count, kind) in [
            (overlay, CaptureNote.Kind.overlayAttribute), (other, .otherAttribute), (notStored, .attributeNotStored),
        ] {
            for _ in 0..<count { notes.add(kind, path()) }
        }
    }
}

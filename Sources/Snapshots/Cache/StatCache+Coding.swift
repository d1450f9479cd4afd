import Crypto
import LinuxSystem

/// The file of a cache: a line that names the format, the SHA-256 of the rest, and the rest, with numbers least
/// significant byte first. Entries come last and are all of one size.
///
/// A file that is not exactly what was written is no cache.
extension StatCache {
    static let header = Array("cloche-stat-cache 2\n".utf8)
    static let digestSize = 32
    /// Bytes of an entry.
    static let entrySize = 104
    /// The largest file, in bytes, that is written or read.
    static let sizeLimit = 512 << 20

    /// Reads a file's content; nil for anything but a whole cache.
    init?(encoded bytes: [UInt8]) {
        let start = Self.header.count
        guard bytes.count <= Self.sizeLimit, bytes.count > start + Self.digestSize, bytes.starts(with: Self.header),
            bytes[start..<(start + Self.digestSize)].elementsEqual(Self.digest(bytes))
        else { return nil }
        var reader = ByteReader(bytes, at: start + Self.digestSize)
        key = Key(device: reader.number(), inode: reader.number())
        guard let identity = SnapshotIdentity(String(decoding: reader.take(64), as: UTF8.self)),
            let survey = reader.survey(), let attributes = reader.attributeTable(),
            (bytes.count - reader.offset) % Self.entrySize == 0
        else { return nil }
        snapshot = identity
        self.survey = survey
        self.attributes = attributes
        self.bytes = bytes
        entriesStart = reader.offset
        count = (bytes.count - reader.offset) / Self.entrySize
        for index in 0..<count where !Self.isName(nameStart(index), in: directory(index), of: survey) { return nil }
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        bytes.withUnsafeBytes {
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[(header.count + digestSize)...]))
        }
        return Array(hash.finalize())
    }

    static func isName(_ start: Int32, in directory: Int32, of survey: TreeSurvey) -> Bool {
        guard survey.directories.indices.contains(Int(directory)) else { return false }
        let names = survey.directories[Int(directory)].names
        return names.indices.contains(Int(start)) && names[Int(start)] != 0
            && (start == 0 || names[Int(start) - 1] == 0)
    }

    // MARK: Entries where they lie

    private func number<Number: FixedWidthInteger>(_ index: Int, _ offset: Int) -> Number {
        precondition(index >= 0 && index < count, "there is such an entry")
        let place = entriesStart + index * Self.entrySize + offset
        return Number(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Number.self) })
    }

    func inode(_ index: Int) -> UInt64 { number(index, 0) }
    func device(_ index: Int) -> UInt64 { number(index, 8) }
    func directory(_ index: Int) -> Int32 { number(index, 60) }
    func nameStart(_ index: Int) -> Int32 { number(index, 64) }
    func isSettled(_ index: Int) -> Bool { number(index, 52) as UInt8 == 1 }
    func drops(_ index: Int) -> FileDrops {
        FileDrops(overlay: number(index, 53), other: number(index, 54), notStored: number(index, 55))
    }
    func stamp(_ index: Int) -> FileStamp {
        FileStamp(
            device: device(index), inode: inode(index), size: number(index, 16),
            modified: FileTime(seconds: number(index, 24), nanoseconds: Int64(number(index, 32) as UInt32)),
            changed: FileTime(seconds: number(index, 36), nanoseconds: Int64(number(index, 44) as UInt32)),
            mode: number(index, 48))
    }

    /// What is known of a file.
    subscript(index: Int) -> Entry {
        Entry(
            directory: directory(index), nameStart: nameStart(index), isSettled: isSettled(index),
            drops: drops(index), stamp: stamp(index),
            digest: ContentDigest(words: (number(index, 72), number(index, 80), number(index, 88), number(index, 96))),
            attributes: attributes[Int32(index)] ?? [])
    }
}

/// Writes the file of a cache piece by piece.
struct StatCacheWriter {
    private static let pieceSize = 256 << 10

    let key: StatCache.Key
    let snapshot: SnapshotIdentity
    let survey: TreeSurvey

    /// Writes everything behind the digest, and gives the digest.
    func write<Failure>(
        _ entries: some Sequence<StatCache.Entry>, to sink: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> [UInt8] {
        var hash = SHA256()
        var writer = ByteWriter()
        func flush() throws(Failure) {
            writer.bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
            try sink(writer.bytes)
            writer.bytes.removeAll(keepingCapacity: true)
        }
        writer.append(key.device)
        writer.append(key.inode)
        writer.bytes += snapshot.description.utf8
        writer.append(UInt32(survey.directories.count))
        for directory in survey.directories {
            writer.append(directory)
            if writer.bytes.count > Self.pieceSize { try flush() }
        }
        writer.append(UInt32(survey.links.count))
        for link in survey.links {
            writer.append(link)
            if writer.bytes.count > Self.pieceSize { try flush() }
        }
        var index: UInt32 = 0
        for entry in entries {
            if !entry.attributes.isEmpty {
                writer.append(index)
                writer.append(entry.attributes)
            }
            index += 1
            if writer.bytes.count > Self.pieceSize { try flush() }
        }
        writer.append(UInt32.max)
        for entry in entries {
            writer.append(entry)
            if writer.bytes.count > Self.pieceSize { try flush() }
        }
        try flush()
        return Array(hash.finalize())
    }
}

private struct ByteWriter {
    var bytes: [UInt8] = []

    mutating func append(_ number: some FixedWidthInteger) {
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func append(_ time: FileTime) {
        append(time.seconds)
        append(UInt32(truncatingIfNeeded: time.nanoseconds))
    }

    mutating func append(_ counted: [UInt8]) {
        append(UInt32(counted.count))
        bytes += counted
    }

    mutating func append(_ attributes: [ExtendedAttribute]) {
        append(UInt32(attributes.count))
        for attribute in attributes {
            append(attribute.name)
            append(attribute.value)
        }
    }

    mutating func append(_ directory: TreeSurvey.Directory) {
        append(directory.parent)
        append(directory.nameStart)
        append(directory.pathLength)
        append(directory.key.device)
        append(directory.key.inode)
        append(directory.mode)
        append(directory.modified)
        append(directory.changed)
        bytes.append(directory.isSettled ? 1 : 0)
        append(directory.attributes)
        append(directory.names)
    }

    mutating func append(_ link: TreeSurvey.Link) {
        append(link.directory)
        append(link.nameStart)
        append(link.modified)
        append(link.target)
    }

    mutating func append(_ entry: StatCache.Entry) {
        append(entry.stamp.inode)
        append(entry.stamp.device)
        append(entry.stamp.size)
        append(entry.stamp.modified)
        append(entry.stamp.changed)
        append(entry.stamp.mode)
        bytes += [entry.isSettled ? 1 : 0, entry.drops.overlay, entry.drops.other, entry.drops.notStored]
        append(UInt32(0))
        append(entry.directory)
        append(entry.nameStart)
        append(UInt32(0))
        let words = entry.digest.words
        for word in [words.0, words.1, words.2, words.3] { append(word) }
    }
}

/// Reads numbers and bytes; beyond the end there are zeros, and ``isInside`` is false.
private struct ByteReader {
    private let bytes: [UInt8]
    private(set) var offset: Int
    private(set) var isInside = true

    init(_ bytes: [UInt8], at offset: Int) {
        self.bytes = bytes
        self.offset = offset
    }

    mutating func take(_ count: Int) -> ArraySlice<UInt8> {
        guard count <= bytes.count - offset else {
            isInside = false
            offset = bytes.count
            return []
        }
        defer { offset += count }
        return bytes[offset..<(offset + count)]
    }

    mutating func number<Number: FixedWidthInteger>() -> Number {
        let size = Number.bitWidth / 8
        guard size <= bytes.count - offset else {
            isInside = false
            return 0
        }
        defer { offset += size }
        return Number(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) })
    }

    mutating func time() -> FileTime {
        let seconds: Int64 = number()
        let nanoseconds: UInt32 = number()
        return FileTime(seconds: seconds, nanoseconds: Int64(nanoseconds))
    }

    mutating func bytesWithCount() -> [UInt8] {
        let count: UInt32 = number()
        return Array(take(Int(count)))
    }

    mutating func attributes() -> [ExtendedAttribute] {
        let count: UInt32 = number()
        var attributes: [ExtendedAttribute] = []
        for _ in 0..<count {
            attributes.append(ExtendedAttribute(name: bytesWithCount(), value: bytesWithCount()))
            guard isInside else { break }
        }
        return attributes
    }

    /// Directories, each named by one that came before it, and links.
    mutating func survey() -> TreeSurvey? {
        var survey = TreeSurvey()
        let directories: UInt32 = number()
        guard directories > 0 else { return nil }
        for index in 0..<Int32(bitPattern: directories) {
            var directory = TreeSurvey.Directory(parent: number(), nameStart: number(), pathLength: number())
            directory.key = .init(device: number(), inode: number())
            directory.mode = number()
            directory.modified = time()
            directory.changed = time()
            directory.isSettled = (number() as UInt8) == 1
            directory.attributes = attributes()
            directory.names = bytesWithCount()
            let isNamed =
                index == 0
                ? directory.parent == -1 : StatCache.isName(directory.nameStart, in: directory.parent, of: survey)
            guard isInside, isNamed, directory.names.isEmpty || directory.names.last == 0 else { return nil }
            survey.directories.append(directory)
        }
        let links: UInt32 = number()
        for _ in 0..<links {
            let (directory, nameStart): (Int32, Int32) = (number(), number())
            let modified = time()
            let target = bytesWithCount()
            guard isInside, StatCache.isName(nameStart, in: directory, of: survey) else { return nil }
            survey.links.append(.init(directory: directory, nameStart: nameStart, target: target, modified: modified))
        }
        return survey
    }

    /// Attributes by the number of the entry that has them.
    mutating func attributeTable() -> [Int32: [ExtendedAttribute]]? {
        var table: [Int32: [ExtendedAttribute]] = [:]
        while true {
            let index: UInt32 = number()
            guard isInside else { return nil }
            if index == .max { return table }
            table[Int32(bitPattern: index)] = attributes()
        }
    }
}

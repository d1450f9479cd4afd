import Crypto
import LinuxSystem

/// The file of a cache: a line that names the format, the SHA-256 of the rest, and the rest, with numbers least
/// significant byte first.
///
/// A file that is not exactly what was written is no cache.
extension StatCache {
    private static let header = Array("cloche-stat-cache 1\n".utf8)
    private static let digestSize = 32
    /// The largest file, in bytes, that is written or read.
    static let sizeLimit = 512 << 20

    /// The file's content; nil when it would be too large.
    var encoded: [UInt8]? {
        var writer = ByteWriter()
        writer.bytes.reserveCapacity(entries.count * 136 + survey.directories.reduce(4096) { $0 + $1.names.count + 24 })
        writer.bytes = Self.header + [UInt8](repeating: 0, count: Self.digestSize)
        writer.append(key.device)
        writer.append(key.inode)
        writer.bytes += Array(snapshot.description.utf8)
        writer.append(UInt32(survey.directories.count))
        for directory in survey.directories {
            writer.append(UInt32(bitPattern: directory.parent))
            writer.append(UInt32(bitPattern: directory.nameStart))
            writer.append(UInt32(bitPattern: directory.pathLength))
            writer.append(directory.key.device)
            writer.append(directory.key.inode)
            writer.append(directory.mode)
            writer.append(directory.modified)
            writer.append(directory.attributes)
            writer.append(directory.names)
        }
        writer.append(UInt32(survey.links.count))
        for link in survey.links {
            writer.append(link.directory)
            writer.append(link.nameStart)
            writer.append(link.modified)
            writer.append(link.target)
        }
        writer.append(UInt32(entries.count))
        for entry in entries { writer.append(entry) }
        guard writer.bytes.count <= Self.sizeLimit else { return nil }
        let start = Self.header.count
        writer.bytes.replaceSubrange(start..<(start + Self.digestSize), with: Self.digest(writer.bytes))
        return writer.bytes
    }

    /// Reads a file's content; nil for anything but a whole cache.
    init?(encoded bytes: [UInt8]) {
        let start = Self.header.count
        guard bytes.count <= Self.sizeLimit, bytes.count > start + Self.digestSize, bytes.starts(with: Self.header),
            bytes[start..<(start + Self.digestSize)].elementsEqual(Self.digest(bytes))
        else { return nil }
        var reader = ByteReader(bytes, at: start + Self.digestSize)
        let key = Key(device: reader.number(), inode: reader.number())
        guard let snapshot = SnapshotIdentity(String(decoding: reader.take(64), as: UTF8.self)) else { return nil }
        var survey = TreeSurvey()
        let directories: UInt32 = reader.number()
        // Each takes more bytes than one, so a false count cannot reserve more than the file's size.
        guard directories > 0, Int(directories) < bytes.count else { return nil }
        for index in 0..<Int32(directories) {
            var directory = TreeSurvey.Directory(
                parent: reader.signed(), nameStart: reader.signed(), pathLength: reader.signed())
            directory.key = .init(device: reader.number(), inode: reader.number())
            directory.mode = reader.number()
            directory.modified = reader.time()
            directory.attributes = reader.attributes()
            directory.names = reader.bytesWithCount()
            guard reader.isInside, Self.isSound(directory, index: index, in: survey) else { return nil }
            survey.directories.append(directory)
        }
        let links: UInt32 = reader.number()
        for _ in 0..<links {
            let (directory, nameStart): (Int32, Int32) = (reader.signed(), reader.signed())
            let modified = reader.time()
            let target = reader.bytesWithCount()
            guard reader.isInside, Self.isName(nameStart, in: directory, of: survey) else { return nil }
            survey.links.append(.init(directory: directory, nameStart: nameStart, target: target, modified: modified))
        }
        let count: UInt32 = reader.number()
        guard Int(count) < bytes.count else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let entry = reader.entry(), Self.isName(entry.nameStart, in: entry.directory, of: survey)
            else { return nil }
            entries.append(entry)
        }
        guard reader.isAtEnd else { return nil }
        self.init(key: key, snapshot: snapshot, survey: survey, entries: entries)
    }

    /// Whether a directory is named by one that came before it.
    private static func isSound(_ directory: TreeSurvey.Directory, index: Int32, in survey: TreeSurvey) -> Bool {
        guard directory.names.isEmpty || directory.names.last == 0 else { return false }
        if index == 0 { return directory.parent == -1 }
        return isName(directory.nameStart, in: directory.parent, of: survey)
    }

    private static func isName(_ start: Int32, in directory: Int32, of survey: TreeSurvey) -> Bool {
        guard survey.directories.indices.contains(Int(directory)) else { return false }
        let names = survey.directories[Int(directory)].names
        return names.indices.contains(Int(start)) && names[Int(start)] != 0
            && (start == 0 || names[Int(start) - 1] == 0)
    }

    private static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        bytes.withUnsafeBytes {
            hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[(header.count + digestSize)...]))
        }
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

    mutating func append(_ entry: StatCache.Entry) {
        append(entry.directory)
        append(entry.nameStart)
        append(entry.stamp.device)
        append(entry.stamp.inode)
        append(entry.stamp.size)
        append(entry.stamp.modified)
        append(entry.stamp.changed)
        append(entry.stamp.mode)
        bytes += [entry.isSettled ? 1 : 0, entry.drops.overlay, entry.drops.other, entry.drops.notStored]
        let words = entry.digest.words
        for word in [words.0, words.1, words.2, words.3] { append(word) }
        append(entry.attributes)
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
}

/// Reads numbers and bytes; beyond the end there are zeros, and ``isInside`` is false.
private struct ByteReader {
    private let bytes: [UInt8]
    private var offset: Int
    private(set) var isInside = true

    init(_ bytes: [UInt8], at offset: Int) {
        self.bytes = bytes
        self.offset = offset
    }

    var isAtEnd: Bool { isInside && offset == bytes.count }

    mutating func take(_ count: Int) -> ArraySlice<UInt8> {
        guard count <= bytes.count - offset else {
            isInside = false
            offset = bytes.count
            return []
        }
        defer { offset += count }
        return bytes[offset..<(offset + count)]
    }

    mutating func number<Number: FixedWidthInteger & UnsignedInteger>() -> Number {
        let size = Number.bitWidth / 8
        guard size <= bytes.count - offset else {
            isInside = false
            return 0
        }
        defer { offset += size }
        return Number(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) })
    }

    mutating func signed() -> Int32 { Int32(bitPattern: number()) }

    mutating func signed() -> Int64 { Int64(bitPattern: number()) }

    mutating func time() -> FileTime {
        let seconds: Int64 = signed()
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

    mutating func entry() -> StatCache.Entry? {
        let (directory, nameStart): (Int32, Int32) = (signed(), signed())
        let stamp = FileStamp(
            device: number(), inode: number(), size: signed(), modified: time(), changed: time(), mode: number())
        let flags: UInt32 = number()
        let digest: (UInt64, UInt64, UInt64, UInt64) = (number(), number(), number(), number())
        let attributes = attributes()
        guard isInside else { return nil }
        return StatCache.Entry(
            directory: directory, nameStart: nameStart, isSettled: flags & 0xFF == 1,
            drops: FileDrops(
                overlay: UInt8(truncatingIfNeeded: flags >> 8), other: UInt8(truncatingIfNeeded: flags >> 16),
                notStored: UInt8(truncatingIfNeeded: flags >> 24)), stamp: stamp,
            digest: ContentDigest(words: digest), attributes: attributes)
    }
}

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
            writer.append(UInt32(directory.names.count))
            writer.bytes += directory.names
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
            let count: UInt32 = reader.number()
            directory.names = Array(reader.take(Int(count)))
            guard reader.isInside, Self.isSound(directory, index: index, in: survey) else { return nil }
            survey.directories.append(directory)
        }
        let count: UInt32 = reader.number()
        guard Int(count) < bytes.count else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let entry = reader.entry(), survey.directories.indices.contains(Int(entry.directory)),
                Self.isName(entry.nameStart, in: survey.directories[Int(entry.directory)].names)
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
        return (0..<index).contains(directory.parent)
            && isName(directory.nameStart, in: survey.directories[Int(directory.parent)].names)
    }

    private static func isName(_ start: Int32, in names: [UInt8]) -> Bool {
        names.indices.contains(Int(start)) && names[Int(start)] != 0 && (start == 0 || names[Int(start) - 1] == 0)
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
        bytes += entry.digest.bytes
        append(UInt32(entry.attributes.count))
        for attribute in entry.attributes {
            append(UInt32(attribute.name.count))
            bytes += attribute.name
            append(UInt32(attribute.value.count))
            bytes += attribute.value
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
        var number: Number = 0
        for index in 0..<size { number |= Number(bytes[offset + index]) << Number(index * 8) }
        offset += size
        return number
    }

    mutating func signed() -> Int32 { Int32(bitPattern: number()) }

    mutating func signed() -> Int64 { Int64(bitPattern: number()) }

    mutating func time() -> FileTime {
        let seconds: Int64 = signed()
        let nanoseconds: UInt32 = number()
        return FileTime(seconds: seconds, nanoseconds: Int64(nanoseconds))
    }

    mutating func entry() -> StatCache.Entry? {
        let (directory, nameStart): (Int32, Int32) = (signed(), signed())
        let stamp = FileStamp(
            device: number(), inode: number(), size: signed(), modified: time(), changed: time(), mode: number())
        let flags = Array(take(4))
        let digest = take(32)
        let count: UInt32 = number()
        guard isInside, Int(count) < bytes.count else { return nil }
        var attributes: [ExtendedAttribute] = []
        for _ in 0..<count {
            let nameSize: UInt32 = number()
            let name = Array(take(Int(nameSize)))
            let valueSize: UInt32 = number()
            attributes.append(ExtendedAttribute(name: name, value: Array(take(Int(valueSize)))))
            guard isInside else { return nil }
        }
        return StatCache.Entry(
            directory: directory, nameStart: nameStart, isSettled: flags[0] == 1,
            drops: FileDrops(overlay: flags[1], other: flags[2], notStored: flags[3]), stamp: stamp,
            digest: ContentDigest(bytes: digest), attributes: attributes)
    }
}

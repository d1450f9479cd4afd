import LinuxSystem

/// The header blocks of one entry of a tar archive, in the pax interchange format (POSIX.1-2001, pax(1)).
///
/// What the old header has no room for is in a record before it: long paths, times with fractions, sizes from 8 GiB on,
/// extended attributes as `SCHILY.xattr.` and holes as `GNU.sparse.`, version 1.0, all of which GNU tar and libarchive
/// read. Paths are the bytes that they are. Owners are 0: a snapshot has none.
struct TarHeader {
    /// What an entry is, as its type flag.
    enum Kind: UInt8 {
        case file = 0x30
        case hardLink = 0x31
        case symbolicLink = 0x32
        case directory = 0x35
        case extended = 0x78
    }

    static let blockSize = 512
    private static let largestOctal: Int64 = 0o77_777_777_777

    let kind: Kind
    let path: [UInt8]
    var target: [UInt8] = []
    var mode: UInt32 = 0
    var modified = FileTime(seconds: 0, nanoseconds: 0)
    /// Bytes of content that follow in the archive.
    var size: Int64 = 0
    /// The size of a sparse file with its holes; nil for other entries.
    var sparseSize: Int64?
    var attributes: [ExtendedAttribute] = []

    init(_ kind: Kind, _ path: [UInt8]) {
        self.kind = kind
        self.path = path
    }

    /// All blocks before the content.
    var blocks: [UInt8] {
        let records = records
        var bytes: [UInt8] = []
        if !records.isEmpty {
            var extended = TarHeader(.extended, Array("PaxHeaders/".utf8) + path.suffix(80))
            extended.mode = 0o600
            extended.size = Int64(records.count)
            bytes += extended.block + records + Self.padding(after: records.count)
        }
        return bytes + block
    }

    /// Zeros that fill the last block of content.
    static func padding(after size: Int) -> [UInt8] {
        [UInt8](repeating: 0, count: (blockSize - size % blockSize) % blockSize)
    }

    private var records: [UInt8] {
        guard kind != .extended else { return [] }
        var records: [UInt8] = []
        if let sparseSize {
            Self.append("GNU.sparse.major", Array("1".utf8), to: &records)
            Self.append("GNU.sparse.minor", Array("0".utf8), to: &records)
            Self.append("GNU.sparse.name", path, to: &records)
            Self.append("GNU.sparse.realsize", Array(String(sparseSize).utf8), to: &records)
        } else if path.count > 100 {
            Self.append("path", path, to: &records)
        }
        if target.count > 100 { Self.append("linkpath", target, to: &records) }
        if size > Self.largestOctal { Self.append("size", Array(String(size).utf8), to: &records) }
        if kind != .hardLink, modified.nanoseconds != 0 || !(0...Self.largestOctal).contains(modified.seconds) {
            Self.append("mtime", Self.decimal(modified), to: &records)
        }
        for attribute in attributes {
            var name: [UInt8] = []
            for byte in attribute.name {
                switch byte {
                case UInt8(ascii: "%"): name += "%25".utf8
                case UInt8(ascii: "="): name += "%3D".utf8
                default: name.append(byte)
                }
            }
            Self.append(Array("SCHILY.xattr.".utf8) + name, attribute.value, to: &records)
        }
        return records
    }

    private static func append(_ keyword: String, _ value: [UInt8], to records: inout [UInt8]) {
        append(Array(keyword.utf8), value, to: &records)
    }

    /// `LENGTH KEYWORD=VALUE` and a line break; the length counts itself.
    private static func append(_ keyword: [UInt8], _ value: [UInt8], to records: inout [UInt8]) {
        let rest = keyword.count + value.count + 3
        var length = rest + String(rest).utf8.count
        if rest + String(length).utf8.count != length { length = rest + String(length).utf8.count }
        records += String(length).utf8
        records.append(UInt8(ascii: " "))
        records += keyword
        records.append(UInt8(ascii: "="))
        records += value
        records.append(UInt8(ascii: "\n"))
    }

    /// A time as a decimal fraction; before 1970 the whole of it is negative.
    private static func decimal(_ time: FileTime) -> [UInt8] {
        var seconds = time.seconds
        var nanoseconds = time.nanoseconds
        let isNegative = seconds < 0
        if isNegative {
            (seconds, nanoseconds) = nanoseconds == 0 ? (seconds, 0) : (seconds + 1, 1_000_000_000 - nanoseconds)
        }
        let digits = String(nanoseconds)
        let fraction = String(repeating: "0", count: 9 - digits.utf8.count) + digits
        return Array("\(isNegative ? "-" : "")\(seconds.magnitude).\(fraction)".utf8)
    }

    private var block: [UInt8] {
        var block = [UInt8](repeating: 0, count: Self.blockSize)
        func put(_ bytes: some Collection<UInt8>, at offset: Int, limit: Int) {
            block.replaceSubrange(offset..<(offset + min(bytes.count, limit)), with: bytes.prefix(limit))
        }
        func put(octal number: Int64, at offset: Int, digits: Int) {
            let text = String(max(0, min(number, Int64(1) << Int64(digits * 3) - 1)), radix: 8)
            put(Array((String(repeating: "0", count: digits - text.utf8.count) + text).utf8), at: offset, limit: digits)
        }
        let name = sparseSize == nil ? path : Array("GNUSparseFile.0/".utf8) + path.suffix(80)
        put(name, at: 0, limit: 100)
        put(octal: Int64(mode), at: 100, digits: 7)
        put(octal: 0, at: 108, digits: 7)
        put(octal: 0, at: 116, digits: 7)
        put(octal: size, at: 124, digits: 11)
        put(octal: modified.seconds, at: 136, digits: 11)
        block[156] = kind.rawValue
        put(target, at: 157, limit: 100)
        put("ustar\u{0}00".utf8, at: 257, limit: 8)
        put(octal: 0, at: 329, digits: 7)
        put(octal: 0, at: 337, digits: 7)
        // The sum counts its own field as blanks.
        let sum = block.reduce(Int64(8 * 0x20)) { $0 + Int64($1) }
        put(octal: sum, at: 148, digits: 6)
        block[155] = 0x20
        return block
    }
}

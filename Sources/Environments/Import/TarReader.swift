import LinuxSystem

/// Reads a tar archive entry by entry: ustar, GNU and pax, with long names and sparse files of every kind.
///
/// It believes nothing: lengths, maps and numbers are checked before they are used, headers are bounded, and what it
/// does not know ends the reading. Names are given as they are stored; what may be made of them is for the caller.
struct TarReader {
    /// The largest name in a header of GNU's own, in bytes.
    private static let nameLimit = 64 << 10
    /// The most headers in front of one entry.
    private static let extensionLimit = 16
    /// The most regions of one sparse file.
    private static let regionLimit = 1 << 18

    private var source: ByteSource
    /// Bytes of the current entry that are still to come, and the padding behind them.
    private var left: Int64 = 0, padding: Int64 = 0
    private var current: [UInt8] = []
    /// Whether an archive may end without the two empty blocks: where its digest tells that nothing is missing.
    private let allowsMissingEnd: Bool

    init(_ source: ByteSource, allowsMissingEnd: Bool = false) {
        self.source = source
        self.allowsMissingEnd = allowsMissingEnd
    }

    /// Where the next bytes come from.
    var position: Int64 { source.position }

    /// The next entry; nil at the end.
    mutating func next() throws(ArchiveError) -> TarEntry? {
        var pax = PaxRecords()
        var longName: [UInt8]?, longTarget: [UInt8]?
        for _ in 0..<Self.extensionLimit {
            try skipRest()
            guard let header = try header(mayEnd: pax.isEmpty && longName == nil && longTarget == nil) else {
                return nil
            }
            let size = try header.storedSize()
            begin(size, header.name)
            switch header.type {
            case UInt8(ascii: "x"), UInt8(ascii: "X"): try pax.add(try content(PaxRecords.limit))
            case UInt8(ascii: "g"): try checkGlobal(try content(PaxRecords.limit))
            case UInt8(ascii: "L"): longName = try gnuName()
            case UInt8(ascii: "K"): longTarget = try gnuName()
            // The label of a tape.
            case UInt8(ascii: "V"): _ = try content(PaxRecords.limit)
            default: return try entry(header, size, pax, longName, longTarget)
            }
        }
        throw ArchiveError(.refused, "an entry has more than \(Self.extensionLimit) headers")
    }

    /// Gives stored bytes of the current entry to `body`; none when there are no more.
    mutating func read(
        upTo count: Int64, _ body: ([UInt8], Range<Int>) throws(ArchiveError) -> Void
    ) throws(ArchiveError) -> Int64 {
        let wanted = Int(min(count, left, 1 << 20))
        if wanted == 0 { return 0 }
        let length = try source.take(upTo: wanted, body)
        guard length > 0 else { throw cutOff() }
        left -= Int64(length)
        return Int64(length)
    }

    /// All of the current entry's stored bytes.
    mutating func content(_ limit: Int) throws(ArchiveError) -> [UInt8] {
        guard left <= Int64(limit) else {
            throw ArchiveError(.refused, "`\(shown(current))` has \(left) bytes where at most \(limit) are read")
        }
        let bytes = try source.bytes(Int(left))
        guard Int64(bytes.count) == left else { throw cutOff() }
        left = 0
        return bytes
    }

    /// Reads a part of what comes behind the archive's end; false when there is no more.
    mutating func drain() throws(ArchiveError) -> Bool { try source.skip(16 << 20) > 0 }

    private mutating func begin(_ size: Int64, _ name: [UInt8]) {
        left = size
        padding = (512 - size % 512) % 512
        current = name
    }

    private mutating func skipRest() throws(ArchiveError) {
        guard try source.skip(left) == left else { throw cutOff() }
        left = 0
        // Some writers of layers leave out the padding of the last file along with the end.
        guard try source.skip(padding) == padding || allowsMissingEnd else { throw cutOff() }
        padding = 0
    }

    private func cutOff() -> ArchiveError {
        ArchiveError(.malformed, "the archive is cut off in `\(shown(current))`, at byte \(source.position)")
    }

    private mutating func header(mayEnd: Bool) throws(ArchiveError) -> TarHeader? {
        let offset = source.position
        let block = try source.bytes(TarHeader.size)
        if block.isEmpty, mayEnd, allowsMissingEnd { return nil }
        guard block.count == TarHeader.size else {
            let what = offset == 0 ? "no tar archive: it has only \(block.count) bytes" : "the archive is cut off"
            throw ArchiveError(.malformed, offset == 0 ? what : "\(what) at byte \(source.position)")
        }
        if TarHeader.isEnd(block) {
            guard mayEnd else { throw ArchiveError(.malformed, "the archive ends behind the header of an entry") }
            return nil
        }
        return try TarHeader(block, at: offset)
    }

    private mutating func gnuName() throws(ArchiveError) -> [UInt8] {
        Array(try content(Self.nameLimit).prefix { $0 != 0 })
    }

    /// A header for all entries may carry a comment, as git's archives do; names and sizes for all make no sense.
    private func checkGlobal(_ bytes: [UInt8]) throws(ArchiveError) {
        var records = PaxRecords()
        try records.add(bytes)
        let refused = ["path", "linkpath", "size"].filter { records[$0] != nil }
        guard refused.isEmpty, records.sparseNumbers.isEmpty, records.attributes.isEmpty else {
            throw ArchiveError(.refused, "a global pax header sets names, sizes or attributes of all entries")
        }
    }

    private mutating func entry(
        _ header: TarHeader, _ size: Int64, _ pax: PaxRecords, _ longName: [UInt8]?, _ longTarget: [UInt8]?
    ) throws(ArchiveError) -> TarEntry {
        let names = (try pax.name("GNU.sparse.name"), try pax.name("path"), try pax.name("linkpath"))
        let name = names.0 ?? names.1 ?? longName ?? header.name
        // As for the tools that write images, only files have content, whatever the header of a link claims.
        let kind = try kind(header.type, name)
        let paxSize = try pax.number("size")
        let stored = kind == .file ? paxSize ?? size : 0
        begin(stored, name)
        let owner = (try pax.number("uid"), try pax.number("gid"), try header.user(), try header.group())
        let time = (try pax.time(), FileTime(seconds: try header.modified(), nanoseconds: 0))
        var entry = TarEntry(
            kind: kind, name: name,
            target: names.2 ?? longTarget ?? header.linkName, mode: header.mode,
            user: owner.0 ?? owner.2, group: owner.1 ?? owner.3, modified: time.0 ?? time.1, size: stored, regions: nil,
            attributes: pax.attributes, hasForeignAttributes: pax.hasForeignAttributes)
        if header.type == UInt8(ascii: "S") {
            try readOldSparse(header, &entry)
        } else {
            try readSparse(pax, &entry)
        }
        if let regions = entry.regions { try check(regions, entry) }
        return entry
    }

    private func kind(_ type: UInt8, _ name: [UInt8]) throws(ArchiveError) -> TarEntry.Kind {
        switch type {
        // Before POSIX a directory was a file whose name ends in a slash.
        case 0, UInt8(ascii: "0"), UInt8(ascii: "7"): name.last == UInt8(ascii: "/") ? .directory : .file
        case UInt8(ascii: "S"): .file
        case UInt8(ascii: "1"): .hardLink
        case UInt8(ascii: "2"): .symbolicLink
        case UInt8(ascii: "3"), UInt8(ascii: "4"): .device
        case UInt8(ascii: "5"): .directory
        case UInt8(ascii: "6"): .fifo
        default:
            throw ArchiveError(.malformed, "`\(shown(name))` is of a type that is not known: \(type)")
        }
    }
}

extension TarReader {
    /// GNU's old format: the map is in the header and in blocks behind it, which do not count as content.
    private mutating func readOldSparse(_ header: TarHeader, _ entry: inout TarEntry) throws(ArchiveError) {
        var (regions, isExtended, size) = try header.sparse()
        while isExtended {
            let block = try source.bytes(TarHeader.size)
            guard block.count == TarHeader.size else { throw cutOff() }
            let more = try TarHeader.sparseExtension(block)
            regions += more.regions
            isExtended = more.isExtended
            guard regions.count <= Self.regionLimit else { throw tooManyRegions(entry) }
        }
        entry.regions = regions
        entry.size = size
    }

    /// The three forms that pax headers have for sparse files: 0.0, 0.1 and 1.0.
    private mutating func readSparse(_ pax: PaxRecords, _ entry: inout TarEntry) throws(ArchiveError) {
        var numbers: [Int64]
        if pax["GNU.sparse.major"] != nil {
            guard try pax.number("GNU.sparse.major") == 1, try pax.number("GNU.sparse.minor") == 0 else {
                throw ArchiveError(.malformed, "`\(shown(entry.name))` is sparse in a form that is not known")
            }
            numbers = try sparseMap(entry)
        } else if let map = pax["GNU.sparse.map"] {
            numbers = []
            for part in map.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
                guard let number = decimal(part) else { throw badMap(entry) }
                numbers.append(number)
            }
        } else if pax["GNU.sparse.size"] != nil || !pax.sparseNumbers.isEmpty {
            numbers = pax.sparseNumbers
        } else {
            return
        }
        guard numbers.count.isMultiple(of: 2) else { throw badMap(entry) }
        guard numbers.count / 2 <= Self.regionLimit else { throw tooManyRegions(entry) }
        let sizes = (try pax.number("GNU.sparse.realsize"), try pax.number("GNU.sparse.size"))
        guard let size = sizes.0 ?? sizes.1 else { throw badMap(entry) }
        entry.size = size
        entry.regions = stride(from: 0, to: numbers.count, by: 2).map {
            SparseRegion(offset: numbers[$0], length: numbers[$0 + 1])
        }
    }

    /// Version 1.0: decimal lines in front of the content, the first of which counts the regions; padded to a block.
    private mutating func sparseMap(_ entry: TarEntry) throws(ArchiveError) -> [Int64] {
        var numbers: [Int64] = [], line: [UInt8] = []
        var count: Int64?
        while count.map({ Int64(numbers.count) < 2 * $0 }) ?? true {
            let wanted = Int(min(Int64(TarHeader.size), left))
            let block = try source.bytes(wanted)
            guard wanted > 0, block.count == wanted else { throw badMap(entry) }
            left -= Int64(wanted)
            for byte in block where count.map({ Int64(numbers.count) < 2 * $0 }) ?? true {
                guard byte == 0x0A else {
                    line.append(byte)
                    guard line.count < 20 else { throw badMap(entry) }
                    continue
                }
                guard let number = decimal(line[...]) else { throw badMap(entry) }
                line = []
                if count == nil {
                    guard number <= Int64(Self.regionLimit) else { throw tooManyRegions(entry) }
                    count = number
                } else {
                    numbers.append(number)
                }
            }
        }
        return numbers
    }

    private func check(_ regions: [SparseRegion], _ entry: TarEntry) throws(ArchiveError) {
        var end: Int64 = 0
        var sum: Int64 = 0
        for region in regions {
            let (next, overflow) = region.offset.addingReportingOverflow(region.length)
            guard region.length >= 0, region.offset >= end, !overflow, next <= entry.size else { throw badMap(entry) }
            end = next
            sum += region.length
        }
        guard sum == left else { throw badMap(entry) }
    }

    private func badMap(_ entry: TarEntry) -> ArchiveError {
        ArchiveError(.malformed, "the map of the sparse file `\(shown(entry.name))` does not fit its content")
    }

    private func tooManyRegions(_ entry: TarEntry) -> ArchiveError {
        ArchiveError(.refused, "the sparse file `\(shown(entry.name))` has more than \(Self.regionLimit) regions")
    }
}

/// One 512-byte header of a tar archive (POSIX ustar, GNU, or the format of version 7).
struct TarHeader {
    static let size = 512

    private let bytes: [UInt8]

    /// Takes a block whose checksum is right.
    init(_ bytes: [UInt8], at offset: Int64) throws(ArchiveError) {
        self.bytes = bytes
        let stored = try? Self.number(bytes[148..<156])
        var unsigned = 0, signed = 0
        for (index, byte) in bytes.enumerated() {
            let byte = (148..<156).contains(index) ? 0x20 : byte
            unsigned += Int(byte)
            // Old programs added bytes as signed ones.
            signed += Int(Int8(bitPattern: byte))
        }
        guard let stored, stored == Int64(unsigned) || stored == Int64(signed) else {
            throw ArchiveError(.malformed, "no tar archive: the header at byte \(offset) has a wrong checksum")
        }
    }

    static func isEnd(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 0 } }

    var type: UInt8 { bytes[156] }
    var name: [UInt8] {
        let name = text(0..<100)
        guard isPOSIX, bytes[345] != 0 else { return name }
        return text(345..<500) + [UInt8(ascii: "/")] + name
    }
    var linkName: [UInt8] { text(157..<257) }
    var mode: UInt32 { UInt32(truncatingIfNeeded: (try? Self.number(bytes[100..<108])) ?? 0) & 0o7777 }

    func user() throws(ArchiveError) -> Int64 { try number(108..<116, "owner") }
    func group() throws(ArchiveError) -> Int64 { try number(116..<124, "group") }
    func modified() throws(ArchiveError) -> Int64 { try number(136..<148, "time") }
    func storedSize() throws(ArchiveError) -> Int64 {
        let size = try number(124..<136, "size")
        guard size >= 0 else { throw ArchiveError(.malformed, "the size of `\(shown(name))` is negative") }
        return size
    }

    /// The regions that an old GNU header of a sparse file has room for, whether more blocks of them follow, and the
    /// size of the file.
    func sparse() throws(ArchiveError) -> (regions: [SparseRegion], isExtended: Bool, size: Int64) {
        let regions = try Self.regions(bytes[386..<482])
        return (regions, bytes[482] != 0, try number(483..<495, "size"))
    }

    /// The regions of one further block.
    static func sparseExtension(_ block: [UInt8]) throws(ArchiveError) -> (regions: [SparseRegion], isExtended: Bool) {
        (try regions(block[0..<504]), block[504] != 0)
    }

    private static func regions(_ bytes: ArraySlice<UInt8>) throws(ArchiveError) -> [SparseRegion] {
        var regions: [SparseRegion] = []
        var start = bytes.startIndex
        while start + 24 <= bytes.endIndex, bytes[start] != 0 {
            regions.append(
                SparseRegion(
                    offset: try number(bytes[start..<(start + 12)]),
                    length: try number(bytes[(start + 12)..<(start + 24)])))
            start += 24
        }
        return regions
    }

    /// The prefix is POSIX's; GNU's old format has other things in its place.
    private var isPOSIX: Bool { bytes[257..<263].elementsEqual(Array("ustar\0".utf8)) }

    private func text(_ range: Range<Int>) -> [UInt8] { Array(bytes[range].prefix { $0 != 0 }) }

    private func number(_ range: Range<Int>, _ what: String) throws(ArchiveError) -> Int64 {
        do throws(ArchiveError) {
            return try Self.number(bytes[range])
        } catch {
            throw ArchiveError(.malformed, "the \(what) of `\(shown(name))` is no number")
        }
    }

    /// Octal digits, or GNU's base 256 with the highest bit set.
    private static func number(_ field: ArraySlice<UInt8>) throws(ArchiveError) -> Int64 {
        let failure = ArchiveError(.malformed, "a field of a header is no number")
        guard let first = field.first else { throw failure }
        if first & 0x80 != 0 {
            var value: Int64 = first & 0x40 != 0 ? -1 : 0
            for (index, byte) in field.enumerated() {
                let byte = index == 0 ? (value < 0 ? byte | 0x80 : byte & 0x7F) : byte
                let (high, overflow) = value.multipliedReportingOverflow(by: 256)
                guard !overflow else { throw failure }
                value = high | Int64(byte)
            }
            return value
        }
        let digits = field.drop { $0 == 0x20 }.prefix { $0 != 0x20 && $0 != 0 }
        var value: Int64 = 0
        for digit in digits {
            guard (0x30...0x37).contains(digit), value < 1 << 59 else { throw failure }
            value = value << 3 | Int64(digit - 0x30)
        }
        return value
    }
}

/// A part of a sparse file that has content.
struct SparseRegion: Hashable {
    var offset: Int64, length: Int64
}

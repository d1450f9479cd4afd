import LinuxSystem

/// One entry of a tar archive, with everything that its headers say of it.
struct TarEntry {
    enum Kind: Hashable {
        case file, hardLink, symbolicLink, directory, device, fifo
    }

    var kind: Kind
    /// The name as it is stored.
    var name: [UInt8]
    /// What a link names.
    var target: [UInt8]
    /// Permission bits with setuid, setgid and sticky.
    var mode: UInt32
    var user: Int64, group: Int64
    var modified: FileTime
    /// Bytes of the file.
    var size: Int64
    /// Where the bytes in the archive belong; nil where they are the whole file.
    var regions: [SparseRegion]?
    /// Extended attributes.
    var attributes: [(name: [UInt8], value: [UInt8])] = []
    /// Attributes in a form that is not taken: access control lists, other programs' encodings.
    var hasForeignAttributes = false
}

/// What the records of a pax header say (pax(1), and the records of star and GNU tar).
struct PaxRecords {
    /// The largest header, in bytes.
    static let limit = 1 << 20

    private(set) var values: [[UInt8]: [UInt8]] = [:]
    private(set) var attributes: [(name: [UInt8], value: [UInt8])] = []
    private(set) var hasForeignAttributes = false
    /// `GNU.sparse.offset` and `GNU.sparse.numbytes` come in pairs, any number of times.
    private(set) var sparseNumbers: [Int64] = []

    var isEmpty: Bool { values.isEmpty && attributes.isEmpty && sparseNumbers.isEmpty }

    subscript(name: String) -> [UInt8]? { values[Array(name.utf8)] }

    /// Adds the records of a header: `LENGTH NAME=VALUE` and a line feed, each.
    mutating func add(_ bytes: [UInt8]) throws(ArchiveError) {
        let failure = ArchiveError(.malformed, "a pax header is not made of records")
        var rest = bytes[...]
        while !rest.isEmpty {
            // GNU tar pads with zeros.
            if rest.allSatisfy({ $0 == 0 }) { return }
            guard let blank = rest.prefix(20).firstIndex(of: 0x20), let length = decimal(rest[..<blank]),
                length > Int64(blank - rest.startIndex + 2), length <= Int64(rest.count)
            else { throw failure }
            let record = rest[(blank + 1)..<(rest.startIndex + Int(length))]
            guard record.last == 0x0A, let equals = record.firstIndex(of: UInt8(ascii: "=")) else { throw failure }
            try add(Array(record[..<equals]), Array(record[(equals + 1)...].dropLast()))
            rest = rest[(rest.startIndex + Int(length))...]
        }
    }

    private mutating func add(_ name: [UInt8], _ value: [UInt8]) throws(ArchiveError) {
        let attribute = Array("SCHILY.xattr.".utf8)
        if name.starts(with: attribute) {
            guard attributes.count < 256 else { throw ArchiveError(.refused, "an entry has more than 256 attributes") }
            attributes.append((Array(name.dropFirst(attribute.count)), value))
        } else if name.starts(with: "LIBARCHIVE.xattr.".utf8) || name.starts(with: "SCHILY.acl.".utf8)
            || name.starts(with: "RHT.security.".utf8)
        {
            hasForeignAttributes = true
        } else if name == Array("GNU.sparse.offset".utf8) || name == Array("GNU.sparse.numbytes".utf8) {
            guard let number = decimal(value[...]) else {
                throw ArchiveError(.malformed, "a sparse file's map is not made of numbers")
            }
            sparseNumbers.append(number)
        } else {
            values[name] = value
        }
    }

    /// The value of a key as a number; nil where the key is not there.
    func number(_ name: String) throws(ArchiveError) -> Int64? {
        guard let value = self[name] else { return nil }
        guard let number = decimal(value[...]) else {
            throw ArchiveError(.malformed, "`\(name)` in a pax header is no number")
        }
        return number
    }

    /// The value of a key as a name, without NUL.
    func name(_ key: String) throws(ArchiveError) -> [UInt8]? {
        guard let value = self[key] else { return nil }
        guard !value.contains(0) else {
            throw ArchiveError(.refused, "a name has a zero byte in it: `\(shown(value))`")
        }
        return value
    }

    /// The time of the last change: seconds, and a fraction of any length.
    func time() throws(ArchiveError) -> FileTime? {
        guard var value = self["mtime"]?[...] else { return nil }
        let isNegative = value.first == UInt8(ascii: "-")
        if isNegative { value = value.dropFirst() }
        let parts = value.split(separator: UInt8(ascii: "."), maxSplits: 1, omittingEmptySubsequences: false)
        guard let seconds = decimal(parts[0]), seconds < 1 << 40 else {
            throw ArchiveError(.malformed, "`mtime` in a pax header is no time")
        }
        var nanoseconds: Int64 = 0
        let digits = parts.count > 1 ? parts[1].prefix(9) : []
        for index in 0..<9 {
            let digit = index < digits.count ? digits[digits.startIndex + index] : 0x30
            guard (0x30...0x39).contains(digit) else {
                throw ArchiveError(.malformed, "`mtime` in a pax header is no time")
            }
            nanoseconds = nanoseconds * 10 + Int64(digit - 0x30)
        }
        if !isNegative { return FileTime(seconds: seconds, nanoseconds: nanoseconds) }
        return nanoseconds == 0
            ? FileTime(seconds: -seconds, nanoseconds: 0)
            : FileTime(seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds)
    }
}

/// A number in decimal digits; nil where it is none or does not fit.
func decimal(_ digits: ArraySlice<UInt8>) -> Int64? {
    guard !digits.isEmpty else { return nil }
    var value: Int64 = 0
    for digit in digits {
        guard (0x30...0x39).contains(digit) else { return nil }
        let (high, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) = high.addingReportingOverflow(Int64(digit - 0x30))
        guard !overflow, !carry else { return nil }
        value = sum
    }
    return value
}

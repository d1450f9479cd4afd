/// Reads the files of `/usr/share/zoneinfo` (TZif, RFC 8536).
enum TimeZoneFile {
    /// Why a file is not read.
    struct Malformed: Error {
        /// A lower-case fragment.
        let reason: String
    }

    static func rules(_ bytes: [UInt8]) throws(Malformed) -> TimeZoneRules {
        var reader = TimeZoneReader(bytes)
        var header = try reader.header()
        var width = 4
        if header.version >= UInt8(ascii: "2") {
            // The first block is for readers of 32-bit times.
            try reader.skip(header.size(width: 4))
            header = try reader.header()
            width = 8
        }
        guard header.leapSeconds == 0 else { throw Malformed(reason: "it counts leap seconds") }
        guard (1...256).contains(header.types), header.times <= 20_000 else {
            throw Malformed(reason: "its header is out of bounds")
        }
        var instants: [Int64] = []
        for _ in 0..<header.times { instants.append(try reader.integer(width)) }
        let kinds = try reader.bytes(header.times)
        var offsets: [Int64] = []
        for _ in 0..<header.types {
            let offset = try reader.integer(4)
            _ = try reader.bytes(2)
            guard (-90_000...93_600).contains(offset) else { throw Malformed(reason: "it has an impossible offset") }
            offsets.append(offset)
        }
        try reader.skip(header.characters + header.standards + header.universals)
        var changes: [TimeZoneRules.Change] = []
        for (instant, kind) in zip(instants, kinds) {
            guard Int(kind) < offsets.count, changes.last.map({ $0.instant < instant }) ?? true else {
                throw Malformed(reason: "its changes are not in order")
            }
            changes.append(.init(instant: instant, offset: offsets[Int(kind)]))
        }
        let footer = width == 8 ? try reader.footer() : []
        var lines = YearlyRuleReader(footer)
        let rule = footer.isEmpty ? nil : try lines.rule()
        return TimeZoneRules(changes: changes, first: offsets[0], later: rule)
    }
}

extension TimeZoneRules {
    /// The rules in a file of `/usr/share/zoneinfo`.
    package init(fileContent bytes: [UInt8]) throws(InvalidTimeZoneFile) {
        do throws(TimeZoneFile.Malformed) { self = try TimeZoneFile.rules(bytes) } catch {
            throw InvalidTimeZoneFile(reason: error.reason)
        }
    }
}

/// A file that does not hold the rules of a time zone.
package struct InvalidTimeZoneFile: Error, Sendable, Hashable {
    /// A lower-case fragment that fits after the name of the file.
    package let reason: String
}

/// Walks over the bytes of a file; nothing beyond its end is ever looked at.
private struct TimeZoneReader {
    struct Header {
        var version: UInt8
        var universals = 0, standards = 0, leapSeconds = 0, times = 0, types = 0, characters = 0

        func size(width: Int) -> Int {
            times * (width + 1) + types * 6 + characters + leapSeconds * (width + 4) + standards + universals
        }
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func bytes(_ count: Int) throws(TimeZoneFile.Malformed) -> ArraySlice<UInt8> {
        guard count >= 0, count <= rest.count else { throw TimeZoneFile.Malformed(reason: "it is cut off") }
        let found = rest.prefix(count)
        rest = rest.dropFirst(count)
        return found
    }

    mutating func skip(_ count: Int) throws(TimeZoneFile.Malformed) { _ = try bytes(count) }

    mutating func integer(_ width: Int) throws(TimeZoneFile.Malformed) -> Int64 {
        let value = try bytes(width).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return width == 8 ? Int64(bitPattern: value) : Int64(Int32(truncatingIfNeeded: value))
    }

    mutating func header() throws(TimeZoneFile.Malformed) -> Header {
        guard try bytes(4).elementsEqual("TZif".utf8), let version = try bytes(16).first else {
            throw TimeZoneFile.Malformed(reason: "it is no file of a time zone")
        }
        var counts: [Int] = []
        for _ in 0..<6 {
            let count = Int(try integer(4))
            guard (0...1_000_000).contains(count) else {
                throw TimeZoneFile.Malformed(reason: "its header is out of bounds")
            }
            counts.append(count)
        }
        return Header(
            version: version, universals: counts[0], standards: counts[1], leapSeconds: counts[2], times: counts[3],
            types: counts[4], characters: counts[5])
    }

    /// The line at the end, without its line feeds.
    mutating func footer() throws(TimeZoneFile.Malformed) -> [UInt8] {
        guard rest.first == 0x0A, let end = rest.dropFirst().firstIndex(of: 0x0A), end - rest.startIndex <= 256 else {
            throw TimeZoneFile.Malformed(reason: "its last line is missing")
        }
        return Array(rest[(rest.startIndex + 1)..<end])
    }
}

/// Reads a rule such as `CET-1CEST,M3.5.0,M10.5.0/3`.
private struct YearlyRuleReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func rule() throws(TimeZoneFile.Malformed) -> YearlyRule {
        try name()
        let offset = -(try time())
        guard !rest.isEmpty else { return YearlyRule(offset: offset, summer: nil) }
        try name()
        let summer = rest.isEmpty || rest.first == UInt8(ascii: ",") ? offset + 3600 : -(try time())
        guard take(",") else { throw malformed }
        let start = try day()
        guard take(",") else { throw malformed }
        let end = try day()
        guard rest.isEmpty else { throw malformed }
        return YearlyRule(offset: offset, summer: .init(offset: summer, start: start, end: end))
    }

    private var malformed: TimeZoneFile.Malformed { .init(reason: "its rule for later years is not known") }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest.removeFirst()
        return true
    }

    private mutating func name() throws(TimeZoneFile.Malformed) {
        if take("<") {
            guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { throw malformed }
            rest = rest[(end + 1)...]
            return
        }
        let letters = rest.prefix { (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) }
        guard letters.count >= 3 else { throw malformed }
        rest = rest.dropFirst(letters.count)
    }

    private mutating func number(_ bounds: ClosedRange<Int64>) throws(TimeZoneFile.Malformed) -> Int64 {
        let digits = rest.prefix { (48...57).contains($0) }
        guard (1...3).contains(digits.count) else { throw malformed }
        rest = rest.dropFirst(digits.count)
        let value = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 48) }
        guard bounds.contains(value) else { throw malformed }
        return value
    }

    /// Hours, minutes and seconds, in seconds.
    private mutating func time() throws(TimeZoneFile.Malformed) -> Int64 {
        let isNegative = take("-")
        if !isNegative { _ = take("+") }
        var seconds = try number(0...167) * 3600
        if take(":") { seconds += try number(0...59) * 60 }
        if take(":") { seconds += try number(0...59) }
        return isNegative ? -seconds : seconds
    }

    private mutating func day() throws(TimeZoneFile.Malformed) -> YearlyRule.Day {
        let form: YearlyRule.Day.Form
        if take("M") {
            let month = try number(1...12)
            guard take(".") else { throw malformed }
            let week = try number(1...5)
            guard take(".") else { throw malformed }
            form = .weekday(try number(0...6), week: week, month: month)
        } else if take("J") {
            form = .withoutLeapDay(try number(1...365))
        } else {
            form = .ofYear(try number(0...365))
        }
        return YearlyRule.Day(form: form, time: take("/") ? try time() : 7200)
    }
}

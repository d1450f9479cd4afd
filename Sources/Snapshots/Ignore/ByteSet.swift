/// A set of byte values: what a character class of a pattern matches.
struct ByteSet: Sendable, Hashable {
    private var words = SIMD4<UInt64>()

    func contains(_ byte: UInt8) -> Bool {
        words[Int(byte >> 6)] & (1 << UInt64(byte & 63)) != 0
    }

    mutating func insert(_ byte: UInt8) {
        words[Int(byte >> 6)] |= 1 << UInt64(byte & 63)
    }

    /// Reads a class such as `[a-z[:digit:]]` whose `[` is at `index`, and leaves `index` behind its `]`.
    ///
    /// Nil when the class is never closed or names an unknown kind of character; git then never matches the pattern.
    init?(class pattern: ArraySlice<UInt8>, at index: inout Int) {
        func byte(_ position: Int) -> UInt8? { position < pattern.endIndex ? pattern[position] : nil }
        var position = index + 1
        let isNegated = byte(position) == UInt8(ascii: "!") || byte(position) == UInt8(ascii: "^")
        if isNegated { position += 1 }
        // The byte that a following `-` may make the start of a range; none after a range or a named kind.
        var rangeStart: UInt8?
        // The first byte is a member even when it is `]`.
        var isFirst = true
        while true {
            guard var member = byte(position) else { return nil }
            if member == UInt8(ascii: "]") && !isFirst { break }
            isFirst = false
            if member == UInt8(ascii: "\\") {
                position += 1
                guard let escaped = byte(position) else { return nil }
                member = escaped
                insert(member)
                rangeStart = member
            } else if member == UInt8(ascii: "-"), let start = rangeStart,
                let next = byte(position + 1), next != UInt8(ascii: "]")
            {
                position += 1
                var end = next
                if end == UInt8(ascii: "\\") {
                    position += 1
                    guard let escaped = byte(position) else { return nil }
                    end = escaped
                }
                if start <= end { for value in start...end { insert(value) } }
                rangeStart = nil
            } else if member == UInt8(ascii: "["), byte(position + 1) == UInt8(ascii: ":") {
                guard let close = pattern[(position + 2)...].firstIndex(of: UInt8(ascii: "]")) else { return nil }
                if close - 1 >= position + 2, pattern[close - 1] == UInt8(ascii: ":") {
                    guard let kind = ByteKind(name: pattern[(position + 2)..<(close - 1)]) else { return nil }
                    for value in UInt8.min...UInt8.max where kind.contains(value) { insert(value) }
                    rangeStart = nil
                    position = close
                } else {
                    insert(member)
                    rangeStart = member
                }
            } else {
                insert(member)
                rangeStart = member
            }
            position += 1
        }
        if isNegated { words = ~words }
        index = position + 1
    }
}

/// The named kinds of characters in classes; ASCII only, as git has them.
private enum ByteKind: String {
    case alnum
    case alpha
    case blank
    case cntrl
    case digit
    case graph
    case lower
    case print
    case punct
    case space
    case upper
    case xdigit

    init?(name: ArraySlice<UInt8>) {
        self.init(rawValue: String(decoding: name, as: UTF8.self))
    }

    func contains(_ byte: UInt8) -> Bool {
        let isDigit = (0x30...0x39).contains(byte)
        let isUpper = (0x41...0x5A).contains(byte)
        let isLower = (0x61...0x7A).contains(byte)
        switch self {
        case .alnum: return isDigit || isUpper || isLower
        case .alpha: return isUpper || isLower
        case .blank: return byte == 0x20 || byte == 0x09
        case .cntrl: return byte < 0x20 || byte == 0x7F
        case .digit: return isDigit
        case .graph: return (0x21...0x7E).contains(byte)
        case .lower: return isLower
        case .print: return (0x20...0x7E).contains(byte)
        case .punct: return (0x21...0x7E).contains(byte) && !isDigit && !isUpper && !isLower
        case .space: return byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
        case .upper: return isUpper
        case .xdigit: return isDigit || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
        }
    }
}

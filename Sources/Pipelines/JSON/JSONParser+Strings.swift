extension JSONParser {
    /// Reads a text from its opening quote to after its closing one; gives the range between them.
    mutating func scanString() throws(Stop) -> (start: Int, end: Int, escapes: Bool) {
        let open = offset
        var escapes = false
        offset += 1
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte == Ascii.quote {
                offset += 1
                return (open + 1, offset - 1, escapes)
            } else if byte == Ascii.backslash {
                escapes = true
                try scanEscape()
            } else if byte >= 0x80 {
                try scanMultibyte()
            } else if byte >= 0x20 {
                offset += 1
            } else if byte == Ascii.newline || byte == Ascii.carriageReturn {
                throw fail("a text is not closed on its line", at: open, hint: #"a line break is written `\n`"#)
            } else {
                try note("\(describeByte(at: offset)) in a text", at: offset, hint: "write it as an escape")
                offset += 1
            }
        }
        throw fail("a text is not closed", at: open)
    }

    private mutating func scanEscape() throws(Stop) {
        let start = offset
        offset += 1
        guard let byte = peek() else { return }
        switch byte {
        case Ascii.quote, Ascii.backslash, Ascii.slash, UInt8(ascii: "b"), UInt8(ascii: "f"), UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            offset += 1
        case Ascii.lowerU:
            try scanUnicodeEscape(from: start)
        default:
            // The character after the backslash is left for the loop, which knows what to do with any.
            try note(#"`\` before \#(describeByte(at: offset))"#, at: start, hint: #"a backslash is written `\\`"#)
        }
    }

    private mutating func scanUnicodeEscape(from start: Int) throws(Stop) {
        offset += 1
        guard let unit = hexUnit(in: bytes, at: offset) else {
            try note(#"`\u` without four hexadecimal digits"#, at: start)
            return
        }
        offset += 4
        guard 0xD800...0xDFFF ~= unit else { return }
        if unit < 0xDC00, offset + 1 < bytes.count, bytes[offset] == Ascii.backslash,
            bytes[offset + 1] == Ascii.lowerU, let low = hexUnit(in: bytes, at: offset + 2), 0xDC00...0xDFFF ~= low
        {
            offset += 6
            return
        }
        try note("half of a surrogate pair in a text", at: start, hint: "write both halves, or the character itself")
    }

    private mutating func scanMultibyte() throws(Stop) {
        let length = utf8Length(at: offset)
        if length == 0 {
            try note("\(describeByte(at: offset)) is not UTF-8", at: offset, hint: "save the file as UTF-8")
        }
        offset += max(length, 1)
    }

    /// The length of the well-formed sequence that begins with a byte from 0x80 on; 0 when it is none.
    private func utf8Length(at start: Int) -> Int {
        let lead = bytes[start]
        let (length, second): (Int, ClosedRange<UInt8>) =
            switch lead {
            case 0xC2...0xDF: (2, 0x80...0xBF)
            case 0xE0: (3, 0xA0...0xBF)
            case 0xED: (3, 0x80...0x9F)
            case 0xE1...0xEF: (3, 0x80...0xBF)
            case 0xF0: (4, 0x90...0xBF)
            case 0xF1...0xF3: (4, 0x80...0xBF)
            case 0xF4: (4, 0x80...0x8F)
            default: (0, 0x80...0xBF)
            }
        guard length > 0, start + length <= bytes.count, second ~= bytes[start + 1],
            bytes[start + 2..<start + length].allSatisfy({ $0 & 0xC0 == 0x80 })
        else { return 0 }
        return length
    }
}

/// The value of the four hexadecimal digits at `start`.
private func hexUnit(in bytes: [UInt8], at start: Int) -> UInt32? {
    guard start + 4 <= bytes.count else { return nil }
    var unit: UInt32 = 0
    for byte in bytes[start..<start + 4] {
        guard let digit = byte.hexValue else { return nil }
        unit = unit << 4 | digit
    }
    return unit
}

extension JSONTapeEntry {
    /// The text of a string entry, with its escapes resolved.
    func text(in bytes: [UInt8]) -> String {
        let raw = bytes[Int(start)..<Int(end)]
        guard hasEscapes else { return String(decoding: raw, as: UTF8.self) }
        var resolved: [UInt8] = []
        resolved.reserveCapacity(raw.count)
        var at = raw.startIndex
        while at < raw.endIndex {
            guard raw[at] == Ascii.backslash, at + 1 < raw.endIndex else {
                resolved.append(raw[at])
                at += 1
                continue
            }
            at += 2
            switch raw[at - 1] {
            case UInt8(ascii: "b"): resolved.append(0x08)
            case UInt8(ascii: "f"): resolved.append(0x0C)
            case UInt8(ascii: "n"): resolved.append(Ascii.newline)
            case UInt8(ascii: "r"): resolved.append(Ascii.carriageReturn)
            case UInt8(ascii: "t"): resolved.append(Ascii.tab)
            case Ascii.lowerU: resolved.append(contentsOf: unicodeEscape(in: bytes, at: &at))
            case let other: resolved.append(other)
            }
        }
        return String(decoding: resolved, as: UTF8.self)
    }

    /// The character whose digits begin at `at`, in UTF-8; moves `at` past the escape or the pair of escapes.
    private func unicodeEscape(in bytes: [UInt8], at: inout Int) -> String.UTF8View {
        var value = hexUnit(in: bytes, at: at) ?? 0xFFFD
        at = min(at + 4, Int(end))
        if 0xD800...0xDBFF ~= value, let low = hexUnit(in: bytes, at: at + 2), 0xDC00...0xDFFF ~= low {
            value = 0x10000 + (value - 0xD800) << 10 + (low - 0xDC00)
            at += 6
        }
        return String(Unicode.Scalar(value) ?? "\u{FFFD}").utf8
    }
}

/// The keys that an object already has, to find the first of two equal ones.
struct JSONKeySet {
    private var small: [Int] = []
    private var large: [ExactText: Int] = [:]

    /// Adds the key at `key` on the tape; gives the first key with the same text, if there is one.
    mutating func insert(_ key: Int, tape: [JSONTapeEntry], bytes: [UInt8]) -> Int? {
        if large.isEmpty {
            if let first = small.first(where: { isSame($0, key, tape: tape, bytes: bytes) }) { return first }
            small.append(key)
            guard small.count > 16 else { return nil }
            for earlier in small { large[ExactText(tape[earlier].text(in: bytes))] = earlier }
            return nil
        }
        let text = ExactText(tape[key].text(in: bytes))
        if let first = large[text] { return first }
        large[text] = key
        return nil
    }

    private func isSame(_ left: Int, _ right: Int, tape: [JSONTapeEntry], bytes: [UInt8]) -> Bool {
        let (left, right) = (tape[left], tape[right])
        if left.hasEscapes || right.hasEscapes {
            return ExactText(left.text(in: bytes)) == ExactText(right.text(in: bytes))
        }
        return left.end - left.start == right.end - right.start
            && bytes[Int(left.start)..<Int(left.end)] == bytes[Int(right.start)..<Int(right.end)]
    }
}

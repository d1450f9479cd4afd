import PlainText

extension JSONValue {
    /// This value as JSON text, without a newline at the end.
    ///
    /// The text never holds a character that a terminal would obey or that hides or reorders others: such characters
    /// are written as `\u` escapes, which read back as the same value.
    ///
    /// - Parameters:
    ///   - pretty: One entry a line, indented by four spaces, as pipeline files are; else on one line without spaces.
    ///   - sortedKeys: Objects in the order of their keys' code points instead of the order they were written in.
    package func text(pretty: Bool = false, sortedKeys: Bool = false) -> String {
        var writer = JSONWriter(pretty: pretty, sortedKeys: sortedKeys)
        writer.write(self, depth: 0)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}

/// Writes one value into a buffer.
private struct JSONWriter {
    let pretty: Bool
    let sortedKeys: Bool
    private(set) var bytes: [UInt8] = []

    init(pretty: Bool, sortedKeys: Bool) {
        self.pretty = pretty
        self.sortedKeys = sortedKeys
    }

    mutating func write(_ value: JSONValue, depth: Int) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .bool(let value): bytes.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let value): bytes.append(contentsOf: value.literal.utf8)
        case .string(let value): write(string: value)
        case .array(let elements): write(array: elements, depth: depth)
        case .object(let object): write(object: object, depth: depth)
        }
    }

    private mutating func write(array elements: [JSONValue], depth: Int) {
        bytes.append(Ascii.openBracket)
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(Ascii.comma) }
            breakLine(depth: depth + 1)
            write(element, depth: depth + 1)
        }
        if !elements.isEmpty { breakLine(depth: depth) }
        bytes.append(Ascii.closeBracket)
    }

    private mutating func write(object: JSONObject, depth: Int) {
        bytes.append(Ascii.openBrace)
        let entries =
            sortedKeys ? object.entries.sorted { ExactText($0.key) < ExactText($1.key) } : object.entries
        for (index, entry) in entries.enumerated() {
            if index > 0 { bytes.append(Ascii.comma) }
            breakLine(depth: depth + 1)
            write(string: entry.key)
            bytes.append(Ascii.colon)
            if pretty { bytes.append(Ascii.space) }
            write(entry.value, depth: depth + 1)
        }
        if !entries.isEmpty { breakLine(depth: depth) }
        bytes.append(Ascii.closeBrace)
    }

    private mutating func breakLine(depth: Int) {
        guard pretty else { return }
        bytes.append(Ascii.newline)
        bytes.append(contentsOf: repeatElement(Ascii.space, count: depth * 4))
    }

    private mutating func write(string: String) {
        bytes.append(Ascii.quote)
        if string.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != Ascii.quote && $0 != Ascii.backslash }) {
            bytes.append(contentsOf: string.utf8)
        } else {
            for scalar in string.unicodeScalars { write(scalar: scalar) }
        }
        bytes.append(Ascii.quote)
    }

    private mutating func write(scalar: Unicode.Scalar) {
        switch scalar {
        case "\"": bytes.append(contentsOf: #"\""#.utf8)
        case "\\": bytes.append(contentsOf: #"\\"#.utf8)
        case "\n": bytes.append(contentsOf: #"\n"#.utf8)
        case "\r": bytes.append(contentsOf: #"\r"#.utf8)
        case "\t": bytes.append(contentsOf: #"\t"#.utf8)
        case _ where scalar.isUnprintable:
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                bytes.append(contentsOf: #"\u"#.utf8)
                bytes.append(contentsOf: repeatElement(Ascii.zero, count: 4 - digits.utf8.count))
                bytes.append(contentsOf: digits.utf8)
            }
        default: bytes.append(contentsOf: String(scalar).utf8)
        }
    }
}

import PlainText

extension JSONParser {
    /// The character at `offset` for a message.
    func describeByte(at offset: Int) -> String {
        guard offset < bytes.count else { return "the end of the file" }
        let byte = bytes[offset]
        if byte < 0x80 { return byte == Ascii.space ? "a space" : quoted(String(Unicode.Scalar(byte))) }
        let text = String(decoding: bytes[offset..<min(offset + 4, bytes.count)], as: UTF8.self)
        guard let scalar = text.unicodeScalars.first, scalar != "\u{FFFD}" else {
            return "the byte 0x" + String(byte, radix: 16)
        }
        return quoted(String(scalar))
    }

    /// The error for something else than `expected`, inside the list or object at `container` on the tape.
    mutating func missing(_ expected: String, opened container: Int) -> Stop {
        let start = Int(tape[container].start)
        guard offset < bytes.count else {
            let kind = tape[container].kind.phrase
            return fail("the file ends inside \(kind) that begins at", at: offset, related: start)
        }
        if let comment = commentAtOffset() { return comment }
        return fail("expected \(expected), found \(describeByte(at: offset))", at: offset)
    }

    /// The error for an object's entry that does not begin with a quote.
    mutating func unexpectedKey(in container: Int) -> Stop {
        guard let byte = peek(), byte == Ascii.apostrophe || byte.isLetter else {
            return missing("a key in quotes", opened: container)
        }
        return fail("a key without quotes", at: offset, hint: "keys are written in double quotes")
    }

    /// The error for what is no value: `word` are the letters and digits that were found, perhaps none.
    mutating func unexpected(word: String, at start: Int) -> Stop {
        if word.isEmpty {
            if let comment = commentAtOffset() { return comment }
            let hint = peek() == Ascii.apostrophe ? "texts are written in double quotes" : nil
            return fail("expected a value, found \(describeByte(at: start))", at: start, hint: hint)
        }
        let hint =
            switch word {
            case "True", "TRUE": "write `true`"
            case "False", "FALSE": "write `false`"
            case "None", "Null", "NULL", "nil", "undefined": "write `null`"
            case "NaN", "Infinity": "JSON has no such number; write it as a text in quotes"
            default: "texts are written in double quotes"
            }
        return fail("\(quoted(word)) is not a JSON value", at: start, hint: hint)
    }

    private mutating func commentAtOffset() -> Stop? {
        guard let byte = peek(), byte == Ascii.slash || byte == Ascii.hash else { return nil }
        return fail("a comment, or a stray \(describeByte(at: offset))", at: offset, hint: "JSON has no comments")
    }
}

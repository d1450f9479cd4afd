import PlainText

/// Something wrong with a text, before its place is worked out.
struct JSONProblem {
    var offset: Int
    var message: String
    /// Another place that the message ends with.
    var related: Int?
    var hint: String?
}

/// Reads a JSON text onto a tape.
///
/// Problems inside texts, numbers and objects are collected and reading goes on; the first problem of structure ends it.
struct JSONParser {
    /// The text cannot be read further; the cause is the last problem.
    struct Stop: Error {}

    let bytes: [UInt8]
    let limits: JSONLimits
    var offset = 0
    private(set) var tape: [JSONTapeEntry] = []
    private(set) var lineStarts: [UInt32] = [0]
    private(set) var problems: [JSONProblem] = []
    private var depth = 0

    init(bytes: [UInt8], limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
        tape.reserveCapacity(min(bytes.count / 8, limits.values) + 1)
    }

    /// Reads the whole text; afterwards either `problems` has elements or `tape` holds the value.
    mutating func parseDocument() {
        do throws(Stop) {
            try skipByteOrderMark()
            skipSpace()
            guard offset < bytes.count else { throw fail("the file is empty", at: 0, hint: "expected a JSON value") }
            try parseValue()
            skipSpace()
            guard offset == bytes.count else {
                throw fail("\(describeByte(at: offset)) after the end of the JSON value", at: offset)
            }
        } catch {
            assert(!problems.isEmpty)
        }
    }

    /// Notes a problem and gives the error that ends reading.
    mutating func fail(_ message: String, at offset: Int, related: Int? = nil, hint: String? = nil) -> Stop {
        problems.append(JSONProblem(offset: offset, message: message, related: related, hint: hint))
        return Stop()
    }

    /// Notes a problem after which reading goes on, unless there are too many.
    mutating func note(_ message: String, at offset: Int, related: Int? = nil, hint: String? = nil) throws(Stop) {
        let stop = fail(message, at: offset, related: related, hint: hint)
        if problems.count >= DiagnosticList.limit { throw stop }
    }

    private mutating func skipByteOrderMark() throws(Stop) {
        guard let first = bytes.first, first >= 0xEF else { return }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            offset = 3
            lineStarts = [3]
        } else if bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE]) {
            throw fail("the file is UTF-16", at: 0, hint: "save it as UTF-8")
        }
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case Ascii.space, Ascii.tab:
                offset += 1
            case Ascii.newline:
                offset += 1
                lineStarts.append(UInt32(offset))
            case Ascii.carriageReturn:
                offset += 1
                if offset == bytes.count || bytes[offset] != Ascii.newline { lineStarts.append(UInt32(offset)) }
            default:
                return
            }
        }
    }

    private mutating func push(_ kind: JSONKind, from start: Int, to end: Int, escapes: Bool = false) throws(Stop) {
        guard tape.count < limits.values else {
            throw fail("the file has more than \(limits.values) values", at: start)
        }
        let next = UInt32(tape.count + 1)
        tape.append(
            JSONTapeEntry(kind: kind, hasEscapes: escapes, start: UInt32(start), end: UInt32(end), next: next)
        )
    }

    private mutating func parseValue() throws(Stop) {
        guard offset < bytes.count else { throw fail("the file ends where a value is expected", at: offset) }
        switch bytes[offset] {
        case Ascii.quote: try parseString()
        case Ascii.openBrace: try parseObject()
        case Ascii.openBracket: try parseArray()
        case Ascii.minus, Ascii.zero...Ascii.zero + 9: try parseNumber()
        default: try parseWord()
        }
    }

    private mutating func parseString() throws(Stop) {
        let (start, end, escapes) = try scanString()
        try push(.string, from: start, to: end, escapes: escapes)
    }

    private mutating func parseWord() throws(Stop) {
        let start = offset
        while offset < bytes.count, bytes[offset].isLetter || bytes[offset].isDigit { offset += 1 }
        switch String(decoding: bytes[start..<offset].prefix(40), as: UTF8.self) {
        case "null": try push(.null, from: start, to: offset)
        case "true", "false": try push(.bool, from: start, to: offset)
        case let word: throw unexpected(word: word, at: start)
        }
    }

    private mutating func parseNumber() throws(Stop) {
        let start = offset
        switch NumberScan(bytes, from: start) {
        case .malformed(let message, let hint):
            throw fail(message, at: start, hint: hint)
        case .number(let end):
            offset = end
            if end < bytes.count, bytes[end].isLetter || bytes[end].isDigit {
                throw fail("\(describeByte(at: end)) in a number", at: end, hint: "texts are written in quotes")
            }
            if !NumberScan.isInRange(bytes[start..<end]) {
                let text = String(decoding: bytes[start..<end].prefix(100), as: UTF8.self)
                try note(
                    "the number \(quoted(text)) is too large to be read as a number",
                    at: start,
                    hint: "write it as a text in quotes"
                )
            }
            try push(.number, from: start, to: end)
        }
    }

    private mutating func enter(_ kind: JSONKind) throws(Stop) -> Int {
        depth += 1
        guard depth <= limits.depth else {
            throw fail("lists and objects lie in each other more than \(limits.depth) deep", at: offset)
        }
        try push(kind, from: offset, to: offset)
        offset += 1
        return tape.count - 1
    }

    private mutating func leave(_ container: Int) {
        depth -= 1
        offset += 1
        tape[container].end = UInt32(offset)
        tape[container].next = UInt32(tape.count)
    }

    private mutating func parseArray() throws(Stop) {
        let container = try enter(.array)
        skipSpace()
        if peek() != Ascii.closeBracket {
            while true {
                try parseValue()
                if try endsEntries(of: container, with: Ascii.closeBracket) { break }
            }
        }
        leave(container)
    }

    private mutating func parseObject() throws(Stop) {
        let container = try enter(.object)
        var keys = JSONKeySet()
        skipSpace()
        if peek() != Ascii.closeBrace {
            while true {
                guard peek() == Ascii.quote else { throw unexpectedKey(in: container) }
                try parseString()
                let key = tape.count - 1
                if let first = keys.insert(key, tape: tape, bytes: bytes) {
                    let name = quoted(tape[key].text(in: bytes))
                    let firstOffset = Int(tape[first].start) - 1
                    try note("duplicate key \(name), first at", at: Int(tape[key].start) - 1, related: firstOffset)
                }
                skipSpace()
                guard peek() == Ascii.colon else { throw missing("`:` after the key", opened: container) }
                offset += 1
                skipSpace()
                try parseValue()
                if try endsEntries(of: container, with: Ascii.closeBrace) { break }
            }
        }
        leave(container)
    }

    /// Reads what separates entries; true at the closing bracket, which stays unread.
    private mutating func endsEntries(of container: Int, with closing: UInt8) throws(Stop) -> Bool {
        skipSpace()
        if peek() == closing { return true }
        let bracket = closing == Ascii.closeBrace ? "`}`" : "`]`"
        guard peek() == Ascii.comma else { throw missing("`,` or \(bracket)", opened: container) }
        let comma = offset
        offset += 1
        skipSpace()
        if peek() == closing {
            throw fail("a comma before \(bracket)", at: comma, hint: "remove the comma")
        }
        return false
    }
}

extension JSONParser {
    /// The byte at the current offset; nil at the end.
    func peek() -> UInt8? {
        offset < bytes.count ? bytes[offset] : nil
    }
}

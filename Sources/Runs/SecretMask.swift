import FoundationEssentials

/// Replaces values of secrets in a stream of bytes by `***`, wherever pieces of the stream begin and end.
///
/// Beside a value itself it finds what programs make of one when they show it: its base64 in the three alignments and
/// both alphabets, its form in a URL, its form as a text of JSON or of Python, each line of at least eight bytes of a
/// value of several lines, and all of these in HTML. Values of fewer than four bytes are not looked for: a log without
/// them would be of no use.
package struct SecretMask {
    /// The fewest bytes of a value that is replaced.
    package static let shortest = 4
    /// The fewest bytes of a line that is replaced where it is not beside the others of its value.
    package static let shortestLine = 8
    private static let shortestEncoding = 8

    private static let replacement = Array("***".utf8)

    /// What is looked for, by its first byte, the longest first.
    private var patterns: [[[UInt8]]] = Array(repeating: [], count: 256)
    private let isEmpty: Bool
    /// The beginning of what may be a value.
    private var held: [UInt8] = []

    /// Looks for these values.
    package init(_ values: [String]) {
        var all: Set<[UInt8]> = []
        for value in values where value.utf8.count >= Self.shortest {
            let bytes = Array(value.utf8)
            all.insert(bytes)
            all.formUnion(Self.encodings(bytes, value).filter { $0.count >= Self.shortestEncoding })
            let lines = Self.lines(of: bytes)
            if lines.count > 1 { all.formUnion(lines.filter { $0.count >= Self.shortestLine }.map { Array($0) }) }
        }
        all.formUnion(all.flatMap(Self.inHTML))
        isEmpty = all.isEmpty
        for pattern in all.sorted(by: { $0.count > $1.count }) { patterns[Int(pattern[0])].append(pattern) }
    }

    private static func lines(of bytes: [UInt8]) -> [ArraySlice<UInt8>] { bytes.split { $0 == 0x0A || $0 == 0x0D } }

    /// Whether a value has lines that are not replaced where they are alone.
    package static func leavesLines(of value: [UInt8]) -> Bool {
        let lines = lines(of: value)
        return lines.count > 1 && lines.contains { $0.count < shortestLine }
    }

    private static func encodings(_ bytes: [UInt8], _ value: String) -> [[UInt8]] {
        var result = [
            percentEncoded(bytes, digits: "0123456789ABCDEF"), percentEncoded(bytes, digits: "0123456789abcdef"),
        ]
        if let text = JSONFile.encode(value) { result.append(Array(text.dropFirst().dropLast(2))) }
        result.append(inPython(bytes))
        for skipped in 0..<3 {
            // Characters that depend on the bytes before or after the value are left out.
            let text = Array(Data(repeating: 0, count: skipped) + bytes).base64()
            let whole = text.prefix((skipped + bytes.count) * 8 / 6).dropFirst([0, 2, 3][skipped])
            result.append(Array(whole))
            result.append(
                whole.map {
                    $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0
                })
        }
        return result
    }

    private static func percentEncoded(_ bytes: [UInt8], digits: String) -> [UInt8] {
        let digits = Array(digits.utf8)
        return bytes.flatMap { byte -> [UInt8] in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: [byte]
            default: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
    }

    /// The inside of what `repr` gives, which is how a notebook shows the value of a cell.
    private static func inPython(_ bytes: [UInt8]) -> [UInt8] {
        let hasBothQuotes = bytes.contains(UInt8(ascii: "'")) && bytes.contains(UInt8(ascii: "\""))
        return bytes.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "\\"): Array("\\\\".utf8)
            case UInt8(ascii: "\n"): Array("\\n".utf8)
            case UInt8(ascii: "\r"): Array("\\r".utf8)
            case UInt8(ascii: "\t"): Array("\\t".utf8)
            case UInt8(ascii: "'") where hasBothQuotes: Array("\\'".utf8)
            default: [byte]
            }
        }
    }

    /// What stands for bytes in HTML: programs differ in what they make of quotation marks.
    private static func inHTML(_ bytes: [UInt8]) -> [[UInt8]] {
        [("\"", "'"), ("&quot;", "'"), ("&quot;", "&#39;"), ("&quot;", "&#x27;"), ("&#34;", "&#39;")].map { quotes in
            bytes.flatMap { byte -> [UInt8] in
                switch byte {
                case UInt8(ascii: "&"): Array("&amp;".utf8)
                case UInt8(ascii: "<"): Array("&lt;".utf8)
                case UInt8(ascii: ">"): Array("&gt;".utf8)
                case UInt8(ascii: "\""): Array(quotes.0.utf8)
                case UInt8(ascii: "'"): Array(quotes.1.utf8)
                default: [byte]
                }
            }
        }
    }

    /// The whole of a text with its values replaced.
    package func masked(_ text: some Sequence<UInt8>) -> [UInt8] {
        var mask = self
        return mask.feed(Array(text)) + mask.finish()
    }

    /// Takes the next bytes, and gives those that can be shown; what may be the beginning of a value is held back.
    mutating func feed(_ bytes: [UInt8]) -> [UInt8] {
        if isEmpty { return bytes }
        return process(held.isEmpty ? bytes : held + bytes, isEnd: false)
    }

    /// Gives what was held back: there is nothing more.
    mutating func finish() -> [UInt8] { process(held, isEnd: true) }

    private mutating func process(_ bytes: [UInt8], isEnd: Bool) -> [UInt8] {
        held = []
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count)
        var position = 0
        var shown = 0
        while position < bytes.count {
            let candidates = patterns[Int(bytes[position])]
            guard !candidates.isEmpty else {
                position += 1
                continue
            }
            var found: Int?
            for pattern in candidates {
                let common = min(pattern.count, bytes.count - position)
                guard bytes[position..<(position + common)].elementsEqual(pattern[..<common]) else { continue }
                if common == pattern.count {
                    found = common
                    break
                }
                if !isEnd {
                    // A longer value may end in the next bytes.
                    output += bytes[shown..<position]
                    held = Array(bytes[position...])
                    return output
                }
            }
            if let found {
                output += bytes[shown..<position] + Self.replacement
                position += found
                shown = position
            } else {
                position += 1
            }
        }
        output += bytes[shown...]
        return output
    }
}

extension [UInt8] {
    fileprivate func base64() -> [UInt8] { Array(Data(self).base64EncodedString().utf8) }
}

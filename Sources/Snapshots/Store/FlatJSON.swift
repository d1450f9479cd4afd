import PlainText

/// A JSON object of strings and integers in the order in which they were set: all that `snapshot.json` needs.
struct FlatJSON: Sendable {
    /// A member's value.
    enum Value: Sendable, Hashable {
        case text(String)
        case number(Int64)
    }

    private var members: [(name: String, value: Value)] = []

    /// An empty object.
    init() {}

    /// Sets a member that is not there yet.
    mutating func set(_ name: String, _ value: Value) { members.append((name, value)) }

    func text(_ name: String) -> String? {
        guard case .text(let text) = members.first(where: { $0.name == name })?.value else { return nil }
        return text
    }

    func number(_ name: String) -> Int64? {
        guard case .number(let number) = members.first(where: { $0.name == name })?.value else { return nil }
        return number
    }

    /// The document, one member a line.
    var bytes: [UInt8] {
        let lines = members.map { name, value in
            switch value {
            case .text(let text): "  \(Self.quoted(name)): \(Self.quoted(text))"
            case .number(let number): "  \(Self.quoted(name)): \(number)"
            }
        }
        return Array(("{\n" + lines.joined(separator: ",\n") + "\n}\n").utf8)
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case _ where scalar.value < 0x20:
                quoted += "\\u00" + hexadecimal([UInt8(scalar.value)])
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }

    /// Reads an object of strings and integers; nil for anything else.
    init?(parsing bytes: [UInt8]) {
        var scanner = Scanner(rest: bytes[...])
        guard scanner.skip("{") else { return nil }
        if !scanner.skip("}") {
            repeat {
                guard let name = scanner.string(), scanner.skip(":"), let value = scanner.value(),
                    !members.contains(where: { $0.name == name })
                else { return nil }
                members.append((name, value))
            } while scanner.skip(",")
            guard scanner.skip("}") else { return nil }
        }
        guard scanner.isAtEnd else { return nil }
    }

    private struct Scanner {
        var rest: ArraySlice<UInt8>

        private mutating func skipSpace() {
            rest = rest.drop { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
        }

        var isAtEnd: Bool {
            mutating get {
                skipSpace()
                return rest.isEmpty
            }
        }

        mutating func skip(_ character: Character) -> Bool {
            skipSpace()
            guard let byte = rest.first, byte == character.asciiValue else { return false }
            rest = rest.dropFirst()
            return true
        }

        mutating func value() -> Value? {
            skipSpace()
            if rest.first == UInt8(ascii: "\"") { return string().map(Value.text) }
            let digits = rest.prefix { $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }
            rest = rest.dropFirst(digits.count)
            return Int64(String(decoding: digits, as: UTF8.self)).map(Value.number)
        }

        mutating func string() -> String? {
            guard skip("\"") else { return nil }
            var bytes: [UInt8] = []
            while let byte = rest.popFirst() {
                switch byte {
                case UInt8(ascii: "\""):
                    return String(validating: bytes, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    guard let scalar = escape() else { return nil }
                    bytes += Array(String(scalar).utf8)
                case 0x20...:
                    bytes.append(byte)
                default:
                    return nil
                }
            }
            return nil
        }

        private mutating func escape() -> Unicode.Scalar? {
            switch rest.popFirst() {
            case UInt8(ascii: "\""): return "\""
            case UInt8(ascii: "\\"): return "\\"
            case UInt8(ascii: "/"): return "/"
            case UInt8(ascii: "n"): return "\n"
            case UInt8(ascii: "t"): return "\t"
            case UInt8(ascii: "r"): return "\r"
            case UInt8(ascii: "u"):
                let digits = String(decoding: rest.prefix(4), as: UTF8.self)
                rest = rest.dropFirst(4)
                // Pairs of surrogates are never written, so they are not read either.
                return UInt32(digits, radix: 16).flatMap(Unicode.Scalar.init)
            default: return nil
            }
        }
    }
}

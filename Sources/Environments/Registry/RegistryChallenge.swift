/// How a registry wants to be asked: the `WWW-Authenticate` of its refusal (RFC 9110, section 11.6.1).
enum RegistryChallenge: Equatable {
    /// With a token that a server at `realm` gives out.
    case bearer(realm: String, service: String?, scope: String?)
    /// With a name and a password.
    case basic

    /// The one that is understood among the values of the field; a token is preferred.
    init?(_ values: [String]) {
        let found = values.compactMap(Self.parse)
        guard let first = found.first(where: { $0 != .basic }) ?? found.first else { return nil }
        self = first
    }

    private static func parse(_ value: String) -> RegistryChallenge? {
        let bytes = Array(value.utf8)
        let scheme = bytes.prefix { $0 != 0x20 }
        switch String(decoding: scheme, as: UTF8.self).lowercased() {
        case "basic": return .basic
        case "bearer":
            let parameters = parameters(bytes.dropFirst(scheme.count))
            guard let realm = parameters["realm"] else { return nil }
            return .bearer(realm: realm, service: parameters["service"], scope: parameters["scope"])
        default: return nil
        }
    }

    /// `name=value` and `name="value"`, with commas between; the first of a name counts.
    private static func parameters(_ bytes: ArraySlice<UInt8>) -> [String: String] {
        var found: [String: String] = [:]
        var rest = bytes
        while !rest.isEmpty {
            rest = rest.drop { $0 == 0x20 || $0 == UInt8(ascii: ",") }
            guard let equals = rest.firstIndex(of: UInt8(ascii: "=")) else { break }
            let name = String(decoding: rest[..<equals], as: UTF8.self).lowercased()
            rest = rest[(equals + 1)...]
            var value: [UInt8] = []
            if rest.first == UInt8(ascii: "\"") {
                rest.removeFirst()
                while let byte = rest.popFirst(), byte != UInt8(ascii: "\"") {
                    if byte == UInt8(ascii: "\\"), let escaped = rest.popFirst() {
                        value.append(escaped)
                    } else {
                        value.append(byte)
                    }
                }
            } else {
                value = Array(rest.prefix { $0 != UInt8(ascii: ",") })
                rest = rest.dropFirst(value.count)
            }
            if found[name] == nil { found[name] = String(decoding: value, as: UTF8.self) }
        }
        return found
    }
}

/// A value as a part of a query (RFC 3986): what is no letter, digit or mark is written by its number.
func queryPart(_ text: String) -> String {
    text.utf8.map { byte in
        isLetterOrDigit(byte) || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            ? String(decoding: [byte], as: UTF8.self) : "%" + hexadecimal(byte).uppercased()
    }.joined()
}

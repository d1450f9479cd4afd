/// The head of a request of HTTP/1 (RFC 9112), read by the letter: what two readers could read differently is refused.
struct RequestHead: Equatable {
    /// A field, its name in lower case.
    struct Field: Equatable {
        var name: [UInt8]
        var value: ArraySlice<UInt8>
    }

    var method: String
    var target: String
    /// The minor version.
    var version: UInt8
    var fields: [Field]

    /// Why bytes are no head: the status of the answer, and the reason.
    struct Fault: Error, Equatable {
        var status: Int
        var reason: String

        init(_ status: Int, _ reason: String) {
            self.status = status
            self.reason = reason
        }
    }

    /// The longest head, in bytes, and the most fields.
    static let limit = 32768, fieldLimit = 200

    /// The number of bytes of the head at the beginning of `bytes`, or nil when it has not ended.
    static func length(of bytes: [UInt8], from start: Int = 0) throws(Fault) -> Int? {
        var index = max(start - 3, 0)
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x0A, index == 0 || bytes[index - 1] != 0x0D {
                throw Fault(400, "a line ends with a line feed alone")
            }
            if byte == 0x0A, index >= 3, bytes[index - 2] == 0x0A, bytes[index - 3] == 0x0D {
                guard index < limit else { break }
                return index + 1
            }
            index += 1
        }
        if bytes.count >= limit { throw Fault(431, "the head is longer than \(limit) bytes") }
        return nil
    }

    /// Reads a whole head, up to and with its empty line.
    init(_ bytes: ArraySlice<UInt8>) throws(Fault) {
        // Lines end with CR LF, so that each piece but the last ends with CR.
        var lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false).map { $0.dropLast() }
        guard lines.count >= 3 else { throw Fault(400, "the request has no head") }
        lines.removeLast(2)
        for line in lines where line.contains(where: { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7F }) {
            throw Fault(400, "the head has control characters")
        }
        let words = lines[0].split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 3, words.allSatisfy({ !$0.isEmpty }), words[0].count <= 32,
            words[0].allSatisfy(Self.isTokenByte), words[1].allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        else { throw Fault(400, "the first line is not a method, a target and a version") }
        switch String(decoding: words[2], as: UTF8.self) {
        case "HTTP/1.1": version = 1
        case "HTTP/1.0": version = 0
        default: throw Fault(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        method = String(decoding: words[0], as: UTF8.self)
        target = String(decoding: words[1], as: UTF8.self)
        guard lines.count <= Self.fieldLimit + 1 else {
            throw Fault(431, "there are more than \(Self.fieldLimit) fields")
        }
        fields = []
        for line in lines.dropFirst() { fields.append(try Self.field(line)) }
    }

    private static func field(_ line: ArraySlice<UInt8>) throws(Fault) -> Field {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(isTokenByte)
        else { throw Fault(400, "a line of the head is no field") }
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
        let value = line[(colon + 1)...].drop(while: isBlank)
        return Field(
            name: lowercase(line[..<colon]), value: value.dropLast(value.reversed().prefix(while: isBlank).count))
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 48...57, 65...90, 97...122: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static func lowercase(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        bytes.map { (65...90).contains($0) ? $0 | 0x20 : $0 }
    }

    /// Values of the fields of that name, which is in lower case.
    func values(_ name: String) -> [ArraySlice<UInt8>] {
        fields.filter { $0.name.elementsEqual(name.utf8) }.map(\.value)
    }

    /// Words of a list in all fields of that name, in lower case.
    func list(_ name: String) -> [[UInt8]] {
        values(name).flatMap { value in
            value.split(separator: UInt8(ascii: ",")).map { word in
                Self.lowercase(word.filter { $0 != 0x20 && $0 != 0x09 })
            }
        }
    }
}

extension RequestHead {
    /// Where the body of a request ends.
    enum Body: Equatable {
        case length(Int)
        case chunks
    }

    /// How long the body is (RFC 9112, 6.3).
    func body() throws(Fault) -> Body {
        let (lengths, codings) = (values("content-length"), list("transfer-encoding"))
        if !codings.isEmpty {
            guard lengths.isEmpty else { throw Fault(400, "the body has a length and an encoding") }
            guard version == 1, codings == [Array("chunked".utf8)] else {
                throw Fault(501, "the body has an encoding other than `chunked`")
            }
            return .chunks
        }
        guard let text = lengths.first else { return .length(0) }
        guard lengths.count == 1, (1...15).contains(text.count), text.allSatisfy({ (48...57).contains($0) }),
            let length = Int(String(decoding: text, as: UTF8.self))
        else { throw Fault(400, "the length of the body is not one number") }
        return .length(length)
    }

    /// Fields that are between a program and its proxy, or are given anew.
    private static let own: Set<String> = [
        "host", "connection", "proxy-connection", "keep-alive", "te", "upgrade", "proxy-authorization",
        "proxy-authenticate",
    ]

    /// The head for the host itself: for one request, and with the name that was decided on.
    func forwarded(authority: String, path: Substring) throws(Fault) -> [UInt8] {
        let named = list("connection")
        for name in ["host", "content-length", "transfer-encoding"] where named.contains(Array(name.utf8)) {
            throw Fault(400, "`Connection` names `\(name)`, which is not the connection's")
        }
        var bytes = Array("\(method) \(path) HTTP/1.\(version)\r\nHost: \(authority)\r\n".utf8)
        for field in fields {
            let name = String(decoding: field.name, as: UTF8.self)
            if Self.own.contains(name) || named.contains(field.name) { continue }
            bytes += field.name + [0x3A, 0x20] + field.value + [0x0D, 0x0A]
        }
        return bytes + Array("Connection: close\r\n\r\n".utf8)
    }
}

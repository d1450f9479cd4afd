import Isolation

/// Messages of DNS (RFC 1035), as far as looking up addresses needs them.
enum DNSMessage {
    /// Types of records.
    enum RecordType {
        static let address: UInt16 = 1
        static let address6: UInt16 = 28
        static let options: UInt16 = 41
    }

    /// Codes of answers.
    enum Code: UInt8 {
        case success = 0
        case malformed = 1
        case serverFailure = 2
        case noSuchName = 3
    }

    /// The largest datagram that is read, and asked for (RFC 6891).
    static let limit = 1232

    private static func raw(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(truncatingIfNeeded: value)] }

    private static func labels(_ name: HostName) -> [UInt8] {
        name.description.utf8.split(separator: UInt8(ascii: ".")).flatMap { [UInt8($0.count)] + Array($0) } + [0]
    }

    /// A question for addresses of a name, to a server that looks further.
    static func query(_ name: HostName, type: UInt16, identity: UInt16) -> [UInt8] {
        // Recursion is desired; one question, and one additional record, which tells how long an answer may be.
        let header = raw(identity) + [1, 0, 0, 1, 0, 0, 0, 0, 0, 1]
        let options: [UInt8] = [0] + raw(RecordType.options) + raw(UInt16(limit)) + [0, 0, 0, 0, 0, 0]
        return header + labels(name) + raw(type) + raw(1) + options
    }

    /// What a server answered.
    struct Response {
        var code: UInt8
        var addresses: [IPAddress]
    }

    /// Reads the answer to a question; nil for what is none.
    static func response(_ bytes: ArraySlice<UInt8>, to name: HostName, type: UInt16, identity: UInt16) -> Response? {
        var reader = Reader(bytes)
        guard reader.number() == identity, let flags = reader.number(), flags & 0x8000 != 0, reader.number() == 1,
            let answers = reader.number(), reader.number() != nil, reader.number() != nil,
            reader.question() == Question(name: labels(name), type: type)
        else { return nil }
        var response = Response(code: UInt8(flags & 0xF), addresses: [])
        for _ in 0..<min(answers, 64) {
            // A message that was cut off holds whole records up to the cut.
            guard reader.skipName(), let kind = reader.number(), let network = reader.number(), reader.skip(4),
                let length = reader.number(), let data = reader.take(Int(length))
            else { break }
            // Whatever aliases lead to it, it is an address for the name.
            guard network == 1, kind == type, let address = IPAddress(bytes: data) else { continue }
            response.addresses.append(address)
        }
        return response
    }

    /// What is asked.
    struct Question: Equatable {
        /// As in the message, without compression, in lower case.
        var name: [UInt8]
        var type: UInt16

        /// The name, where it is one of a host.
        var hostName: HostName? {
            var rest = name[...]
            var parts: [String] = []
            while let length = rest.first, length > 0 {
                parts.append(String(decoding: rest.dropFirst().prefix(Int(length)), as: UTF8.self))
                rest = rest.dropFirst(Int(length) + 1)
            }
            // A dot inside of a label would be read as one between two.
            guard parts.allSatisfy({ !$0.contains(".") }) else { return nil }
            return try? HostName(parts.joined(separator: "."))
        }
    }

    /// A question from a program in a sandbox.
    struct Query {
        /// The first bytes up to the end of the question, to be repeated in the answer.
        fileprivate var head: [UInt8]
        var question: Question

        /// Reads a message; nil for what no answer can be given to.
        init?(_ bytes: ArraySlice<UInt8>) {
            var reader = Reader(bytes)
            guard reader.skip(2), let flags = reader.number(), flags & 0xF800 == 0, reader.number() == 1,
                reader.skip(6), let question = reader.question()
            else { return nil }
            self.question = question
            head = Array(bytes.prefix(reader.offset))
        }

        /// The answer: an address, or none with a code.
        func answer(_ code: Code, address: IPAddress? = nil) -> [UInt8] {
            var bytes = head
            // An answer, recursion desired as it was, recursion available.
            bytes[2] = 0x80 | (bytes[2] & 1)
            bytes[3] = 0x80 | code.rawValue
            for index in 4..<12 { bytes[index] = 0 }
            bytes[5] = 1
            guard let address else { return bytes }
            bytes[7] = 1
            let data = address.bytes
            // The name of the question, of the Internet, for a minute: names keep their address in a sandbox.
            return bytes + [0xC0, 12] + raw(question.type) + raw(1) + [0, 0, 0, 60] + raw(UInt16(data.count)) + data
        }
    }

    /// Walks over a message.
    private struct Reader {
        private let bytes: ArraySlice<UInt8>
        private var position: Int

        init(_ bytes: ArraySlice<UInt8>) {
            self.bytes = bytes
            position = bytes.startIndex
        }

        var offset: Int { position - bytes.startIndex }

        mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
            guard bytes.endIndex - position >= count else { return nil }
            defer { position += count }
            return bytes[position..<(position + count)]
        }

        mutating func skip(_ count: Int) -> Bool { take(count) != nil }

        mutating func number() -> UInt16? { take(2).map { $0.reduce(0) { $0 << 8 | UInt16($1) } } }

        /// A question of the class of the Internet, with a name that is not compressed.
        mutating func question() -> Question? {
            var name: [UInt8] = []
            while let length = take(1)?.first {
                guard length < 64, name.count + Int(length) < 255, let label = take(Int(length)) else { return nil }
                name.append(length)
                name += label.map { (65...90).contains($0) ? $0 | 0x20 : $0 }
                if length == 0 {
                    guard let type = number(), number() == 1 else { return nil }
                    return Question(name: name, type: type)
                }
            }
            return nil
        }

        mutating func skipName() -> Bool {
            while let length = take(1)?.first {
                if length >= 0xC0 { return skip(1) }
                guard length < 64, skip(Int(length)) else { return false }
                if length == 0 { return true }
            }
            return false
        }
    }
}

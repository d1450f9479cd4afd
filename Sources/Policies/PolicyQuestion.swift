import Isolation
import PlainText

#if canImport(Glibc)
    import Glibc
#endif

/// Something that a sandbox may want to do, as `policy test --can` asks for it.
package enum PolicyQuestion: Sendable, Hashable {
    /// A TCP connection to an address, or to whatever a name resolves to.
    case connect(NetworkAddress, port: UInt16)
    case read(String)
    case write(String)
    /// Opening a file that is there for reading and writing, as programs open devices.
    case open(String)
    case execute(String)
    /// A system call; without arguments any use of it is meant.
    case call(String, arguments: [UInt64])
}

/// An end of a connection.
package enum NetworkAddress: Sendable, Hashable {
    case ipv4(UInt32)
    /// The text, as inet_pton(3) reads it, and the sixteen bytes.
    case ipv6(String, [UInt8])
    case name(String)
}

/// Why a question is none.
package struct PolicyQuestionError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong: a lower-case fragment.
    package let description: String
    /// What to write instead.
    package let hint: String
}

extension PolicyQuestion {
    /// Reads `connect HOST:PORT`, `read PATH`, `write PATH`, `open PATH`, `exec PATH` or `syscall NAME [ARGUMENT...]`.
    package init(parsing text: String) throws(PolicyQuestionError) {
        let parts = text.split(separator: " ", maxSplits: 1).map(String.init)
        guard parts.count == 2, let verb = parts.first, let rest = parts.last else {
            throw Self.error(text, "it is not of the form `VERB WHAT`")
        }
        switch verb {
        case "connect": self = try Self.connection(rest)
        case "read": self = .read(try Self.path(rest))
        case "write": self = .write(try Self.path(rest))
        case "open": self = .open(try Self.path(rest))
        case "exec": self = .execute(rest.contains("/") ? try Self.path(rest) : rest)
        case "syscall": self = try Self.call(rest)
        default: throw Self.error(text, "there is no question \(quoted(verb))")
        }
    }

    /// The question as it is read.
    package var description: String {
        switch self {
        case .connect(let address, let port): "connect \(address.text):\(port)"
        case .read(let path): "read \(path)"
        case .write(let path): "write \(path)"
        case .open(let path): "open \(path)"
        case .execute(let path): "exec \(path)"
        case .call(let name, let arguments): (["syscall", name] + arguments.map(Self.text)).joined(separator: " ")
        }
    }

    private static func text(_ number: UInt64) -> String {
        number < 1 << 16 ? String(number) : number == .max ? "-1" : "0x" + String(number, radix: 16)
    }

    private static func error(_ text: String, _ why: String) -> PolicyQuestionError {
        PolicyQuestionError(
            description: "ask \(quoted(text)): \(why)",
            hint:
                "ask `connect HOST:PORT`, `read PATH`, `write PATH`, `open PATH`, `exec PATH` or `syscall NAME [ARGUMENT...]`"
        )
    }

    private static func path(_ text: String) throws(PolicyQuestionError) -> String {
        guard text.hasPrefix("/"), text.utf8.count < 4096, !text.utf8.contains(0) else {
            throw error(text, "a path is absolute, and shorter than 4096 bytes")
        }
        return text
    }

    private static func connection(_ text: String) throws(PolicyQuestionError) -> PolicyQuestion {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            throw error(text, "a connection goes to HOST:PORT, with a port from 1 to 65535")
        }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
        guard let address = NetworkAddress(host) else {
            throw error(text, "\(quoted(host)) is no address, and no name of a host")
        }
        return .connect(address, port: port)
    }

    private static func call(_ text: String) throws(PolicyQuestionError) -> PolicyQuestion {
        let words = text.split(separator: " ").map(String.init)
        guard let name = words.first, SystemCallTable.knows(name) else {
            let unknown = words.first ?? ""
            throw error(
                text,
                "\(quoted(unknown)) is no system call"
                    + didYouMean(UnknownSystemCall(name: unknown).nearest.first))
        }
        guard words.count <= 7 else { throw error(text, "a system call has at most 6 arguments") }
        var arguments: [UInt64] = []
        for word in words.dropFirst() {
            guard let value = register(word) else { throw error(text, "\(quoted(word)) is no number") }
            arguments.append(value)
        }
        return .call(name, arguments: arguments)
    }

    /// The value of a register: decimal, also below 0, `0x` or `0o`.
    private static func register(_ word: String) -> UInt64? {
        if word.hasPrefix("0x") { return UInt64(word.dropFirst(2), radix: 16) }
        if word.hasPrefix("0o") { return UInt64(word.dropFirst(2), radix: 8) }
        return UInt64(word) ?? Int64(word).map { UInt64(bitPattern: $0) }
    }
}

extension NetworkAddress {
    /// Reads an address or the name of a host; nil for what is neither.
    package init?(_ text: String) {
        if let number = ClosedNetworks.ipv4(text) {
            self = .ipv4(number)
        } else if text.contains(":") {
            var bytes = [UInt8](repeating: 0, count: 16)
            guard text.utf8.count < 46, inet_pton(AF_INET6, text, &bytes) == 1 else { return nil }
            // An IPv4 address in the form of one of IPv6 is reached as what it is (RFC 4291, 2.5.5.2).
            if bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF] {
                self = .ipv4(bytes.suffix(4).reduce(0) { $0 << 8 | UInt32($1) })
            } else {
                self = .ipv6(text, bytes)
            }
        } else {
            let labels = text.lowercased().split(separator: ".", omittingEmptySubsequences: false)
            let isName = labels.allSatisfy { label in
                (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
                    && label.utf8.allSatisfy {
                        (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x5F
                    }
            }
            // What ends with a number is an address that is written in another way, such as 127.1.
            guard isName, text.utf8.count <= 253, let last = labels.last, UInt64(last) == nil,
                !last.hasPrefix("0x")
            else { return nil }
            self = .name(text.lowercased())
        }
    }

    /// The address or the name; an address of IPv6 in brackets.
    package var text: String {
        switch self {
        case .ipv4(let number): [24, 16, 8, 0].map { String((number >> UInt32($0)) & 0xFF) }.joined(separator: ".")
        case .ipv6(let text, _): "[\(text)]"
        case .name(let name): name
        }
    }

    /// Whether it is the sandbox itself: its loopback device, or the unspecified address, which stands for it.
    var isLoopback: Bool {
        switch self {
        case .ipv4(let number): number >> 24 == 127 || number == 0
        case .ipv6(_, let bytes): bytes.prefix(15).allSatisfy { $0 == 0 } && bytes[15] <= 1
        case .name(let name): name == "localhost"
        }
    }
}

/// An address of the web, read strictly: `http` or `https`, a host, a port, a path with its query, and nothing else.
///
/// It holds printable ASCII alone, without quotes and backslashes, so that it can become no other part of a request and
/// no other option of a program. Names of users and passwords in it are refused.
struct WebAddress: Hashable, CustomStringConvertible {
    /// What two addresses have in common that are answered by the same server.
    struct Origin: Hashable {
        var isSecure: Bool
        /// Lower-case letters; an IPv6 address without its brackets.
        var host: String
        var port: Int
    }

    private static let longest = 8192

    var origin: Origin
    /// The path with its query, from its slash on.
    private(set) var path: String

    /// The address, for a request.
    var text: String { Self.text(origin) + path }
    /// The address without its query, which may hold a key.
    var description: String { Self.text(origin) + String(path.prefix { $0 != "?" }) }

    /// Another path of the same server.
    func with(path: String) -> WebAddress? { WebAddress(Self.text(origin) + path) }

    private static func text(_ origin: Origin) -> String {
        let host = origin.host.utf8.contains(UInt8(ascii: ":")) ? "[\(origin.host)]" : origin.host
        return (origin.isSecure ? "https://" : "http://") + host + ":\(origin.port)"
    }

    /// The root of a server.
    init(origin: Origin) {
        self.origin = origin
        path = "/"
    }

    init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.longest, bytes.allSatisfy(Self.isPlain) else { return nil }
        let isSecure = bytes.starts(with: "https://".utf8)
        guard isSecure || bytes.starts(with: "http://".utf8) else { return nil }
        let rest = bytes.dropFirst(isSecure ? 8 : 7).prefix { $0 != UInt8(ascii: "#") }
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") }
        guard let (host, port) = Self.server(authority, isSecure ? 443 : 80) else { return nil }
        let tail = rest.dropFirst(authority.count)
        origin = Origin(isSecure: isSecure, host: host, port: port)
        path = (tail.first == UInt8(ascii: "/") ? "" : "/") + String(decoding: tail, as: UTF8.self)
    }

    /// What a `Location` of an answer from this address names; nil where that is none that may be followed.
    func following(_ location: String) -> WebAddress? {
        let bytes = Array(location.utf8)
        if bytes.starts(with: "//".utf8) { return WebAddress((origin.isSecure ? "https:" : "http:") + location) }
        if bytes.first == UInt8(ascii: "/") { return with(path: location) }
        // A name beside this one is allowed by the standard and used by no registry.
        return WebAddress(location)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
    }

    private static func server(_ authority: ArraySlice<UInt8>, _ standard: Int) -> (host: String, port: Int)? {
        var host = authority, port = standard
        if let close = authority.lastIndex(of: UInt8(ascii: "]")) {
            guard authority.first == UInt8(ascii: "[") else { return nil }
            host = authority[(authority.startIndex + 1)..<close]
            let isAddress = host.allSatisfy { isHexadecimal($0 | 0x20) || $0 == UInt8(ascii: ":") }
            guard host.contains(UInt8(ascii: ":")), isAddress else { return nil }
            let rest = authority[(close + 1)...]
            if !rest.isEmpty {
                guard rest.first == UInt8(ascii: ":"), let number = self.port(rest.dropFirst()) else { return nil }
                port = number
            }
        } else {
            if let colon = authority.lastIndex(of: UInt8(ascii: ":")) {
                guard let number = self.port(authority[(colon + 1)...]) else { return nil }
                host = authority[..<colon]
                port = number
            }
            guard host.allSatisfy({ isLetterOrDigit($0) || $0 == 0x2D || $0 == 0x2E || $0 == 0x5F }) else { return nil }
        }
        // A first dash would be an option of the resolver's.
        guard (1...253).contains(host.count), host.first != 0x2D else { return nil }
        return (String(decoding: host, as: UTF8.self).lowercased(), port)
    }

    private static func port(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard (1...5).contains(bytes.count), bytes.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(String(decoding: bytes, as: UTF8.self)), (1...65535).contains(number)
        else { return nil }
        return number
    }
}

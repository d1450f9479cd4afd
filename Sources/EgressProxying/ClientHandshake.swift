import Isolation

/// What a program says to the proxy until it is clear where it wants to go: HTTP or SOCKS, told apart by the first byte.
///
/// Bytes in, decisions out; no I/O.
struct ClientHandshake {
    /// What a program asks for.
    struct Request: Equatable {
        var way: EgressRecord.Way
        /// The host and the port as the program named them, made printable.
        var host: String
        var port: UInt16
        /// Nil where what it named is no host, for that reason.
        var destination: EgressDestination?
        var fault: String?
        /// What the program gets before anything else.
        var greeting: [UInt8] = []
        /// What the host gets first, in place of what the program said.
        var head: [UInt8] = []
        /// How much follows; nil for everything.
        var body: RequestHead.Body?
        /// What the program has sent beyond the handshake.
        var rest: ArraySlice<UInt8> = []
    }

    /// What is to be done.
    enum Step: Equatable {
        /// Nothing but to send this and to read on.
        case more([UInt8])
        case request(Request)
        /// This is the answer, and the end; the reason is for the ledger.
        case refuse([UInt8], reason: String)
    }

    private var bytes: [UInt8] = []
    private var looked = 0
    private var isGreeted = false

    /// Takes what has arrived; after a request or a refusal it is not called again.
    mutating func take(_ arrived: some Sequence<UInt8>) -> Step {
        bytes += arrived
        guard let first = bytes.first else { return .more([]) }
        if isGreeted { return socksRequest() }
        switch first {
        case 5: return socks()
        case 4:
            return .refuse([0, 0x5B, 0, 0, 0, 0, 0, 0], reason: "SOCKS of version 4 cannot name hosts; use version 5")
        default: return http()
        }
    }

    // MARK: - SOCKS (RFC 1928)

    private mutating func socks() -> Step {
        guard bytes.count >= 2, bytes.count >= 2 + Int(bytes[1]) else { return .more([]) }
        let methods = bytes[2..<(2 + Int(bytes[1]))]
        guard methods.contains(0) else {
            return .refuse([5, 0xFF], reason: "the program wants to log in, and there is nothing to log in to")
        }
        isGreeted = true
        bytes.removeFirst(2 + methods.count)
        // Who does not wait for the answer gets it with the next one.
        switch socksRequest() {
        case .more: return .more([5, 0])
        case .refuse(let answer, let reason): return .refuse([5, 0] + answer, reason: reason)
        case .request(var request):
            request.greeting = [5, 0]
            return .request(request)
        }
    }

    private func socksRequest() -> Step {
        guard bytes.count >= 5 else { return .more([]) }
        guard bytes[0] == 5, bytes[2] == 0 else {
            return .refuse(ProxyReply.socks(.failure), reason: "the request of SOCKS is malformed")
        }
        guard bytes[1] == 1 else {
            return .refuse(ProxyReply.socks(.unknownCommand), reason: "only CONNECT is done by SOCKS here")
        }
        let length: Int
        var start = 4
        switch bytes[3] {
        case 1: length = 4
        case 4: length = 16
        case 3:
            length = Int(bytes[4])
            start = 5
        default:
            return .refuse(
                ProxyReply.socks(.unknownAddress), reason: "the request of SOCKS has no known kind of address")
        }
        guard bytes.count >= start + length + 2 else { return .more([]) }
        let field = bytes[start..<(start + length)]
        let port = UInt16(bytes[start + length]) << 8 | UInt16(bytes[start + length + 1])
        let text = bytes[3] == 3 ? String(decoding: field, as: UTF8.self) : IPAddress(bytes: field)?.description ?? ""
        var request = Self.request(.socks, text, port)
        request.rest = bytes[(start + length + 2)...]
        return .request(request)
    }

    // MARK: - HTTP

    private mutating func http() -> Step {
        do throws(RequestHead.Fault) {
            guard let length = try RequestHead.length(of: bytes, from: looked) else {
                looked = bytes.count
                return .more([])
            }
            let head = try RequestHead(bytes[..<length])
            var request = try head.method == "CONNECT" ? Self.tunnel(head) : Self.plain(head)
            request.rest = bytes[length...]
            return .request(request)
        } catch {
            return .refuse(ProxyReply.http(error.status, error.reason), reason: error.reason)
        }
    }

    private static func tunnel(_ head: RequestHead) throws(RequestHead.Fault) -> Request {
        let (host, port) = try authority(head.target[...], port: nil)
        return request(.connect, host, port)
    }

    private static func plain(_ head: RequestHead) throws(RequestHead.Fault) -> Request {
        guard let scheme = head.target.utf8.firstIndex(of: UInt8(ascii: ":")), !head.target.hasPrefix("/") else {
            throw .init(400, "this is a proxy: the target of a request is a whole URL")
        }
        guard head.target[..<scheme].lowercased() == "http", head.target[scheme...].hasPrefix("://") else {
            throw .init(501, "only URLs with `http` are fetched here; others go by CONNECT")
        }
        let rest = head.target[head.target.index(scheme, offsetBy: 3)...]
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        let (host, port) = try authority(rest[..<end], port: 80)
        var path = rest[end...]
        if let fragment = path.firstIndex(of: "#") { path = path[..<fragment] }
        var request = request(.http, host, port)
        guard let destination = request.destination else { return request }
        let text = destination.description
        // As a URL has it: without the port that goes without saying.
        let name = port == 80 ? String(text.dropLast(3)) : text
        request.body = try head.body()
        request.head = try head.forwarded(authority: name, path: path.hasPrefix("/") ? path : "/" + path)
        return request
    }

    private static func authority(
        _ text: Substring, port: UInt16?
    ) throws(RequestHead.Fault) -> (host: String, port: UInt16) {
        guard !text.contains("@") else { throw .init(400, "a user in the name of a host means nothing to a proxy") }
        if let port, text.hasSuffix("]") || !text.contains(":") { return (String(text), port) }
        guard let colon = text.lastIndex(of: ":"), let number = UInt16(text[text.index(after: colon)...]), number > 0,
            text[text.index(after: colon)...].utf8.allSatisfy({ (48...57).contains($0) })
        else { throw .init(400, "the target has no port from 1 to 65535") }
        return (String(text[..<colon]), number)
    }

    private static func request(_ way: EgressRecord.Way, _ host: String, _ port: UInt16) -> Request {
        do throws(HostName.Fault) {
            let named = try EgressDestination.host(host)
            let text =
                switch named {
                case .name(let name): name.description
                case .address(let address): address.description
                }
            return Request(way: way, host: text, port: port, destination: EgressDestination(named, port: port))
        } catch {
            return Request(way: way, host: printable(host), port: port, fault: "the host \(error.reason)")
        }
    }

    /// At most 80 bytes of a text, with a question mark for whatever is not plain.
    private static func printable(_ text: String) -> String {
        String(decoding: text.utf8.prefix(80).map { $0 > 0x20 && $0 < 0x7F ? $0 : UInt8(ascii: "?") }, as: UTF8.self)
    }
}

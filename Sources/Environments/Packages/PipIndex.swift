import FoundationEssentials
import SystemPackage

/// The package indexes that the host's pip is set up for, asked by the host: curl as nobody, over HTTPS.
///
/// An index on this machine may be asked without TLS; what else is not encrypted promises nothing that could be kept for
/// other builds. Nothing is connected to but the index's own host and public addresses.
struct PipIndex {
    /// An index, and what it wants to be told.
    private struct Place {
        /// The address without a name of a user, and without a slash at its end.
        let address: String
        let host: String
        let authorization: String?
    }

    private static let standard = "https://pypi.org/simple"
    private static let hops = 4

    private let places: [Place]
    private let transfer: WebTransfer
    private let isCancelled: () -> Bool
    private var resolver = HostResolver()

    init(settings: HostSettings, isCancelled: @escaping () -> Bool) {
        let addresses = words(settings.pip["index-url"] ?? Self.standard) + words(settings.pip["extra-index-url"] ?? "")
        places = addresses.compactMap(Self.place)
        var variables = settings.variables
        if let proxy = settings.pip["proxy"] {
            for name in ["http_proxy", "https_proxy"] { variables[name] = proxy }
        }
        if let authorities = settings.pip["cert"] { variables["CURL_CA_BUNDLE"] = authorities }
        transfer = WebTransfer(variables: variables)
        self.isCancelled = isCancelled
    }

    private static func place(_ text: String) -> Place? {
        guard let scheme = text.firstRange(of: "://") else { return nil }
        let rest = text[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" }
        let login = authority.lastIndex(of: "@").map { authority[..<$0] }
        let address = text[..<scheme.upperBound] + rest.dropFirst(login.map { $0.count + 1 } ?? 0)
        guard let host = WebAddress(String(address))?.origin.host else { return nil }
        let authorization = login.map { login in
            let plain = withoutPercentSigns(String(login))
            return "Authorization: Basic " + Data(plain.utf8).base64EncodedString()
        }
        let trimmed = String(address.reversed().drop { $0 == "/" }.reversed())
        return Place(address: trimmed, host: host, authorization: authorization)
    }

    /// The project whose page an address is; nil for the address of anything else.
    func project(_ address: String) -> String? {
        for place in places where address.hasPrefix(place.address + "/") {
            let name = address.dropFirst(place.address.utf8.count + 1).drop { $0 == "/" }
            let bare = name.hasSuffix("/") ? name.dropLast() : name
            let isName = bare.utf8.allSatisfy { byte in
                (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte) || byte == 0x2D
            }
            if (1...200).contains(bare.utf8.count), isName { return String(bare) }
        }
        return nil
    }

    /// What the indexes promise for a project's files, by their addresses; one that does not answer promises nothing.
    mutating func pages(of project: String) throws -> [IndexPage] {
        var pages: [IndexPage] = []
        for place in places {
            let address = place.address + "/" + project + "/"
            var body: [UInt8] = []
            do {
                let (head, final) = try get(address, limit: IndexPage.limit) { body += $0 }
                pages.append(IndexPage(body, type: head["content-type"] ?? "", address: final))
            } catch is WebFailure {}
        }
        return pages
    }

    /// Fetches what an address answers; gives the head of the answer, and the address that gave it.
    @discardableResult
    mutating func get(
        _ start: String, limit: Int64, _ body: ([UInt8]) throws -> Void
    ) throws -> (ResponseHead, String) {
        var text = start
        for _ in 0..<Self.hops {
            guard let address = WebAddress(text) else { throw WebFailure(cause: .unsayable) }
            let head = try transfer.send(try request(address, text, limit), isCancelled: isCancelled) { head, part in
                if head.status == 200 { try body(part) }
            }
            if head.status == 200 { return (head, text) }
            guard (301...308).contains(head.status), let next = head["location"],
                let resolved = IndexPage.resolve(next, at: text)
            else { break }
            text = resolved
        }
        throw WebFailure(cause: .malformed)
    }

    private mutating func request(_ address: WebAddress, _ text: String, _ limit: Int64) throws -> WebRequest {
        let addresses = try resolver.addresses(of: address.origin.host, isCancelled: isCancelled)
        let isHere = !addresses.isEmpty && addresses.allSatisfy { $0.reach == .machine }
        let isIndex = places.contains { $0.host == address.origin.host }
        guard address.origin.isSecure || isHere && isIndex, !addresses.isEmpty || transfer.hasProxy,
            isIndex || addresses.allSatisfy({ $0.reach == .everywhere })
        else { throw WebFailure(cause: .unsayable) }
        var request = WebRequest(address: address, fields: ["Accept: " + IndexPage.accepted], limit: limit)
        request.pinned = addresses
        request.usesProxy = transfer.hasProxy && !isHere
        request.timeLimit = 600
        if let place = places.first(where: { text.hasPrefix($0.address + "/") }), let told = place.authorization {
            request.fields.append(told)
        }
        return request
    }
}

import FoundationEssentials
import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A conversation with a registry about one repository (OCI distribution specification).
///
/// What the registry says decides nothing that matters: redirections are followed a few times, never from HTTPS to HTTP,
/// and never to a network that the registry is not in itself; credentials go to the registry and to the server of tokens
/// that it names, and are not passed on when an answer sends elsewhere; a token is asked for once a question, and for
/// pulling this repository alone.
final class RegistryClient {
    /// Something to be asked for.
    struct Question {
        /// What it is, for messages.
        var what: String
        /// The path below that of the repository.
        var path: String
        var accept: [String] = []
        var wantsHead = false
        /// From which byte on it is wanted.
        var offset: Int64 = 0
        /// The longest answer, in bytes.
        var limit: Int64
        /// How long the answer may take, in seconds.
        var timeLimit: Int?
    }

    private static let hops = 5
    private static let refusalLimit = 64 << 10, tokenLimit = 1 << 20, longestToken = 32 << 10

    let reference: ImageReference
    let credentials: RegistryCredentials?
    private let allowsPlain: Bool
    private let transfer: WebTransfer
    private let isCancelled: () -> Bool
    private var resolver = HostResolver()
    /// The registry, once it has answered; and from where it can be reached.
    private var registry: WebAddress?
    private var reaches: Set<NetworkAddress.Reach> = []
    private var authorization: String?

    init(
        _ reference: ImageReference, allowsPlain: Bool, credentials: RegistryCredentials?, transfer: WebTransfer,
        isCancelled: @escaping () -> Bool
    ) {
        self.reference = reference
        self.allowsPlain = allowsPlain
        self.credentials = credentials
        self.transfer = transfer
        self.isCancelled = isCancelled
    }

    /// Asks for something below the repository; `body` gets it as it comes.
    ///
    /// Throws `ImportError`, `WebFailure`, `RegistryRefusal`, `ChildProgram.Stopped`, and what `body` throws.
    func ask(_ question: Question, body: (ResponseHead, [UInt8]) throws -> Void) throws -> ResponseHead {
        let registry = try registry ?? connect()
        guard let address = registry.with(path: "/v2/\(reference.repository)/\(question.path)") else {
            throw WebFailure(cause: .unsayable)
        }
        var isRenewed = false
        while true {
            do {
                return try follow(address, question, body)
            } catch let refusal as Unauthorized where !isRenewed {
                isRenewed = true
                try authorize(refusal.head, refusal.refusal)
            } catch let refusal as Unauthorized {
                throw refusal.refusal
            }
        }
    }

    /// Asks until there is an answer or it has failed for good: passing failures are waited out a few times.
    func patiently<Value>(_ body: () throws -> Value) throws -> Value {
        for pause in [1, 2, 4] {
            do {
                return try body()
            } catch let failure as WebFailure where failure.isPassing {
            } catch let refusal as RegistryRefusal where refusal.isPassing {}
            let end = Syscall.monotonicSeconds() + Double(pause)
            while Syscall.monotonicSeconds() < end {
                if isCancelled() { throw ChildProgram.Stopped() }
                usleep(100_000)
            }
        }
        return try body()
    }

    /// Any error of a question, as it is told.
    func described(_ error: any Error, _ what: String) -> BuildError {
        switch error {
        case let error as BuildError: error
        case is ChildProgram.Stopped: .cancelled
        case let error as ImportError: .image(error)
        case let error as RegistryRefusal: .image(error.error(credentials: credentials))
        case let error as WebFailure:
            .image(
                error.error(what, error.address ?? registry ?? WebAddress("https://" + reference.host) ?? Self.nowhere))
        case let error as SyscallError where error.errno == .noSpace:
            .image(ImportError(.host, "\(what): there is no room on the disk", hint: "make room; what came is kept"))
        case let error as SyscallError: .store(.system(error))
        default: .executor(.ask(reference.host), "\(error)")
        }
    }

    private static let nowhere = WebAddress(origin: .init(isSecure: true, host: "?", port: 443))
}

// MARK: - One answer

extension RegistryClient {
    /// The registry wants to be asked in another way.
    private struct Unauthorized: Error {
        let head: ResponseHead, refusal: RegistryRefusal
    }

    private func follow(
        _ start: WebAddress, _ question: Question, _ body: (ResponseHead, [UInt8]) throws -> Void
    ) throws -> ResponseHead {
        var address = start
        for _ in 0...Self.hops {
            var request = try request(address, limit: question.limit, what: question.what)
            request.wantsHead = question.wantsHead
            request.timeLimit = question.timeLimit
            if !question.accept.isEmpty {
                request.fields.append("Accept: " + question.accept.joined(separator: ", "))
            }
            if question.offset > 0 { request.fields.append("Range: bytes=\(question.offset)-") }
            if address.origin == start.origin, let authorization {
                request.fields.append("Authorization: " + authorization)
            }
            let (head, said) = try naming(address) { try send(request, limit: question.limit, body) }
            switch head.status {
            case 200, 206: return head
            case 301, 302, 303, 307, 308:
                guard let location = head["location"], let next = address.following(location) else {
                    throw ImportError(
                        .invalid, "\(question.what): `\(address.origin.host)` sends to an address that is none",
                        hint: "only addresses of HTTP and HTTPS are followed: the registry is broken, or hostile")
                }
                guard next.origin.isSecure || !address.origin.isSecure else {
                    throw ImportError(
                        .invalid, "\(question.what): `\(address.origin.host)` sends from HTTPS to HTTP, to `\(next)`",
                        hint: "the registry has to be repaired")
                }
                address = next
            case 401 where address.origin == start.origin:
                throw Unauthorized(
                    head: head, refusal: RegistryRefusal(head, question.what, address, body: said))
            default: throw RegistryRefusal(head, question.what, address, body: said)
            }
        }
        throw ImportError(
            .invalid, "\(question.what): `\(start.origin.host)` sends elsewhere more than \(Self.hops) times",
            hint: "the registry is broken, or hostile")
    }

    /// Has a failure tell whom it is about, which may be somebody that the registry sends to.
    private func naming<Value>(_ address: WebAddress, _ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch var failure as WebFailure {
            failure.address = address
            throw failure
        }
    }

    /// Sends a request; what is no success is kept up to a limit, and its rest is not waited for.
    private func send(
        _ request: WebRequest, limit: Int64, _ body: (ResponseHead, [UInt8]) throws -> Void
    ) throws -> (ResponseHead, refusal: [UInt8]) {
        struct Enough: Error { let head: ResponseHead }
        var length: Int64 = 0
        var refusal: [UInt8] = []
        do {
            let head = try transfer.send(request, isCancelled: isCancelled) { head, part in
                guard head.status == 200 || head.status == 206 else {
                    refusal += part
                    if refusal.count >= Self.refusalLimit { throw Enough(head: head) }
                    return
                }
                length += Int64(part.count)
                guard length <= limit else { throw WebFailure(cause: .tooLong) }
                try body(head, part)
            }
            return (head, refusal)
        } catch let enough as Enough {
            return (enough.head, refusal)
        }
    }

    /// A request to an address that may be asked.
    private func request(_ address: WebAddress, limit: Int64, what: String) throws -> WebRequest {
        let addresses = try resolver.addresses(of: address.origin.host, isCancelled: isCancelled)
        let isHere = !addresses.isEmpty && addresses.allSatisfy { $0.reach == .machine }
        guard !addresses.isEmpty || transfer.hasProxy else {
            throw ImportError(
                .unreachable, "\(what): the host `\(address.origin.host)` has no address",
                hint: "check the name; behind a proxy set `https_proxy`")
        }
        if let registry, address.origin.host != registry.origin.host {
            for found in addresses where found.reach != .everywhere && !reaches.contains(found.reach) {
                throw ImportError(
                    .denied,
                    "\(what): `\(registry.origin.host)` sends to `\(address.origin.host)`, \(found.reach.rawValue)"
                        + (found.text == address.origin.host ? "" : " (\(found.text))"),
                    hint: "a registry may send to public addresses, and to those of its own network")
            }
        }
        guard address.origin.isSecure || allowsPlain || isHere else {
            throw ImportError(
                .denied, "\(what): `\(address)` is not HTTPS",
                hint: "for a registry without, that you trust the network to, use `--insecure`")
        }
        var request = WebRequest(address: address, limit: max(limit, Int64(Self.refusalLimit)))
        request.pinned = addresses
        request.usesProxy = transfer.hasProxy && !isHere
        return request
    }
}

// MARK: - The beginning

extension RegistryClient {
    /// Finds out how the registry is reached: by HTTPS, and only where that is allowed by HTTP.
    private func connect() throws -> WebAddress {
        try WebTransfer.check()
        let what = "ask `\(reference.host)`"
        guard let secure = WebAddress("https://\(reference.host)/v2/"),
            let plain = WebAddress("http://\(reference.host)/v2/")
        else { throw WebFailure(cause: .unsayable) }
        let addresses = try resolver.addresses(of: secure.origin.host, isCancelled: isCancelled)
        let isHere = !addresses.isEmpty && addresses.allSatisfy { $0.reach == .machine }
        let found: WebAddress
        do {
            try knock(secure, what)
            found = secure
        } catch let failure as WebFailure where failure.isWithoutTLS && (isHere || allowsPlain) {
            try knock(plain, what)
            found = plain
        }
        registry = found
        reaches = Set(addresses.map(\.reach))
        return found
    }

    /// Any answer will do.
    private func knock(_ address: WebAddress, _ what: String) throws {
        var request = try request(address, limit: 0, what: what)
        request.timeLimit = 60
        do {
            _ = try send(request, limit: Int64(Self.refusalLimit)) { _, _ in }
        } catch let failure as WebFailure where !(failure.isWithoutTLS && address.origin.isSecure) {
            throw failure.error(what, address)
        }
    }

    /// Does what a registry asks for that wants to know who asks.
    private func authorize(_ head: ResponseHead, _ refusal: RegistryRefusal) throws {
        switch RegistryChallenge(head.values("www-authenticate")) {
        case nil: throw refusal
        case .basic?:
            guard let credentials else { throw refusal }
            authorization = "Basic " + credentials.basic
        case .bearer(let realm, let service, _)?:
            authorization = "Bearer " + (try token(realm: realm, service: service, refusal))
        }
    }

    private func token(realm: String, service: String?, _ refusal: RegistryRefusal) throws -> String {
        let what = "ask for a token"
        // Whatever the registry would like a token for, one for reading this repository is all that it gets.
        var query = "scope=" + queryPart("repository:\(reference.repository):pull")
        if let service { query = "service=\(queryPart(service))&" + query }
        guard let registry, let address = WebAddress(realm + (realm.utf8.contains(0x3F) ? "&" : "?") + query) else {
            throw ImportError(
                .invalid, "\(what): the registry names `\(printable(realm, limit: 120))`, which is no address",
                hint: "only addresses of HTTP and HTTPS are asked: the registry is broken, or hostile")
        }
        guard address.origin.isSecure || !registry.origin.isSecure else {
            throw ImportError(
                .invalid, "\(what): the registry sends from HTTPS to HTTP, to `\(address)`",
                hint: "the registry has to be repaired")
        }
        var request = try request(address, limit: Int64(Self.tokenLimit), what: what)
        request.timeLimit = 60
        // A password that nothing hides is for the registry itself at most.
        if let credentials, address.origin.isSecure || address.origin.host == registry.origin.host {
            request.fields.append("Authorization: Basic " + credentials.basic)
        }
        var bytes: [UInt8] = []
        let (head, said) = try send(request, limit: Int64(Self.tokenLimit)) { bytes += $1 }
        guard head.status == 200 else { throw RegistryRefusal(head, what, address, body: said) }
        struct Document: Decodable {
            var token: String?
            var access_token: String?
        }
        let document = try? JSONDecoder().decode(Document.self, from: Data(bytes))
        guard let token = document?.token ?? document?.access_token, (1...Self.longestToken).contains(token.utf8.count),
            token.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw ImportError(
                .invalid, "\(what): `\(address.origin.host)` answers without one",
                hint: "the registry is broken, or hostile")
        }
        return token
    }
}

import FoundationEssentials
import LinuxSystem
import PlainText
import SystemPackage

/// An answer of a registry that is none of those hoped for.
struct RegistryRefusal: Error {
    let status: Int
    /// What was asked for, and where.
    let what: String, address: WebAddress
    /// What the registry said of it, safe to show; empty where it said nothing.
    let said: String

    init(_ head: ResponseHead, _ what: String, _ address: WebAddress, body: [UInt8]) {
        struct Document: Decodable {
            struct Entry: Decodable {
                var code: String?
                var message: String?
            }
            var errors: [Entry]?
        }
        status = head.status
        self.what = what
        self.address = address
        let first = (try? JSONDecoder().decode(Document.self, from: Data(body)))?.errors?.first
        let parts = [first?.code, first?.message].compactMap(\.self).filter { !$0.isEmpty }
        said = printable(parts.joined(separator: ": "), limit: 300)
    }

    /// Whether the same question may be answered a moment later.
    var isPassing: Bool { [429, 500, 502, 503, 504].contains(status) }

    func error(credentials: RegistryCredentials?) -> ImportError {
        let because = said.isEmpty ? "" : " (\(said))"
        let server = address.origin.host
        switch status {
        case 401, 403:
            let hint =
                if let file = credentials?.file {
                    "the name and password in `\(printable(file.string, limit: 4096))` may be old: log in again"
                } else {
                    "check the name; for a private image `docker login \(server)` or `skopeo login \(server)`"
                        + " writes the credentials that are used here"
                }
            return ImportError(.denied, "\(what): `\(server)` refuses it\(because)", hint: hint)
        case 404:
            return ImportError(
                .notFound, "\(what): `\(server)` has no such image\(because)", hint: "check the name and the tag")
        case 429:
            return ImportError(
                .unreachable, "\(what): `\(server)` has had too many requests\(because)",
                hint: "wait, or log in with `docker login`: registries let known users ask more often")
        default:
            return ImportError(
                .unreachable, "\(what): `\(server)` answers with status \(status)\(because)",
                hint: "see whether it is a registry; try again later")
        }
    }
}

extension WebFailure {
    func error(_ what: String, _ address: WebAddress) -> ImportError {
        let server = "`\(address.origin.host):\(address.origin.port)`"
        let because = said.isEmpty ? "" : ": \(said)"
        switch cause {
        case .tooLong:
            return ImportError(
                .invalid, "\(what): \(server) sends more than was promised", hint: "the registry is broken, or hostile")
        case .malformed, .program(1), .program(8):
            return ImportError(
                .invalid, "\(what): what \(server) answers is not HTTP\(because)", hint: "see whether it is a registry")
        case .unsayable:
            return ImportError(
                .invalid, "\(what): \(server) asks for a request with characters that none may have",
                hint: "the registry is broken, or hostile")
        case .program(60), .program(77):
            return ImportError(
                .unreachable, "\(what): the certificate of \(server) is not one that this host trusts\(because)",
                hint: "for an authority of your own name its certificate in SSL_CERT_FILE")
        case .program(35):
            return ImportError(
                .unreachable, "\(what): \(server) does not speak HTTPS\(because)",
                hint: "for a registry without, that you trust the network to, use `--insecure`")
        case .program(let status):
            return ImportError(
                .unreachable,
                "\(what): \(server) cannot be reached\(because.isEmpty ? ": curl ended with \(status)" : because)",
                hint: "check the host and the network; behind a proxy set `https_proxy`")
        }
    }
}

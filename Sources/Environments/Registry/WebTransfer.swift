import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One request over HTTP.
struct WebRequest {
    var address: WebAddress
    /// Whether only the head of the answer is wanted.
    var wantsHead = false
    /// Fields as `Name: value`, of printable ASCII.
    var fields: [String] = []
    /// What is posted: printable ASCII; nil asks for something instead.
    var body: [UInt8]?
    /// The addresses of its host that were found good.
    ///
    /// No other is connected to; there are none where a proxy connects.
    var pinned: [NetworkAddress] = []
    var usesProxy = false
    /// The longest body, in bytes.
    var limit: Int64
    /// How long all of it may take, in seconds.
    var timeLimit: Int?

    /// What curl(1) reads from its standard input; nil where a value could become an option of its own.
    var configuration: [UInt8]? {
        var lines = [
            "include", "no-buffer", "silent", "show-error", "globoff", "path-as-is", "http1.1",
            "suppress-connect-headers",
            "connect-timeout = 20", "speed-limit = 64", "speed-time = 60",
            // Nothing but what this address says, whatever an answer asks for.
            "proto = \"=\(address.origin.isSecure ? "https" : "http")\"", "max-redirs = 0", "user-agent = \"cloche\"",
        ]
        // What a head says of a length is that of no body.
        if limit > 0, limit < .max, !wantsHead { lines.append("max-filesize = \(limit)") }
        if let timeLimit { lines.append("max-time = \(timeLimit)") }
        if wantsHead { lines.append("head") }
        if !usesProxy { lines.append("noproxy = \"*\"") }
        var values = [("url", address.text)] + fields.map { ("header", $0) }
        if let body { values.append(("data-raw", String(decoding: body, as: UTF8.self))) }
        // An address has nothing to be resolved.
        if !pinned.isEmpty, NetworkAddress(address.origin.host) == nil {
            let list = pinned.map { $0.text.contains(":") ? "[\($0.text)]" : $0.text }.joined(separator: ",")
            values.append(("resolve", "\(address.origin.host):\(address.origin.port):\(list)"))
        }
        for (name, value) in values {
            guard value.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
            let quoted = value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            lines.append("\(name) = \"\(quoted)\"")
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }
}

/// Why a request had no answer.
struct WebFailure: Error {
    enum Cause: Equatable {
        /// curl(1) ended with this status.
        case program(Int32)
        /// The answer's body is longer than what was asked for.
        case tooLong
        /// What came is no answer of HTTP.
        case malformed
        /// The request has a value that cannot be passed on.
        case unsayable
    }

    let cause: Cause
    /// What curl said, safe to show.
    var said = ""
    /// Who did not answer, where that is not the registry itself.
    var address: WebAddress?

    /// Whether the same request may succeed a moment later: a name server, a connection, a time-out.
    var isPassing: Bool { [5, 6, 7, 16, 18, 28, 52, 55, 56].contains { cause == .program($0) } }
    /// Whether there is no TLS where it was tried, or nobody at all.
    var isWithoutTLS: Bool { cause == .program(35) || cause == .program(7) }
}

/// Requests over HTTP by Debian's curl, a process for each.
///
/// It reads no file of the user's, has no file to write, follows no redirection, and ends with us; for root it runs as
/// nobody.
struct WebTransfer {
    private static let curl = "/usr/bin/curl", setpriv = "/usr/bin/setpriv"

    /// Variables of ours that it may have: proxies, and authorities to trust.
    let variables: [String: String]

    init(variables: [String: String]) {
        let names = [
            "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
            "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE",
        ]
        self.variables = variables.filter { names.contains($0.key) && !$0.value.isEmpty }
    }

    /// Whether requests to others than this machine go through a proxy.
    var hasProxy: Bool {
        variables.keys.contains { $0.lowercased().hasSuffix("_proxy") && $0.lowercased() != "no_proxy" }
    }

    /// What is missing on this host for it, with the remedy.
    static func check() throws(ImportError) {
        for (program, package) in [(curl, "curl"), (setpriv, "util-linux")] where !Syscall.exists(FilePath(program)) {
            throw ImportError(
                .host, "ask a registry: there is no `\(program)` on this host",
                hint: "install Debian's package `\(package)`")
        }
    }

    /// Makes a request; `body` gets the answer's body as it comes, with the head before it.
    ///
    /// Throws `WebFailure`, `ChildProgram.Stopped` when cancelled, what `body` throws, and what the system refuses.
    func send(
        _ request: WebRequest, isCancelled: () -> Bool, body: (ResponseHead, [UInt8]) throws -> Void
    ) throws -> ResponseHead {
        guard let configuration = request.configuration, configuration.count <= ChildProgram.inputLimit else {
            throw WebFailure(cause: .unsayable)
        }
        var arguments = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs"]
        if geteuid() == 0 { arguments += ["--reuid", "65534", "--regid", "65534", "--clear-groups"] }
        arguments += ["--", Self.curl, "--disable", "--config", "-"]
        let program = ChildProgram(
            path: FilePath(Self.setpriv), arguments: arguments, input: configuration,
            variables: ["LC_ALL=C"] + variables.map { "\($0.key)=\($0.value)" })
        var parser = ResponseParser()
        var length: Int64 = 0
        var said: [UInt8] = []
        let status = try program.run(
            isCancelled: isCancelled, errors: { said = Array((said + $0).suffix(4096)) }
        ) { part in
            let content = parser.take(part)
            if parser.isMalformed { throw WebFailure(cause: .malformed) }
            guard let head = parser.head, !content.isEmpty else { return }
            length += Int64(content.count)
            guard length <= request.limit else { throw WebFailure(cause: .tooLong) }
            try body(head, content)
        }
        let last = String(decoding: said, as: UTF8.self).split(whereSeparator: \.isNewline).last ?? ""
        let message = printable(trimmed(last), limit: 300)
        guard status == 0 else {
            throw WebFailure(cause: status == 63 ? .tooLong : .program(status), said: message)
        }
        guard let head = parser.head else { throw WebFailure(cause: .malformed, said: message) }
        return head
    }
}

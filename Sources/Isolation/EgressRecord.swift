/// One connection that a sandbox asked its proxy for: a line of `network.jsonl`.
package struct EgressRecord: Sendable, Hashable, Codable {
    /// How the program asked.
    package enum Way: String, Sendable, Hashable, Codable {
        /// HTTP, CONNECT: what is carried is not looked at.
        case connect
        /// HTTP with a whole URL: one request.
        case http
        /// SOCKS, version 5.
        case socks
        /// A plain connection to a name or an address, without knowing of a proxy.
        case direct
        /// A look-up of a name.
        case dns
    }

    /// What became of it.
    package enum Verdict: String, Sendable, Hashable, Codable {
        case allowed
        /// The policy does not allow it.
        case refused
        /// It is allowed, and there was no connection.
        case failed
    }

    /// When it was asked for.
    package var time: Timestamp
    /// Uuid of the step, in the ledger of a run.
    package var step: String?
    package var via: Way
    /// As the program named it, in the one form of names and addresses; what is neither is shortened.
    package var host: String
    package var port: UInt16
    /// The address that was connected to.
    package var address: String?
    package var verdict: Verdict
    /// The rule that allowed it.
    package var rule: String?
    /// Why it was refused or failed.
    package var reason: String?
    /// The entry of `network.allow` that would allow what was refused; nil where none can be told, as for a look-up.
    package var opens: String?
    /// Bytes to the host, and from it; those of a handshake with the proxy are not counted.
    package var sentBytes: Int64, receivedBytes: Int64
    /// How long it was open.
    package var seconds: Double

    /// Makes a record of a connection that carried nothing.
    package init(
        time: Timestamp, via: Way, host: String, port: UInt16, address: String? = nil, verdict: Verdict,
        rule: String? = nil, reason: String? = nil
    ) {
        self.time = time
        self.via = via
        self.host = host
        self.port = port
        self.address = address
        self.verdict = verdict
        self.rule = rule
        self.reason = reason
        sentBytes = 0
        receivedBytes = 0
        seconds = 0
    }

    private enum CodingKeys: String, CodingKey {
        case time, step, via, host, port, address, verdict, rule, reason, opens
        case sentBytes = "sent_bytes"
        case receivedBytes = "received_bytes"
        case seconds
    }

    /// Host and port as a rule would have them.
    package var destination: String {
        host.contains(":") ? "[\(host)]:\(port)" : via == .dns ? host : "\(host):\(port)"
    }
}

extension EgressRecord {
    /// What was refused, in a clause without its reason.
    package var refusalSummary: String {
        via == .dns ? "it asked for the address of `\(destination)`" : "it wanted a connection to `\(destination)`"
    }
}

/// What supervisor and proxy say to each other, one packet each.
package enum EgressMessage: Sendable, Hashable {
    /// A sandbox begins: its number and rules; descriptors come along, in the order of `EgressSockets`.
    case open(Int, EgressRules)
    /// A sandbox has ended.
    case close(Int)
    /// The proxy is confined and serves.
    case ready
    /// The proxy could not be confined: the failed call, what it acted on, and errno.
    case failed(call: String, object: String, errno: Int32)
    /// A connection of a sandbox has ended, or did not come about.
    case record(Int, EgressRecord)
    /// Everything of a sandbox is closed, and every record of it is told.
    case closed(Int)

    /// The largest packet.
    package static let limit = 128 << 10
}

extension EgressMessage {
    private static let separator = UInt8(ascii: "\t")

    /// The packet.
    package var bytes: [UInt8] {
        let fields: [String]
        switch self {
        case .open(let number, let rules): fields = ["open", "\(number)"] + rules.rules.map(\.description)
        case .close(let number): fields = ["close", "\(number)"]
        case .ready: fields = ["ready"]
        case .failed(let call, let object, let errno): fields = ["failed", call, object, "\(errno)"]
        case .closed(let number): fields = ["closed", "\(number)"]
        case .record(let number, let record):
            fields = [
                "record", "\(number)", "\(record.time.milliseconds)", record.via.rawValue, record.host,
                "\(record.port)",
                record.address ?? "", record.verdict.rawValue, record.rule ?? "", record.reason ?? "",
                record.opens ?? "",
                "\(record.sentBytes)", "\(record.receivedBytes)", "\(Int64(record.seconds * 1000))",
            ]
        }
        return Array(fields.map { $0.utf8.filter { $0 != Self.separator } }.joined(separator: [Self.separator]))
    }

    /// Reads a packet; nil for what is none.
    package init?(_ bytes: [UInt8]) {
        let fields = bytes.split(separator: Self.separator, omittingEmptySubsequences: false).map {
            String(decoding: $0, as: UTF8.self)
        }
        let number = fields.count > 1 ? Int(fields[1]) : nil
        switch (fields.first, fields.count, number) {
        case ("open", 2..., let number?):
            var rules: [EgressRule] = []
            for text in fields.dropFirst(2) {
                guard let rule = try? EgressRule(parsing: text) else { return nil }
                rules.append(rule)
            }
            self = .open(number, EgressRules(rules))
        case ("close", 2, let number?): self = .close(number)
        case ("ready", 1, _): self = .ready
        case ("failed", 4, _): self = .failed(call: fields[1], object: fields[2], errno: Int32(fields[3]) ?? 0)
        case ("closed", 2, let number?): self = .closed(number)
        case ("record", 14, let number?):
            guard let record = Self.record(fields) else { return nil }
            self = .record(number, record)
        default: return nil
        }
    }

    private static func record(_ fields: [String]) -> EgressRecord? {
        guard let time = Int64(fields[2]), let way = EgressRecord.Way(rawValue: fields[3]),
            fields[4].utf8.count <= HostName.limit, let port = UInt16(fields[5]),
            let verdict = EgressRecord.Verdict(rawValue: fields[7]), let sent = Int64(fields[11]),
            let received = Int64(fields[12]), let milliseconds = Int64(fields[13])
        else { return nil }
        func text(_ field: String) -> String? { field.isEmpty ? nil : String(field.unicodeScalars.prefix(300)) }
        var record = EgressRecord(
            time: Timestamp(milliseconds: time), via: way, host: fields[4], port: port, address: text(fields[6]),
            verdict: verdict, rule: text(fields[8]), reason: text(fields[9]))
        // It becomes a line of a document: nothing but a rule in its one form.
        record.opens = (try? EgressRule(parsing: fields[10]))?.description
        record.sentBytes = max(0, sent)
        record.receivedBytes = max(0, received)
        record.seconds = Double(max(0, milliseconds)) / 1000
        return record
    }
}

/// The sockets of a sandbox behind the proxy, made in its network namespace.
package enum EgressSockets {
    /// Where HTTP and SOCKS are spoken, on the loopback of the sandbox.
    package static let proxyPort: UInt16 = 3128
    /// Where names are looked up.
    package static let namePort: UInt16 = 53
    /// Addresses that stand for names in the sandbox: of benchmarks, which no network has (RFC 2544).
    package static let names = IPNetwork(around: IPAddress(version4: 0xC612_0000), prefix: 15)

    /// Variables that tell programs of the proxy.
    ///
    /// `all_proxy` is HTTP as well: clients that know no SOCKS refuse to start when it says `socks5h`.
    package static let variables: [String: String] = {
        let address = "http://127.0.0.1:\(proxyPort)"
        var variables: [String: String] = [:]
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            variables[name] = address
            variables[name.uppercased()] = address
        }
        for name in ["no_proxy", "NO_PROXY"] { variables[name] = "localhost,127.0.0.1,::1" }
        return variables
    }()
}

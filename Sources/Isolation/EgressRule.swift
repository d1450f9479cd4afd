/// One entry of `network.allow`: what a sandbox behind the proxy may connect to.
package struct EgressRule: Sendable, Hashable {
    /// The hosts of a rule.
    package enum Hosts: Sendable, Hashable {
        /// The host of that name.
        case name(HostName)
        /// Every host below the name, at any depth, and not the name itself.
        case below(HostName)
        /// Every address of the block, whoever has it.
        case network(IPNetwork)
    }

    package var hosts: Hosts
    package var port: UInt16

    /// Names both.
    package init(_ hosts: Hosts, port: UInt16) {
        self.hosts = hosts
        self.port = port
    }

    /// Whether everything that `other` allows is allowed by this one too.
    package func covers(_ other: EgressRule) -> Bool {
        guard port == other.port else { return false }
        switch (hosts, other.hosts) {
        case (.name(let own), .name(let name)): return own == name
        case (.below(let own), .name(let name)): return name.isBelow(own)
        case (.below(let own), .below(let name)): return own == name || name.isBelow(own)
        case (.network(let own), .network(let network)): return own.contains(network)
        default: return false
        }
    }
}

extension EgressRule: CustomStringConvertible {
    /// Why a text is no rule: a fragment that follows the text.
    package typealias Fault = HostName.Fault

    /// The shortest prefixes of blocks: larger ones name no network but the world.
    private static let leastPrefix = (version4: 8, version6: 16)

    /// Reads `data.example.org:443`, `*.example.com:443`, `10.1.0.0/16:5432`, `[2001:db8::]/32:443` or `[::1]:80`.
    package init(parsing text: String) throws(Fault) {
        guard text.utf8.count <= HostName.limit + 16 else { throw Fault(reason: "is too long for a host and a port") }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw Fault(reason: "has blanks: each entry is one host and one port")
        }
        guard !text.contains("://") else { throw Fault(reason: "is a URL: leave out what is not `HOST:PORT`") }
        guard let colon = text.lastIndex(of: ":"), !text.hasSuffix("]"), IPAddress(text) == nil else {
            throw Fault(reason: "has no port: write `\(IPAddress(text) == nil ? text : "[\(text)]"):443`")
        }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else {
            throw Fault(reason: "has no port after its last colon: it is a number from 1 to 65535")
        }
        guard digits.utf8.count <= 5, digits.utf8.first != 48, let port = UInt16(digits) else {
            throw Fault(reason: "has a port that is not a number from 1 to 65535")
        }
        self.init(try Self.hosts(text[..<colon]), port: port)
    }

    private static func hosts(_ text: Substring) throws(Fault) -> Hosts {
        if text.contains("*") {
            guard text.hasPrefix("*."), text.dropFirst(2).utf8.count > 0, !text.dropFirst(2).contains("*") else {
                throw Fault(reason: "has a `*` that is not the whole first label, as in `*.example.com:443`")
            }
            return .below(try HostName(text.dropFirst(2)))
        }
        if text.contains("/") || text.hasPrefix("[") { return .network(try network(text)) }
        switch try EgressDestination.host(text) {
        case .name(let name): return .name(name)
        case .address(let address):
            guard address.isVersion4 else {
                throw Fault(reason: "needs brackets around its IPv6 address: `[\(address)]`")
            }
            return .network(IPNetwork(around: address, prefix: 32))
        }
    }

    private static func network(_ text: Substring) throws(Fault) -> IPNetwork {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        var host = parts[0]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]"), host.contains(":") else {
                throw Fault(reason: "has brackets that hold no IPv6 address")
            }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw Fault(reason: "needs brackets around its IPv6 address")
        }
        guard let address = IPAddress(host) else {
            throw Fault(reason: "has no address in its plain form before the `/`")
        }
        guard parts.count == 2 else { return IPNetwork(around: address, prefix: address.width) }
        guard let prefix = Int(parts[1]), (0...address.width).contains(prefix), "\(prefix)" == parts[1] else {
            throw Fault(reason: "has a prefix that is not a number from 0 to \(address.width)")
        }
        guard prefix >= (address.isVersion4 ? leastPrefix.version4 : leastPrefix.version6) else {
            throw Fault(
                reason: "is more than a network: the prefix is at least "
                    + "\(address.isVersion4 ? leastPrefix.version4 : leastPrefix.version6); `network: outbound` is for "
                    + "the whole public network")
        }
        guard let network = IPNetwork(address, prefix: prefix) else {
            throw Fault(
                reason: "has bits beyond its prefix: the network is `\(IPNetwork(around: address, prefix: prefix))`")
        }
        return network
    }

    /// As it is read.
    package var description: String {
        switch hosts {
        case .name(let name): return "\(name):\(port)"
        case .below(let name): return "*.\(name):\(port)"
        case .network(let network):
            if network.address.isVersion4 { return "\(network):\(port)" }
            let prefix = network.prefix == 128 ? "" : "/\(network.prefix)"
            return "[\(network.address)]\(prefix):\(port)"
        }
    }
}

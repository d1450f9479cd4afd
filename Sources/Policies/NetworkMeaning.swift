package import Isolation

/// What the network of a policy means: the one place that tells its kinds apart for people, questions and scores.
extension SandboxPolicy {
    /// The network as a document writes it.
    package var networkText: String {
        guard network == .filtered else { return network.rawValue }
        let rules = (egress?.rules ?? []).map { "\"\($0)\"" }
        return "{mode: filtered, allow: [\(rules.joined(separator: ", "))]}"
    }

    /// What a sandbox reaches, in a sentence without full stop.
    var networkSentence: String {
        switch network {
        case .none: "it reaches no network: there is a loopback device of its own, and nothing else"
        case .filtered:
            "it reaches, by a proxy outside of it, what its list names and nothing else: "
                + (egress?.rules ?? []).map(\.description).joined(separator: ", ")
        case .outbound:
            "it connects to public addresses by a network stack of its own; the host, private and link-local networks "
                + "stay closed"
        case .host: "it has the host's own network, with everything that listens on the host's loopback device"
        }
    }
}

extension SandboxPolicy {
    /// Whether the network has a way to an address, whatever the system calls are.
    func networkAnswer(_ address: NetworkAddress, port: UInt16) -> PolicyAnswer {
        let rule = "network"
        if network != .host, address.isLoopback {
            return PolicyAnswer(
                true, "the sandbox's own loopback device: only what it starts itself listens", rule: rule)
        }
        switch network {
        case .none: return PolicyAnswer(false, "there is no network (ENETUNREACH)", rule: rule)
        case .host: return PolicyAnswer(true, "the host's own network", rule: rule)
        case .filtered: return filteredAnswer(address, port: port)
        case .outbound:
            switch address {
            case .ipv4(let number):
                // The resolver's own address.
                if number == 0xA9FE_0101, port == 53 {
                    return PolicyAnswer(true, "the sandbox's resolver of names", rule: rule)
                }
                if let range = ClosedNetworks.range(of: number) {
                    return PolicyAnswer(false, "\(range) is closed (EACCES)", rule: rule)
                }
                return PolicyAnswer(true, "an address of the public network", rule: rule)
            case .ipv6: return PolicyAnswer(false, "there is no IPv6 (ENETUNREACH)", rule: rule)
            case .name: return PolicyAnswer(true, "if the name stands for a public address", rule: rule)
            }
        }
    }
}

extension SandboxPolicy {
    private func filteredAnswer(_ address: NetworkAddress, port: UInt16) -> PolicyAnswer {
        let found: EgressRule?
        switch address {
        case .ipv4(let number): found = egress?.rule(for: IPAddress(version4: number), port: port)
        case .ipv6(_, let bytes): found = IPAddress(bytes: bytes).flatMap { egress?.rule(for: $0, port: port) }
        case .name(let name): found = (try? HostName(name)).flatMap { egress?.rule(for: $0, port: port) }
        }
        guard let found else {
            return PolicyAnswer(false, "no rule of `network.allow` names it (ENETUNREACH)", rule: "network.allow")
        }
        let byName = if case .name = address { true } else { false }
        return PolicyAnswer(
            true, "`\(found)` names it" + (byName ? ", if the name stands for an address that is open" : ""),
            rule: "network.allow")
    }

    /// The doors of a filtered network: one, however many hosts it leads to.
    private var filteredDoors: [PolicyScore.Door] {
        guard let first = egress?.rules.first else { return [] }
        let host =
            switch first.hosts {
            case .name(let name): name.description
            case .below(let name): "www.\(name)"
            case .network(let network): network.address.description
            }
        return [
            PolicyScore.Door(
                key: "network", points: 0.6, opens: "it sends what it reads to the hosts of its list",
                cost: "what it fetches there", closing: "network: none", probe: "network.internet",
                question: "connect \(host.contains(":") ? "[\(host)]" : host):\(first.port)")
        ]
    }

    /// What the network leaves open.
    var networkDoors: [PolicyScore.Door] {
        switch network {
        case .none: []
        case .filtered: filteredDoors
        case .outbound:
            [
                PolicyScore.Door(
                    key: "network", points: 1.2,
                    opens: "it sends what it reads to any public address, and fetches what it likes",
                    cost: "downloads, and services of others", closing: "network: none", probe: "network.internet",
                    question: "connect 8.8.8.8:443")
            ]
        case .host:
            [
                PolicyScore.Door(
                    key: "network", points: 2.5,
                    opens: "it reaches everything that the host reaches, its loopback device included",
                    cost: "services of the host and of private networks", closing: "network: none",
                    probe: "network.host-loopback", question: "connect 10.0.0.1:443")
            ]
        }
    }
}

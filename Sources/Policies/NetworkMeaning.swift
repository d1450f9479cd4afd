package import Isolation

/// What the network of a policy means: the one place that tells its kinds apart for people, questions and scores.
extension SandboxPolicy {
    /// The network as a document writes it.
    package var networkText: String { network.rawValue }

    /// What a sandbox reaches, in a sentence without full stop.
    var networkSentence: String {
        switch network {
        case .none: "it reaches no network: there is a loopback device of its own, and nothing else"
        case .outbound:
            "it connects to public addresses by a network stack of its own; the host, private and link-local networks "
                + "stay closed"
        case .host: "it has the host's own network, with everything that listens on the host's loopback device"
        }
    }
}

extension SandboxPolicy {
    /// Whether the network has a way to an address, whatever the system calls are.
    func networkAnswer(_ address: NetworkAddress) -> PolicyAnswer {
        let rule = "network"
        if network != .host, address.isLoopback {
            return PolicyAnswer(
                true, "the sandbox's own loopback device: only what it starts itself listens", rule: rule)
        }
        switch network {
        case .none: return PolicyAnswer(false, "there is no network (ENETUNREACH)", rule: rule)
        case .host: return PolicyAnswer(true, "the host's own network", rule: rule)
        case .outbound:
            switch address {
            case .ipv4(let number):
                // The resolver's own address.
                if number == 0xA9FE_0101 { return PolicyAnswer(true, "the sandbox's resolver of names", rule: rule) }
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
    /// What the network leaves open.
    var networkDoors: [PolicyScore.Door] {
        switch network {
        case .none: []
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

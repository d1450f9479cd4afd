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

/// What a sandbox with a filtered network may connect to: `network.allow`.
///
/// A connection by name needs a rule for the name, and goes to addresses of it that are public or in a block that a rule
/// names for the port. A connection by address needs such a block.
package struct EgressRules: Sendable, Hashable {
    package let rules: [EgressRule]

    /// The most rules of a policy.
    package static let limit = 256
    /// The most ports that rules name: each is listened at in the sandbox.
    package static let portLimit = 48

    /// Makes the list of rules.
    package init(_ rules: [EgressRule]) { self.rules = rules }

    /// The ports that rules name, ascending.
    package var ports: [UInt16] { Set(rules.map(\.port)).sorted() }

    /// The blocks of addresses that rules name.
    package var networks: [IPNetwork] {
        rules.compactMap { if case .network(let network) = $0.hosts { network } else { nil } }
    }

    /// The rule that allows connections to a name, before its addresses are known.
    package func rule(for name: HostName, port: UInt16) -> EgressRule? {
        rules.first { $0.covers(EgressRule(.name(name), port: port)) }
    }

    /// The rule that allows connections to an address, whatever it is.
    package func rule(for address: IPAddress, port: UInt16) -> EgressRule? {
        rules.first { $0.covers(EgressRule(.network(IPNetwork(around: address, prefix: address.width)), port: port)) }
    }

    /// Whether any rule names the host, on whatever port.
    package func knows(_ name: HostName) -> Bool { ports.contains { rule(for: name, port: $0) != nil } }

    /// Those of a name's addresses to which a connection may go; `own` are addresses of this host.
    package func open(_ addresses: [IPAddress], port: UInt16, own: Set<IPAddress>) -> [IPAddress] {
        addresses.filter { address in
            (address.isPublic && !own.contains(address) && !own.contains(address.translated ?? address))
                || rule(for: address, port: port) != nil
        }
    }
}

// MARK: - By meaning

extension EgressRules {
    /// The same by as few rules as there can be, in order: equal meanings have equal forms.
    package var canonical: EgressRules {
        var rest = Set(rules)
        // Halves of a block become the block, again and again.
        var changed = true
        while changed {
            changed = false
            for rule in rest {
                guard case .network(let network) = rule.hosts, network.prefix > 0 else { continue }
                let parent = IPNetwork(around: network.address, prefix: network.prefix - 1)
                let sibling = rest.first { other in
                    guard other.port == rule.port, case .network(let block) = other.hosts else { return false }
                    return network.joined(with: block) == parent
                }
                guard let sibling else { continue }
                rest.remove(rule)
                rest.remove(sibling)
                rest.insert(EgressRule(.network(parent), port: rule.port))
                changed = true
                break
            }
        }
        let needed = rest.filter { rule in !rest.contains { $0 != rule && $0.covers(rule) } }
        return EgressRules(needed.map { ($0.description, $0) }.sorted { $0.0 < $1.0 }.map(\.1))
    }

    /// Whether everything that `rule` allows is allowed.
    ///
    /// To be asked of a canonical list.
    package func covers(_ rule: EgressRule) -> Bool { rules.contains { $0.covers(rule) } }

    /// What both allow.
    package func intersection(_ other: EgressRules) -> EgressRules {
        let (left, right) = (canonical, other.canonical)
        let common = left.rules.filter(right.covers) + right.rules.filter(left.covers)
        return EgressRules(common).canonical
    }

    /// What is left when addresses that are not public are closed by blocks too.
    package var withoutSpecialNetworks: EgressRules {
        EgressRules(
            rules.filter { rule in
                if case .network(let network) = rule.hosts { !network.touchesSpecial } else { true }
            })
    }
}

extension EgressRules: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            rules = try container.decode([String].self).map { try EgressRule(parsing: $0) }
        } catch let fault as EgressRule.Fault {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a rule that \(fault.reason)")
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rules.map(\.description))
    }
}

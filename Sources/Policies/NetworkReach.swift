import Isolation

/// What a policy's network leads to, for comparing.
///
/// `none` is less than `filtered`, `outbound` and `host`, and `host` is more than all; a filtered network may lead to
/// private addresses, which an outbound one never does.
struct NetworkReach: Hashable {
    var mode: SandboxPolicy.Network
    var rules: EgressRules

    init(_ policy: SandboxPolicy) {
        self.init(policy.network, policy.egress)
    }

    init(_ mode: SandboxPolicy.Network, _ egress: EgressRules?) {
        self.mode = mode
        rules = mode == .filtered ? (egress ?? EgressRules([])).canonical : EgressRules([])
        // Allowing nothing is what `none` means.
        if mode == .filtered, rules.rules.isEmpty { self.mode = .none }
    }

    /// Whether everything that `other` leads to is reached by this one too.
    func covers(_ other: NetworkReach) -> Bool {
        switch (mode, other.mode) {
        case (_, .none), (.host, _), (.outbound, .outbound): true
        case (.filtered, .filtered): other.rules.rules.allSatisfy(rules.covers)
        case (.outbound, .filtered): other.rules == other.rules.withoutSpecialNetworks
        default: false
        }
    }

    /// What both lead to.
    func intersection(_ other: NetworkReach) -> NetworkReach {
        if covers(other) { return other }
        if other.covers(self) { return self }
        switch (mode, other.mode) {
        case (.filtered, .filtered): return NetworkReach(.filtered, rules.intersection(other.rules))
        case (.filtered, .outbound): return NetworkReach(.filtered, rules.withoutSpecialNetworks)
        case (.outbound, .filtered): return NetworkReach(.filtered, other.rules.withoutSpecialNetworks)
        default: return NetworkReach(.none, nil)
        }
    }

    /// As a document says it, shortened.
    var description: String {
        guard mode == .filtered else { return mode.rawValue }
        let names = rules.rules.prefix(8).map(\.description).joined(separator: ", ")
        return "filtered [\(names)\(rules.rules.count > 8 ? ", and \(rules.rules.count - 8) more" : "")]"
    }
}

extension PolicyDifference {
    /// What the networks of two policies lead to that the other's does not.
    static func network(_ before: SandboxPolicy, _ after: SandboxPolicy) -> [PolicyDifference] {
        let (first, second) = (NetworkReach(before), NetworkReach(after))
        guard first != second else { return [] }
        guard first.mode == .filtered, second.mode == .filtered else {
            let effect: Effect = second.covers(first) ? .more : first.covers(second) ? .less : .other
            return [
                PolicyDifference(
                    effect: effect, key: "network", before: first.description, after: second.description)
            ]
        }
        let gone = first.rules.rules.filter { !second.rules.covers($0) }.map { ($0, Effect.less) }
        let new = second.rules.rules.filter { !first.rules.covers($0) }.map { ($0, Effect.more) }
        return (gone + new).map { rule, effect in
            let (closed, open) = ("`\(rule)` not wholly allowed", "`\(rule)` allowed")
            return PolicyDifference(
                effect: effect, key: "network.allow", before: effect == .more ? closed : open,
                after: effect == .more ? open : closed)
        }
    }
}

extension PolicyCeiling {
    /// Keeps of a policy's network what the ceiling leads to as well.
    static func clip(
        _ policy: inout SandboxPolicy, _ most: PolicyDocument.Placed<SandboxPolicy.Network>?, _ egress: EgressRules?,
        _ clips: inout [Clip]
    ) {
        guard let most else { return }
        let (wanted, allowed) = (NetworkReach(policy), NetworkReach(most.value, egress))
        let clipped = wanted.intersection(allowed)
        guard clipped != wanted else { return }
        clips.append(
            Clip(key: "network", text: "network \(wanted.description) to \(clipped.description)", place: most.place))
        policy.network = clipped.mode
        policy.egress = clipped.mode == .filtered ? clipped.rules : nil
    }
}

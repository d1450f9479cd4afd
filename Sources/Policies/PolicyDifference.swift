package import Isolation

/// One thing that two policies decide differently: told by what it means, not by how documents say it.
package struct PolicyDifference: Sendable, Hashable, Encodable {
    /// What the second policy does, seen from the first.
    package enum Effect: String, Sendable, Hashable, Encodable, CaseIterable {
        /// Something is possible that was not.
        case more
        /// Something is no longer possible.
        case less
        /// What is possible is neither more nor less: another answer, or other conditions.
        case other
    }

    package var effect: Effect
    /// The key of a policy document that decides it, such as `limits.memory`.
    package var key: String
    /// What each of the policies says.
    package var before: String, after: String
    /// The system calls, in order, where it is about some.
    package var calls: [String] = []

    /// All differences, in the order of a document; none where both allow and refuse the same.
    package static func between(_ before: SandboxPolicy, _ after: SandboxPolicy) -> [PolicyDifference] {
        var all = [
            ranked("data", before.data, after.data, [.none, .readOnly, .readWrite]),
            ranked("identity", before.identity, after.identity, [.user, .namespaceRoot]),
            required("identity", "range of ids", before.needsRange, after.needsRange),
        ]
        // Where one has no data at all, whom it is shared with says nothing.
        if before.data != .none, after.data != .none {
            all.append(ranked("data.scope", before.dataScope, after.dataScope, [.job, .project, .shared]))
        }
        for name in LimitName.allCases {
            all.append(limit(name, before.limits.value(of: name), after.limits.value(of: name)))
            all.append(
                required(
                    "limits.\(name.rawValue).enforce", "hard", before.hardLimits.contains(name),
                    after.hardLimits.contains(name)))
        }
        return network(before, after) + devices(before, after) + all.compactMap { $0 }
            + calls(before.seccomp, after.seccomp)
    }

    private static func ranked<Value: RawRepresentable<String> & Equatable>(
        _ key: String, _ before: Value, _ after: Value, _ order: [Value]
    ) -> PolicyDifference? {
        guard before != after else { return nil }
        let ranks = [before, after].map { order.firstIndex(of: $0) ?? 0 }
        return PolicyDifference(
            effect: ranks[0] < ranks[1] ? .more : .less, key: key, before: before.rawValue, after: after.rawValue)
    }

    private static func required(_ key: String, _ what: String, _ before: Bool, _ after: Bool) -> PolicyDifference? {
        guard before != after else { return nil }
        let words = ["\(what) not required", "\(what) required"]
        return PolicyDifference(
            effect: after ? .less : .more, key: key, before: words[before ? 1 : 0], after: words[after ? 1 : 0])
    }

    private static func limit(_ name: LimitName, _ before: Double?, _ after: Double?) -> PolicyDifference? {
        guard before != after else { return nil }
        let texts = [before, after].map { $0.map(name.text(of:)) ?? "unlimited" }
        return PolicyDifference(
            effect: (before ?? .infinity) < (after ?? .infinity) ? .more : .less, key: "limits.\(name.rawValue)",
            before: texts[0], after: texts[1])
    }
}

extension PolicyDifference {
    /// How much of a call is allowed.
    private enum Openness: Int {
        case refused, partly, allowed

        init(_ rule: SeccompRule?) {
            let allowed = rule?.verdicts.filter { $0 == .allow }.count ?? 0
            self = allowed == 0 ? .refused : allowed == rule?.verdicts.count ? .allowed : .partly
        }
    }

    private static func calls(_ before: SeccompPolicy, _ after: SeccompPolicy) -> [PolicyDifference] {
        struct Change: Hashable {
            var effect: Effect
            var before: String, after: String
        }
        var changes: [Change: [String]] = [:]
        for call in Set(before.rules.keys).union(after.rules.keys) {
            let rules = (before.rules[call], after.rules[call])
            // The same answers for reasons of other names are no difference.
            guard rules.0 != rules.1, plain(rules.0, before) != plain(rules.1, after) else { continue }
            let open = (Openness(rules.0), Openness(rules.1))
            let texts = (text(rules.0, before), text(rules.1, after))
            let effect: Effect =
                open.0.rawValue < open.1.rawValue ? .more : open.0.rawValue > open.1.rawValue ? .less : .other
            changes[Change(effect: effect, before: texts.0, after: texts.1), default: []].append(call)
        }
        var all = changes.map { change, calls in
            PolicyDifference(
                effect: change.effect, key: "seccomp", before: change.before, after: change.after, calls: calls.sorted()
            )
        }
        all.sort { ($0.effect.rawValue, $0.calls[0]) < ($1.effect.rawValue, $1.calls[0]) }
        return all
    }

    private static func text(_ rule: SeccompRule?, _ policy: SeccompPolicy) -> String {
        switch Openness(rule) {
        case .allowed: "allowed"
        case .partly: "allowed in part"
        case .refused: "refused (" + refusal(rule, policy).group.rawValue + ")"
        }
    }

    /// A rule without the reasons of its refusals.
    private static func plain(_ rule: SeccompRule?, _ policy: SeccompPolicy) -> SeccompRule {
        let rule = SeccompRule("", rule?.cases ?? [], otherwise: rule?.otherwise ?? .refuse(policy.unlisted))
        return rule.mapVerdicts { verdict in
            guard case .refuse(var refusal) = verdict else { return verdict }
            refusal.group = SeccompGroup.unlisted.id
            return .refuse(refusal)
        }
    }

    private static func refusal(_ rule: SeccompRule?, _ policy: SeccompPolicy) -> SeccompRefusal {
        let refusals = (rule?.verdicts ?? []).compactMap { verdict in
            if case .refuse(let refusal) = verdict { refusal } else { nil }
        }
        // What a list has taken is refused for that, whatever else the base refuses of the same call.
        let taken = refusals.first { $0.group == SeccompGroup.unlisted.id }
        return taken ?? refusals.last ?? policy.unlisted
    }
}

package import Isolation

/// The smallest change of a policy that opens what was refused, as a document that extends it.
package struct PolicyEdit: Sendable, Hashable {
    /// The name of the policy that it changes.
    package var base: String
    /// The network that it wants instead.
    package var network: String?
    /// What it wants to connect to beside what the policy allows, where its network is filtered.
    package private(set) var egress: EgressRules?
    /// Whether it wants to write to `/data`.
    package var writesData = false
    /// Limits that it wants instead, as documents write them.
    package var limits: [LimitName: String] = [:]
    /// Calls and groups of refusals that it allows.
    package var allowed: [String] = []

    /// Changes nothing yet.
    package init(base: String) { self.base = base }

    /// Whether there is nothing that it changes.
    package var isEmpty: Bool { network == nil && egress == nil && !writesData && limits.isEmpty && allowed.isEmpty }

    /// Adds what another edit of the same policy wants.
    package mutating func add(_ other: PolicyEdit) {
        network = other.network ?? network
        if let more = other.egress { egress = EgressRules((egress?.rules ?? []) + more.rules).canonical }
        writesData = writesData || other.writesData
        limits.merge(other.limits) { _, new in new }
        allowed += other.allowed.filter { !allowed.contains($0) }
    }

    /// The document, ready to be stored under a name of its own.
    package var yaml: String {
        var lines = ["extends: \(base)"]
        if let network {
            lines.append("network: \(network)")
        } else if let egress {
            let list = egress.rules.map { "\"\($0)\"" }.joined(separator: ", ")
            lines.append("network: {mode: filtered, allow: [\(list)]}")
        }
        if writesData { lines.append("data: rw") }
        let values = LimitName.allCases.compactMap { name in limits[name].map { "\(name.rawValue): \($0)" } }
        if !values.isEmpty { lines.append("limits: {\(values.joined(separator: ", "))}") }
        if !allowed.isEmpty { lines.append("seccomp: {allow: [\(allowed.joined(separator: ", "))]}") }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension PolicyEdit {
    /// What allows the call that a rule refuses; nil where nothing can that a policy may say.
    ///
    /// - Parameters:
    ///   - call: The call's name.
    ///   - group: The reason for which it is refused.
    ///   - policy: The policy that refuses it.
    package init?(opening call: String, refusedBy group: String, in policy: SandboxPolicy) {
        self.init(base: policy.name)
        switch policy.seccomp.groups[SeccompGroup.ID(rawValue: group)]?.opening {
        case .call? where SystemCallTable.knows(call): allowed = [call]
        case .group?: allowed = [group]
        default: return nil
        }
    }

    /// What allows a connection that a filtered network refused; nil where the network is another one, and where what
    /// would allow it is not known or is no rule.
    ///
    /// A list replaces the one of the policy that it extends, so that the edit has that one's entries as well.
    package init?(allowing connection: EgressRecord, in policy: SandboxPolicy) {
        guard policy.network == .filtered, connection.verdict == .refused, let text = connection.opens,
            let rule = try? EgressRule(parsing: text)
        else { return nil }
        self.init(base: policy.name)
        egress = EgressRules((policy.egress?.rules ?? []) + [rule]).canonical
    }

    /// What gives more room than a limit that was reached; nil where the policy has no such limit.
    package init?(raising name: LimitName, of policy: SandboxPolicy) {
        guard let value = policy.limits.value(of: name) else { return nil }
        self.init(base: policy.name)
        limits[name] = name.text(of: value * 2)
    }
}

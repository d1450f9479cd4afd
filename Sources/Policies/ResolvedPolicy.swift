package import Isolation
import SystemPackage

/// A policy with all that it inherits, and where it has each of its values from.
package struct ResolvedPolicy: Sendable, Hashable {
    /// The policy.
    package private(set) var policy: SandboxPolicy
    /// Who may use it in a service that several users share; nil is everybody.
    package private(set) var users: PolicyUsers?
    /// The names of the policy, of what it extends, and so on to the built-in one.
    package private(set) var lineage: [String]
    /// Where documents set what they set, by key; each other key has the value of the built-in policy.
    ///
    /// Keys are written as in `limits.memory`, `limits.memory.enforce` and `seccomp.deny.flock`; `data` and `limits.*`
    /// stand for the access and the value.
    package private(set) var origins: [String: PolicyPlace] = [:]
    /// What documents say that changes nothing, and hides nothing either.
    package private(set) var warnings: [PolicyProblem] = []
    /// What each document is, by its file.
    private(set) var layers: [String: PolicyLayer]

    /// A built-in policy.
    init(builtIn policy: SandboxPolicy, layers: [String: PolicyLayer] = [:]) {
        self.policy = policy
        self.layers = layers
        lineage = [policy.name]
    }

    /// Changes the policy to what a document that extends it says.
    ///
    /// - Returns: What the document says that has no effect on this policy.
    mutating func apply(_ document: PolicyDocument) -> [PolicyProblem] {
        lineage.insert(document.name, at: 0)
        policy.name = document.name
        if let placed = document.users {
            users = placed.value
            origins["users"] = placed.place
        }
        set(document.network, \.network, "network")
        if document.network != nil {
            policy.egress = document.egress?.value
            origins["network.allow"] = document.egress?.place
        }
        set(document.data, \.data, "data")
        set(document.dataScope, \.dataScope, "data.scope")
        set(document.needsRange, \.needsRange, "identity")
        return applyDevices(document) + applyLimits(document) + applySeccomp(document)
    }

    /// Takes from the policy what exceeds a ceiling.
    mutating func clip(by ceiling: PolicyCeiling) {
        for clip in ceiling.clip(&policy) {
            origins[clip.key] = clip.place
            layers[clip.place.file] = .ceiling
        }
    }

    private mutating func set<Value>(
        _ placed: PolicyDocument.Placed<Value>?, _ path: WritableKeyPath<SandboxPolicy, Value>, _ key: String
    ) {
        guard let placed else { return }
        policy[keyPath: path] = placed.value
        origins[key] = placed.place
    }

    private mutating func applyDevices(_ document: PolicyDocument) -> [PolicyProblem] {
        if let wanted = document.devices {
            policy.devices = DeviceAccess(wanted.value, need: policy.devices?.need ?? .all)
            origins["devices"] = wanted.place
            if wanted.value.isEmpty { origins["devices.need"] = nil }
        }
        guard let need = document.deviceNeed else { return [] }
        guard policy.devices != nil else {
            return [PolicyProblem("`devices.need` has no meaning: there are no `devices`", at: need.place)]
        }
        policy.devices?.need = need.value
        origins["devices.need"] = need.place
        return []
    }

    private mutating func applyLimits(_ document: PolicyDocument) -> [PolicyProblem] {
        var problems: [PolicyProblem] = []
        for name in LimitName.allCases {
            let key = "limits.\(name.rawValue)"
            if let setting = document.limits[name] {
                origins[key] = setting.place
                switch setting.value {
                case .unlimited:
                    policy.limits.set(name, to: nil)
                    // Nothing is left that could be held.
                    policy.hardLimits.remove(name)
                    origins[key + ".enforce"] = nil
                case .value(let value): policy.limits.set(name, to: value)
                }
            }
            guard let hard = document.hardLimits[name] else { continue }
            origins[key + ".enforce"] = hard.place
            if !hard.value {
                policy.hardLimits.remove(name)
            } else if policy.limits.value(of: name) != nil {
                policy.hardLimits.insert(name)
            } else {
                problems.append(PolicyProblem("`\(key)` has no value that could be enforced: give one", at: hard.place))
            }
        }
        return problems
    }

    private mutating func applySeccomp(_ document: PolicyDocument) -> [PolicyProblem] {
        guard !document.allowed.isEmpty || !document.denied.isEmpty || document.only != nil else { return [] }
        var seccomp = policy.seccomp
        seccomp.name = document.name
        var problems = refuseDeadGroups(document, seccomp)
        for entry in document.allowed {
            do throws(SeccompPolicyError) {
                let before = seccomp.rules
                defer { warn(of: entry, unless: seccomp.rules != before) }
                if SystemCallTable.knows(entry.value) {
                    try seccomp.allow(call: entry.value)
                } else {
                    try seccomp.allow(group: SeccompGroup.ID(rawValue: entry.value))
                }
                origins["seccomp.allow.\(entry.value)"] = entry.place
            } catch {
                problems.append(PolicyProblem(whyNotAllowed(entry.value, error), at: entry.place))
            }
        }
        if let only = document.only { problems += restrict(&seccomp, to: only) }
        seccomp.add(group: SeccompNames.denied)
        for entry in document.denied {
            do throws(SeccompPolicyError) {
                try seccomp.refuse(call: entry.value, refusal(of: entry.value, in: seccomp))
                origins["seccomp.allow.\(entry.value)"] = nil
                origins["seccomp.deny.\(entry.value)"] = entry.place
            } catch {
                problems.append(PolicyProblem(error.description, at: entry.place))
            }
        }
        policy.seccomp = seccomp
        return problems
    }

    /// Leaves the calls of a list, each of which must be allowed: whoever reads it takes it for what can be done.
    private mutating func restrict(
        _ seccomp: inout SeccompPolicy, to only: PolicyDocument.Placed<[PolicyDocument.Placed<String>]>
    ) -> [PolicyProblem] {
        let refused = only.value.filter { entry in
            seccomp.rules[entry.value].map { !$0.verdicts.contains(.allow) } ?? false
        }
        seccomp.restrict(to: Set(only.value.map(\.value)))
        origins["seccomp.only"] = only.place
        return refused.map {
            PolicyProblem(
                "`\($0.value)` is listed, and `\(lineage.last ?? "")`, or a rule before it, refuses it: "
                    + "name it in `seccomp.allow` too, or leave it out", at: $0.place)
        }
    }

    /// What is allowed already needs no rule; whoever reads one takes the base for narrower than it is.
    private mutating func warn(of entry: PolicyDocument.Placed<String>, unless hasEffect: Bool) {
        guard !hasEffect else { return }
        let message = "`\(entry.value)` has no effect: `\(lineage.last ?? "")`, or a rule before it, allows it already"
        warnings.append(PolicyProblem(message, at: entry.place))
    }

    /// A group of which every call is denied as well can never open anything.
    private func refuseDeadGroups(_ document: PolicyDocument, _ seccomp: SeccompPolicy) -> [PolicyProblem] {
        let denied = Set(document.denied.map(\.value))
        let listed = document.only.map { Set($0.value.map(\.value)).union(SeccompPolicy.indispensable) }
        return document.allowed.compactMap { entry in
            guard !SystemCallTable.knows(entry.value) else { return nil }
            let calls = seccomp.calls(refusedBy: SeccompGroup.ID(rawValue: entry.value))
            if let listed, !calls.isEmpty, listed.isDisjoint(with: calls) {
                return PolicyProblem(
                    "`\(entry.value)` is allowed, and none of its calls is in `seccomp.only`", at: entry.place)
            }
            guard !calls.isEmpty, denied.isSuperset(of: calls) else { return nil }
            return PolicyProblem("`\(entry.value)` is allowed, and each of its calls is denied", at: entry.place)
        }
    }

    /// How a denied call is refused: with EPERM and reported, or as before where it always was.
    ///
    /// Programs fall back on something else after the answers that the built-in policies give.
    private func refusal(of call: String, in seccomp: SeccompPolicy) -> SeccompRefusal {
        var refusal = SeccompRefusal(.notPermitted, .notify, group: SeccompNames.denied.id)
        if let rule = seccomp.rules[call], rule.cases.isEmpty, case .refuse(let present) = rule.otherwise {
            refusal.errno = present.errno
            refusal.reporting = present.reporting
        }
        return refusal
    }

    private func whyNotAllowed(_ name: String, _ error: SeccompPolicyError) -> String {
        switch error {
        case .noSuchGroup:
            return "`\(name)` has no effect: `\(lineage.last ?? "")` refuses nothing for that reason"
        case .neverOpens:
            if let denied = origins["seccomp.deny.\(name)"] {
                return "`\(name)` cannot be allowed: the policy that this one extends denies it, at \(denied)"
            }
            let group = policy.seccomp.groups[SeccompGroup.ID(rawValue: name)] ?? groupRefusing(name)
            return "`\(name)` is refused whatever a policy says" + (group.map { ": \($0.reason)" } ?? "")
        default: return error.description
        }
    }

    private func groupRefusing(_ call: String) -> SeccompGroup? {
        guard let rule = policy.seccomp.rules[call], case .refuse(let refusal) = rule.otherwise else { return nil }
        return policy.seccomp.group(of: refusal)
    }
}

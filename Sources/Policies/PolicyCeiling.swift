package import Isolation
import SystemPackage

/// What no policy may exceed: the administrator's document `ceiling.yaml`.
///
/// It has the form of a policy, extends nothing, and clips only what it speaks of; builds of environments are clipped as
/// well.
package struct PolicyCeiling: Sendable, Hashable {
    /// The name of the file, beside the system's policies.
    package static let fileName = PolicyName.ceiling + PolicyName.suffix

    private let document: PolicyDocument

    /// Reads a ceiling and reports everything that is wrong with it.
    ///
    /// - Parameters:
    ///   - bytes: The content of the file.
    ///   - file: The file, for messages.
    package init(reading bytes: [UInt8], file: String) throws(PolicyError) {
        var reader = PolicyReader(name: PolicyName.ceiling, file: file, isCeiling: true)
        let isReadable = reader.read(bytes)
        let problems = reader.problems + Self.problems(of: reader.document)
        guard isReadable, problems.isEmpty else {
            throw .invalid(problems.inOrder(of: [file]), hint: reader.hint)
        }
        document = reader.document
    }

    /// What a policy may say and a ceiling may not, because it would clip nothing.
    private static func problems(of document: PolicyDocument) -> [PolicyProblem] {
        var problems = document.allowed.map {
            PolicyProblem("`seccomp.allow` has no meaning in a ceiling, which only takes away", at: $0.place)
        }
        if let identity = document.needsRange, !identity.value {
            problems.append(
                PolicyProblem("`any` has no meaning in a ceiling, which only takes away", at: identity.place))
        }
        if let need = document.deviceNeed {
            problems.append(
                PolicyProblem("`devices.need` has no meaning in a ceiling, which only takes away", at: need.place))
        }
        for (name, setting) in document.limits where setting.value == .unlimited {
            problems.append(
                PolicyProblem(
                    "`limits.\(name.rawValue)` without a limit has no meaning in a ceiling", at: setting.place))
        }
        for (name, hard) in document.hardLimits {
            if !hard.value {
                problems.append(PolicyProblem("`best-effort` has no meaning in a ceiling", at: hard.place))
            } else if document.limits[name] == nil {
                problems.append(
                    PolicyProblem(
                        "`limits.\(name.rawValue)` has no value that could be enforced: give one", at: hard.place))
            }
        }
        return problems
    }

    /// Something that was taken from a policy.
    package struct Clip: Sendable, Hashable {
        /// The key that it is about, as in ``ResolvedPolicy/origins``.
        package var key: String
        /// What was taken, in words.
        var text: String
        /// Where the ceiling says so.
        package var place: PolicyPlace
    }

    /// Takes from a policy what exceeds the ceiling, and notes each in ``SandboxPolicy/clipped``.
    @discardableResult package func clip(_ policy: inout SandboxPolicy) -> [Clip] {
        var clips: [Clip] = []
        Self.clip(&policy, document.network, document.egress?.value, &clips)
        clip(&policy.data, document.data, "data", [.none, .readOnly, .readWrite], &clips)
        if policy.data != .none {
            clip(&policy.dataScope, document.dataScope, "data.scope", [.job, .project, .shared], &clips)
        }
        Self.clip(&policy, document.devices, &clips)
        if let needsRange = document.needsRange, !policy.needsRange {
            policy.needsRange = true
            clips.append(Clip(key: "identity", text: "identity any to range", place: needsRange.place))
        }
        clipLimits(of: &policy, &clips)
        clipCalls(of: &policy.seccomp, &clips)
        if !clips.isEmpty {
            policy.clipped = (policy.clipped ?? []) + clips.map { "\($0.text), by \($0.place)" }
        }
        return clips
    }

    private func clip<Value: RawRepresentable<String> & Hashable & Sendable>(
        _ value: inout Value, _ most: PolicyDocument.Placed<Value>?, _ key: String, _ order: [Value],
        _ clips: inout [Clip]
    ) {
        guard let most, let wanted = order.firstIndex(of: value), let allowed = order.firstIndex(of: most.value),
            wanted > allowed
        else { return }
        clips.append(
            Clip(key: key, text: "\(key) \(value.rawValue) to \(most.value.rawValue)", place: most.place))
        value = most.value
    }

    private func clipLimits(of policy: inout SandboxPolicy, _ clips: inout [Clip]) {
        for name in LimitName.allCases {
            guard let setting = document.limits[name], case .value(let most) = setting.value else { continue }
            let before = policy.limits.value(of: name)
            var clipped = policy.limits
            clipped.set(name, to: most)
            if let most = clipped.value(of: name), before ?? .infinity > most {
                policy.limits = clipped
                let (key, wanted) = ("limits.\(name.rawValue)", before.map(name.text(of:)) ?? "unlimited")
                clips.append(
                    Clip(key: key, text: "\(key) \(wanted) to \(name.text(of: most))", place: setting.place))
            }
            if let hard = document.hardLimits[name], hard.value, policy.hardLimits.insert(name).inserted {
                let key = "limits.\(name.rawValue)"
                clips.append(
                    Clip(key: key + ".enforce", text: "\(key) to one that the kernel holds", place: hard.place))
            }
        }
    }

    private func clipCalls(of seccomp: inout SeccompPolicy, _ clips: inout [Clip]) {
        for call in document.denied {
            guard let rule = seccomp.rules[call.value], rule.verdicts.contains(.allow) else { continue }
            seccomp.add(group: SeccompNames.denied)
            let refusal = SeccompRefusal(.notPermitted, .notify, group: SeccompNames.denied.id)
            // The reader knows the call: it is one of some machine.
            guard (try? seccomp.refuse(call: call.value, refusal)) != nil else { continue }
            clips.append(
                Clip(key: "seccomp.deny.\(call.value)", text: "the system call \(call.value)", place: call.place))
        }
        guard let only = document.only else { return }
        let before = seccomp
        seccomp.restrict(to: Set(only.value.map(\.value)))
        let taken = seccomp.rules.count { call, rule in
            !rule.verdicts.contains(.allow) && before.rules[call]?.verdicts.contains(.allow) == true
        }
        guard taken > 0 else {
            seccomp = before
            return
        }
        clips.append(
            Clip(
                key: "seccomp.only", text: "\(taken) system calls that it does not list", place: only.place))
    }
}

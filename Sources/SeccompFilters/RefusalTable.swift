package import Isolation
package import SystemPackage

/// One refused call, explained.
package struct Refusal: Sendable, Hashable {
    /// What the caller is answered.
    package let errno: Errno

    /// The call's name, or its number where it has none here.
    package let call: String

    /// The call as it was made, as far as its registers show: `socket(AF_NETLINK, SOCK_RAW, 12)`.
    package let attempt: String

    /// The group of the policy that refuses it.
    package let group: SeccompGroup.ID

    /// One sentence that tells why.
    package let reason: String

    /// The line of a policy that would allow it, or nil where none does.
    package let opensWith: String?

    /// What else there is to know of that: why nothing would, or what would be allowed as well.
    package let remark: String?
}

/// What a filter's listener answers and records.
///
/// A listener sees the same registers as the filter and decides by the same rules. It never follows a pointer, so the
/// caller cannot change a refusal after the fact.
package struct RefusalTable: Sendable, Hashable {
    /// The policy that the filter carries out.
    package let policy: SeccompPolicy

    /// The machine that the filter is for.
    package let architecture: SystemCallArchitecture

    /// Answers for the filter of `policy` on `architecture`.
    package init(policy: SeccompPolicy, architecture: SystemCallArchitecture) {
        self.policy = policy
        self.architecture = architecture
    }

    /// The answer to `call`, or nil where the policy allows it, which a listener sees only when it learns, or of the one that
    /// it answers.
    ///
    /// Otherwise a listener must refuse all the same, by `unlisted` of the policy: then the filter that asks is not the one
    /// that these answers are for.
    package func answer(_ call: SeccompData) -> Refusal? {
        let name = call.architecture == architecture.auditToken ? table.name(of: call.number) : nil
        guard let name else { return refusal(policy.unlisted, call) }
        switch policy.verdict(call: name, arguments: call.arguments) {
        case .allow: return nil
        case .refuse(let refusal): return self.refusal(refusal, call)
        }
    }

    /// The answer to the call `number` with the registers `arguments`, as `answer(_:)` gives it.
    package func answer(number: UInt32, arguments: [UInt64], architecture: UInt32) -> Refusal? {
        answer(SeccompData(architecture: architecture, number: number, arguments: arguments))
    }

    /// The number of the call that the supervisor answers in the kernel's place, where the policy allows it.
    package var answered: UInt32? {
        let isAllowed = policy.rules[SeccompPolicy.answered].map { Set($0.verdicts) == [.allow] } ?? false
        return isAllowed && policy.isAnswered ? table.number(of: SeccompPolicy.answered) : nil
    }

    /// The call with its arguments decoded, as far as they can be read from registers.
    package func describe(number: UInt32, arguments: [UInt64]) -> String {
        SystemCallDescription(architecture).describe(number: number, arguments: arguments)
    }

    private var table: SystemCallTable { .table(for: architecture) }

    private func refusal(_ refusal: SeccompRefusal, _ call: SeccompData) -> Refusal {
        let group = policy.group(of: refusal)
        func opening(_ name: String) -> (line: String?, remark: String?) {
            let kernel = KernelRefusal(call: name, arguments: call.arguments)
            guard let line = group?.opensWith(call: name), kernel?.isCertain != true else {
                return (nil, kernel?.reason)
            }
            return (line, kernel?.reason ?? (group?.opening == .call ? Self.wideOpenings[name] : nil))
        }
        let name = call.architecture == architecture.auditToken ? table.name(of: call.number) : nil
        let (opensWith, remark) = name.map(opening) ?? (nil, nil)
        return Refusal(
            errno: refusal.errno,
            call: name ?? "call \(call.number)",
            attempt: describe(number: call.number, arguments: call.arguments),
            group: refusal.group,
            reason: group?.reason ?? "the policy refuses it",
            opensWith: opensWith, remark: remark)
    }

    /// What the openings of calls allow besides, where one by one they cannot be allowed.
    private static let wideOpenings = [
        "socket": "that allows sockets of all families and protocols, AF_VSOCK and AF_ALG among them",
        "personality": "that allows all execution domains",
    ]
}

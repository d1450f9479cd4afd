package import Isolation
package import SystemPackage

/// Trying a system call in a sandbox: the registers to try it with, and what the outcome says of the policy.
package enum CallProbe {
    /// What came of a call.
    package enum Outcome: Sendable, Hashable {
        case returned
        case failed(Errno)
        /// The process ended in it.
        case ended
        /// It had not come back in time.
        case waiting
    }

    /// The six registers of a call: what is not given has every bit set, so that pointers and descriptors lead nowhere.
    package static func registers(_ arguments: [UInt64]) -> [UInt64] {
        arguments + repeatElement(UInt64.max, count: max(0, 6 - arguments.count))
    }

    /// Calls whose outcome with registers of set bits would say nothing, because a refusal looks the same.
    private static let special: [String: [UInt64]] = [
        // FUTEX_WAKE; SECCOMP_GET_ACTION_AVAIL.
        "futex": [.max, 1], "seccomp": [2, 0],
    ]

    /// Harmless registers for a question without arguments: a use that the policy allows, where it allows any.
    package static func registers(for call: String, under policy: SandboxPolicy) -> [UInt64] {
        let plain = registers(special[call] ?? [])
        guard let rule = policy.seccomp.rules[call], rule.verdicts.contains(.allow) else { return plain }
        if rule.verdict(for: plain) == .allow { return plain }
        // Registers that satisfy one condition each after the other, until the rule allows the call.
        let values = Dictionary(grouping: rule.cases.flatMap(\.conditions), by: \.argument)
            .mapValues { conditions in [UInt64(0)] + conditions.flatMap(satisfying) }
            .sorted { $0.key < $1.key }
        var candidates = [plain]
        for (argument, values) in values {
            candidates = candidates.flatMap { candidate in
                values.map { value in
                    var changed = candidate
                    changed[argument] = value
                    return changed
                }
            }
            if let found = candidates.first(where: { rule.verdict(for: $0) == .allow }) { return found }
            candidates = Array(candidates.prefix(4096))
        }
        return plain
    }

    private static func satisfying(_ condition: SeccompCondition) -> [UInt64] {
        switch condition.test {
        case .low(_, let values): values.map(UInt64.init)
        case .whole(let values): values
        }
    }

    /// Whether an outcome shows that the call was let through; nil where the kernel itself may have answered so.
    package static func isAllowed(
        _ call: String, _ registers: [UInt64], _ outcome: Outcome, under policy: SandboxPolicy
    ) -> Bool? {
        guard case .failed(let errno) = outcome else { return true }
        if case .refuse(let refusal) = policy.seccomp.verdict(call: call, arguments: registers) {
            return errno != refusal.errno
        }
        if let kernel = KernelRefusal(call: call, arguments: registers) {
            // It looks at some arguments before it asks for privileges.
            return [.notPermitted, .noSpace].contains(errno) ? false : kernel.isCertain ? nil : true
        }
        let rule = policy.seccomp.rules[call]
        let refusals = (rule?.verdicts ?? []).compactMap {
            if case .refuse(let refusal) = $0 { refusal.errno } else { nil }
        }
        return [.notPermitted, .noFunction].contains(errno) || refusals.contains(errno) ? nil : true
    }
}

package import Isolation

/// What a policy says to a question.
package struct PolicyAnswer: Sendable, Hashable {
    /// Nil where it cannot be told.
    package var isAllowed: Bool?
    /// Why: a lower-case fragment.
    package var reason: String
    /// The key or the group of refusals that decides.
    package var rule: String

    /// An answer.
    package init(_ isAllowed: Bool?, _ reason: String, rule: String) {
        self.isAllowed = isAllowed
        self.reason = reason
        self.rule = rule
    }
}

extension SandboxPolicy {
    /// Whether a system call is made, on a machine of `architecture`.
    ///
    /// Registers beyond the arguments that are given have every bit set. Without any argument it is allowed where some
    /// use of it is.
    package func answer(
        call: String, arguments: [UInt64], on architecture: SystemCallArchitecture = .native
    ) -> PolicyAnswer {
        guard SystemCallTable.table(for: architecture).number(of: call) != nil else {
            return PolicyAnswer(false, "this machine has no such call (ENOSYS)", rule: "seccomp")
        }
        let answer = filterAnswer(call: call, arguments: arguments)
        guard answer.isAllowed == true, let kernel = KernelRefusal(call: call, arguments: arguments) else {
            return answer
        }
        return PolicyAnswer(
            kernel.isCertain ? false : nil, "the filter allows it, and \(kernel.reason)", rule: "privileges")
    }

    private func filterAnswer(call: String, arguments: [UInt64]) -> PolicyAnswer {
        guard let rule = seccomp.rules[call] else { return refused(seccomp.unlisted, "") }
        guard arguments.isEmpty, !rule.cases.isEmpty else {
            return answer(rule.verdict(for: CallProbe.registers(arguments)))
        }
        let refusals = rule.verdicts.compactMap { if case .refuse(let refusal) = $0 { refusal } else { nil } }
        guard rule.verdicts.contains(.allow), let first = refusals.first else { return answer(rule.otherwise) }
        let groups = Set(refusals.map(\.group.rawValue)).sorted().joined(separator: ", ")
        return PolicyAnswer(true, "but for some arguments, which \(groups) refuses", rule: first.group.rawValue)
    }

    private func answer(_ verdict: SeccompVerdict) -> PolicyAnswer {
        switch verdict {
        case .allow: PolicyAnswer(true, "the call is allowed", rule: "seccomp")
        case .refuse(let refusal): refused(refusal, "")
        }
    }

    private func refused(_ refusal: SeccompRefusal, _ what: String) -> PolicyAnswer {
        let reason = seccomp.group(of: refusal)?.reason ?? "the policy refuses it"
        return PolicyAnswer(
            false, "\(what)\(reason) (\(SystemCallErrno.symbol(of: refusal.errno)))", rule: refusal.group.rawValue)
    }

    /// Whether a TCP connection can be tried.
    package func answer(connectTo address: NetworkAddress, port: UInt16) -> PolicyAnswer {
        // AF_INET or AF_INET6, SOCK_STREAM.
        let family: UInt64 = if case .ipv6 = address { 10 } else { 2 }
        for (call, arguments) in [("socket", [family, 1, 0]), ("connect", [])] {
            let answer = answer(call: call, arguments: arguments)
            if answer.isAllowed == false { return answer }
        }
        return networkAnswer(address, port: port)
    }
}

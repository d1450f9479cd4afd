import SystemPackage

/// Which system calls a sandbox may make, as an allow-list: a call without a rule is refused.
///
/// A policy names calls, never numbers, so one policy serves every machine. Rules for calls that a machine does not
/// have are without effect there.
package struct SeccompPolicy: Sendable, Hashable {
    /// The policy's name, for reports.
    package var name: String

    /// The answer to numbers without a rule, above all to calls that are newer than this program.
    package var unlisted: SeccompRefusal

    /// The reasons that refusals refer to.
    package private(set) var groups: [SeccompGroup.ID: SeccompGroup]

    /// The rules by the name of their call.
    package private(set) var rules: [String: SeccompRule]

    /// A policy without rules, which refuses every call with `unlisted`.
    package init(name: String, unlisted: SeccompRefusal, groups: [SeccompGroup]) {
        self.name = name
        self.unlisted = unlisted
        self.groups = Dictionary(groups.map { ($0.id, $0) }) { _, last in last }
        rules = [:]
    }

    /// The verdict for a call by name with the registers `arguments`.
    package func verdict(call: String, arguments: [UInt64]) -> SeccompVerdict {
        rules[call]?.verdict(for: arguments) ?? .refuse(unlisted)
    }

    /// The group that explains `refusal`.
    package func group(of refusal: SeccompRefusal) -> SeccompGroup? { groups[refusal.group] }

    /// The calls that are refused, in some use or in all, for the reason of `group`, sorted.
    package func calls(refusedBy group: SeccompGroup.ID) -> [String] {
        rules.values.filter { $0.verdicts.contains { $0.isRefused(by: group) } }.map(\.call).sorted()
    }
}

extension SeccompPolicy {
    /// Adds a group, or replaces the one of that name.
    package mutating func add(group: SeccompGroup) { groups[group.id] = group }

    /// Adds `newRules`; each replaces the rule that its call had.
    package mutating func set(_ newRules: [SeccompRule]) {
        for rule in newRules { rules[rule.call] = rule }
    }

    /// Allows `call`, except for uses that no policy can open, such as setting set-user-ID bits; of a call that
    /// `restrict(to:)` has taken, what was allowed before.
    ///
    /// - Throws: `unknownCall`, or `neverOpens` where nothing of the call can be opened.
    package mutating func allow(call: String) throws(SeccompPolicyError) {
        try checkName(call)
        guard let rule = rules[call] else { return set(SeccompRule.allow(call)) }
        if rule.verdicts.contains(where: { $0.isRefused(by: SeccompGroup.unlisted.id) }) {
            // Only what a list has taken is given back: conditions of the base on the same call stay.
            return set([rule.mapVerdicts { $0.isRefused(by: SeccompGroup.unlisted.id) ? .allow : $0 }])
        }
        let opened = rule.mapVerdicts { isFixed($0) ? $0 : .allow }
        guard opened != rule || opened.otherwise == .allow else { throw .neverOpens(call) }
        set([opened])
    }

    /// Allows everything that is refused for the reason of `group`.
    ///
    /// - Throws: `noSuchGroup`, or `neverOpens` for a group that no policy can open.
    package mutating func allow(group: SeccompGroup.ID) throws(SeccompPolicyError) {
        guard let found = groups[group] else { throw .noSuchGroup(group.rawValue) }
        guard found.opening != .none else { throw .neverOpens(group.rawValue) }
        open(group: group)
    }

    /// Refuses `call`, whatever its arguments.
    ///
    /// - Throws: `unknownCall` where no machine has such a call.
    package mutating func refuse(call: String, _ refusal: SeccompRefusal) throws(SeccompPolicyError) {
        try checkName(call)
        set(SeccompRule.refuse(call, refusal))
    }

    /// Allows what is refused for the reason of `group`, and nothing else: other conditions on the same calls stay.
    mutating func open(group: SeccompGroup.ID) {
        rules = rules.mapValues { rule in
            rule.mapVerdicts { $0.isRefused(by: group) ? .allow : $0 }
        }
    }

    /// Refuses, for the reason of `SeccompGroup.unlisted`, what is allowed of calls other than `calls` and those that
    /// no program starts without; refusals stay as they are.
    package mutating func restrict(to calls: Set<String>) {
        add(group: .unlisted)
        let refusal = SeccompRefusal(.notPermitted, .notify, group: SeccompGroup.unlisted.id)
        rules = rules.mapValues { rule in
            if calls.contains(rule.call) || Self.indispensable.contains(rule.call) { return rule }
            return rule.mapVerdicts { $0 == .allow ? .refuse(refusal) : $0 }
        }
    }

    private func isFixed(_ verdict: SeccompVerdict) -> Bool {
        guard case .refuse(let refusal) = verdict else { return false }
        return groups[refusal.group]?.opening == SeccompGroup.Opening.none
    }
}

extension SeccompVerdict {
    /// Whether this is a refusal for the reason of `group`.
    fileprivate func isRefused(by group: SeccompGroup.ID) -> Bool {
        guard case .refuse(let refusal) = self else { return false }
        return refusal.group == group
    }
}

extension SeccompPolicy {
    /// The call that the kernel would answer with the memory and the load of the whole host: where it is allowed, the
    /// supervisor answers it in the kernel's place, as the limits say, and without the load.
    ///
    /// It writes the answer into the caller's memory, and must not wait there for the caller, as it would with
    /// userfaultfd(2): where that is allowed as well, the kernel answers.
    package static let answered = "sysinfo"

    /// Whether the supervisor answers that call where it is allowed.
    package var isAnswered: Bool { rules["userfaultfd"]?.verdicts.contains(.allow) != true }

    /// The calls without which no program starts, or ends: what the loader and the C library do in each of them.
    package static let indispensable: Set<String> = [
        "execve", "exit", "exit_group", "read", "write", "close", "openat", "fstat", "newfstatat", "pread64",
        "mmap", "munmap", "mprotect", "brk", "arch_prctl", "set_tid_address", "futex",
        "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "restart_syscall",
    ]
}

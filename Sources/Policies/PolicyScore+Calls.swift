import Isolation

extension PolicyScore {
    /// A reason for which calls can be refused, and what its being open means.
    private struct Reason {
        var group: SeccompGroup.ID
        var points: Double
        var opens: String
        var cost: String
        var probe: String?
        var question: String?
    }

    private static let reasons: [Reason] = [
        Reason(
            group: "namespaces", points: 0.6, opens: "it makes and joins namespaces, which lend capabilities",
            cost: "sandboxes and containers inside of steps", probe: "calls.unshare"),
        Reason(
            group: "mounts", points: 0.5, opens: "it reaches the mount calls of the kernel",
            cost: "programs that mount file systems", probe: "calls.mount"),
        Reason(
            group: "io-uring", points: 0.4, opens: "it queues work that no filter sees",
            cost: "programs that need io_uring (most fall back)", probe: "calls.io-uring"),
        Reason(
            group: "kernel-interfaces", points: 0.4, opens: "it reaches large interfaces such as bpf and perf",
            cost: "profilers and tracers", probe: "calls.bpf"),
        Reason(
            group: "kernel", points: 0.3, opens: "it reaches calls that change the host", cost: "administration",
            probe: "calls.modules"),
        Reason(
            group: "page-cache", points: 0.3, opens: "it hands pages of files about",
            cost: "programs that splice (most fall back)", probe: "calls.splice"),
        Reason(
            group: "network", points: 0.3, opens: "it makes sockets of further families",
            cost: "programs that talk to virtual machines, radio or the kernel", probe: "network.families"),
        Reason(
            group: "network-protocols", points: 0.2, opens: "it makes raw sockets and speaks further protocols",
            cost: "ping by raw sockets, packet tools", probe: "network.protocols"),
        Reason(
            group: "debug", points: 0.2, opens: "it reads and steers its other processes",
            cost: "debuggers and py-spy", probe: "calls.ptrace"),
        Reason(
            group: "keyrings", points: 0.2, opens: "it uses keyrings, which no namespace separates",
            cost: "programs that keep keys in the kernel", probe: "calls.keyrings"),
        Reason(
            group: "file-handles", points: 0.2, opens: "it opens files past their directories",
            cost: "backup tools and file servers", probe: "calls.file-handles"),
        Reason(
            group: "setuid-bits", points: 0.2, opens: "it makes files that lend their owner's identity",
            cost: "package managers cannot install such files", probe: "calls.chmod-setuid"),
        Reason(
            group: "filters", points: 0.2, opens: "a filter of its own can hide what was refused",
            cost: "browsers and tools that put themselves into a sandbox", question: "syscall seccomp 1 0 -1"),
        Reason(
            group: "file-locks", points: 0.1, opens: "locks on shared files let runs signal each other",
            cost: "databases such as SQLite, and package managers", question: "syscall flock"),
        Reason(
            group: "leases", points: 0.1, opens: "it stalls and watches whoever opens its files",
            cost: "file servers", probe: "calls.leases"),
        Reason(
            group: "tcp-ulp", points: 0.1, opens: "it layers protocols onto TCP", cost: "TLS in the kernel",
            probe: "calls.tcp-ulp"),
        Reason(
            group: "other-processes", points: 0.1, opens: "it takes descriptors of its other processes",
            cost: "supervisors that hand descriptors over", probe: "calls.other-memory"),
        Reason(
            group: "execution-domains", points: 0.1, opens: "it switches off protections of its processes",
            cost: "debuggers and old programs", probe: "calls.personality"),
        Reason(
            group: "hidden-memory", points: 0.1, opens: "it keeps memory that tools of the host do not see",
            cost: "programs that hide keys", probe: "calls.hidden-memory"),
        Reason(
            group: "numa", points: 0.1, opens: "it places memory on nodes of the host",
            cost: "databases on large machines",
            probe: "calls.numa"),
        Reason(
            group: "recent", points: 0.1, opens: "it reaches young calls", cost: "nothing that is known",
            probe: "calls.recent"),
        Reason(
            group: "obsolete", points: 0.1, opens: "it reaches calls that nothing uses any more",
            cost: "nothing that is known", probe: "calls.obsolete"),
    ]

    /// What can be closed at most: the reference that open doors are found by.
    private static let closed = SeccompPolicy.strict(.withoutFileLocks)

    static func calls(_ policy: SandboxPolicy) -> [Door] {
        reasons.compactMap { reason in
            let calls = closed.calls(refusedBy: reason.group)
            let open = calls.filter { isOpen($0, reason.group, in: policy.seccomp) }
            guard !open.isEmpty else { return nil }
            let share = Double(open.count) / Double(calls.count)
            return Door(
                key: "seccomp: \(reason.group.rawValue)", points: max(0.1, (reason.points * share * 10).rounded() / 10),
                opens: reason.opens, cost: "closed to: \(reason.cost)",
                closing: "seccomp: {deny: [\(open.joined(separator: ", "))]}", probe: reason.probe,
                question: reason.question)
        }
    }

    /// Whether a use of a call that the group refuses in the reference is let through.
    private static func isOpen(_ call: String, _ group: SeccompGroup.ID, in policy: SeccompPolicy) -> Bool {
        guard let rule = policy.rules[call], rule.verdicts.contains(.allow) else { return false }
        return !rule.verdicts.contains { verdict in
            if case .refuse(let refusal) = verdict { refusal.group == group } else { false }
        }
    }

    /// The reasons that have a weight, for the test that none is forgotten.
    static var weighedGroups: Set<SeccompGroup.ID> { Set(reasons.map(\.group)) }
}

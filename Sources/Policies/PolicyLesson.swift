package import Isolation
import PlainText

/// The smallest policy that allows what was seen, as a document that extends the policy that it was seen under.
///
/// What is known to be dangerous is in it only where that was granted by name.
package struct PolicyLesson: Sendable {
    /// Something that was wanted and is known to be dangerous.
    package struct Question: Sendable, Hashable, Encodable {
        /// By what it is granted: a call, a group of refusals, a destination, or `network`.
        package var name: String
        /// What was seen.
        package var seen: String
        /// Why it is not simply added.
        package var reason: String

        /// Names something.
        package init(name: String, seen: String, reason: String) {
            self.name = name
            self.seen = seen
            self.reason = reason
        }
    }

    /// Calls that the C library makes for reasons of its own, now or on another day: its clock without a vDSO, memory
    /// that runs short, a lock that is held, its `abort`.
    static let companions: Set<String> = [
        "clock_gettime", "gettimeofday", "time", "getcpu", "sched_yield", "madvise", "mremap", "getpid", "gettid",
        "tgkill",
    ]

    package let policy: SandboxPolicy
    /// What has to be granted one by one, in the order in which it is asked.
    package private(set) var questions: [Question] = []
    /// What nothing can be done about in a document that extends the policy: sentences without full stop.
    package private(set) var notes: [String] = []
    /// Calls that a list of the policy leaves out and that were wanted.
    package private(set) var beyond: [String] = []
    private let evidence: PolicyEvidence
    private let calls: [String: SandboxRecording.Call]
    /// What each grant opens: entries of `seccomp.allow`, and the calls that were wanted.
    private var grants: [String: (allowed: Set<String>, calls: Set<String>)] = [:]
    /// Calls that `seccomp.allow` has to name though nobody need be asked.
    private var reopened: Set<String> = []

    /// Learns from what was seen under `policy`.
    package init(_ policy: SandboxPolicy, from evidence: PolicyEvidence) {
        self.policy = policy
        self.evidence = evidence
        calls = evidence.calls
        for call in calls.values.sorted(by: { $0.name < $1.name }) { judge(call) }
        for refused in evidence.refused { judge(refused) }
        judgeNetwork()
    }

    /// Calls that a list of the policy has and that were not made; none where the policy has no list.
    package var unused: [String] {
        guard !policy.seccomp.calls(refusedBy: SeccompGroup.unlisted.id).isEmpty else { return [] }
        return policy.seccomp.rules.values.filter { $0.verdicts.contains(.allow) }.map(\.call).filter {
            calls[$0] == nil && !Self.companions.contains($0) && !SeccompPolicy.indispensable.contains($0)
        }.sorted()
    }

    /// How many different calls were recorded, and how many of them once.
    package var counts: (calls: Int, once: Int) { (calls.count, calls.values.count { $0.count == 1 }) }

    // MARK: - What has to be asked

    private static let usual = SeccompPolicy.steps()

    private func allows(_ call: String, _ seccomp: SeccompPolicy) -> Bool {
        seccomp.rules[call]?.verdicts.contains(.allow) ?? false
    }

    private mutating func judge(_ call: SandboxRecording.Call) {
        guard allows(call.name, policy.seccomp) else {
            // Seen under another policy than the one that is extended.
            guard case .refuse(let refusal)? = policy.seccomp.rules[call.name]?.otherwise else { return }
            return judge(
                .init(
                    call: call.name, group: refusal.group.rawValue, count: call.count,
                    summary: "\(call.name) was called \(Self.times(call.count))"))
        }
        guard let danger = call.dangers.first else { return }
        if allows(call.name, Self.usual) {
            notes.append(
                "`\(call.name)` was used in a way that `default` refuses (\(call.dangers.joined(separator: ", "))): "
                    + "`\(policy.name)` allows that, and so does what extends it")
        } else {
            ask(
                call.name, seen: "\(call.name) was called \(Self.times(call.count))", Self.reason(danger), allowing: [],
                call.name)
        }
    }

    private mutating func judge(_ refused: PolicyEvidence.Refused) {
        if refused.group == SeccompGroup.unlisted.id.rawValue, !beyond.contains(refused.call) {
            beyond.append(refused.call)
            if allows(refused.call, Self.usual) {
                reopened.insert(refused.call)
                return
            }
        }
        guard let edit = PolicyEdit(opening: refused.call, refusedBy: refused.group, in: policy),
            let name = edit.allowed.first
        else {
            let note = "`\(refused.call)` was refused, and no policy that extends `\(policy.name)` can allow it"
            if !notes.contains(note) { notes.append(note) }
            return
        }
        let reason = policy.seccomp.groups[SeccompGroup.ID(rawValue: refused.group)]?.reason
        ask(name, seen: refused.summary, reason ?? Self.reason(refused.group), allowing: [name], refused.call)
    }

    private static func reason(_ group: String) -> String {
        usual.groups[SeccompGroup.ID(rawValue: group)]?.reason ?? "`default` refuses it"
    }

    private mutating func ask(
        _ name: String, seen: String, _ reason: String, allowing: Set<String>, _ call: String?
    ) {
        grants[name, default: ([], [])].allowed.formUnion(allowing)
        if let call { grants[name]?.calls.insert(call) }
        if !questions.contains(where: { $0.name == name }) {
            questions.append(Question(name: name, seen: seen, reason: reason))
        }
    }

    private mutating func judgeNetwork() {
        switch policy.network {
        case .none where evidence.unroutedPackets > 0:
            ask(
                Self.network, seen: "it tried to reach a network (\(evidence.unroutedPackets) packets)",
                "`network: outbound` opens all of the public network", allowing: [], nil)
        case .filtered:
            for connection in evidence.connections(allowed: true) where connection.isPrivate {
                ask(connection, "it is an address of this host or of a private network")
            }
            for connection in evidence.connections(allowed: false) {
                if (try? EgressRule(parsing: connection.destination)) == nil {
                    notes.append(
                        "the name `\(printable(connection.destination, limit: 260))` was looked up, and "
                            + "`network.allow` does not have it")
                } else {
                    ask(
                        connection,
                        "`network.allow` does not have it"
                            + (connection.isPrivate
                                ? ", and it is an address of this host or of a private network" : ""))
                }
            }
        default: break
        }
    }

    private mutating func ask(_ connection: SandboxRecording.Connection, _ reason: String) {
        ask(
            connection.destination, seen: "it connected to \(connection.destination), \(Self.times(connection.count))",
            reason, allowing: [], nil)
    }

    private static func times(_ count: Int) -> String { count == 1 ? "once" : "\(count) times" }

    private static let network = "network"

    // MARK: - The document

    /// The document, with what is granted by the names of questions.
    package func document(granting granted: Set<String>) -> String {
        let count = evidence.recordings.count
        var lines = [
            "# Learnt from what \(count) sandbox\(count == 1 ? "" : "es") did under `\(policy.name)`.",
            "extends: \(policy.name)",
        ]
        if let network = networkText(granted) { lines.append("network: \(network)") }
        if let data = dataText { lines.append("data: \(data)") }
        let limits = limitLines
        if !limits.isEmpty { lines += ["limits:"] + limits }
        let opened = grants.filter { granted.contains($0.key) }.values
        let allowed = opened.reduce(into: reopened) { $0.formUnion($1.allowed) }
        let wanted = opened.reduce(into: reopened) { $0.formUnion($1.calls) }
        lines.append("seccomp:")
        if !allowed.isEmpty { lines.append("  allow: [\(allowed.sorted().joined(separator: ", "))]") }
        lines.append("  only:")
        let asked = Set(grants.values.flatMap(\.calls)).subtracting(wanted)
        let seen = calls.keys.filter { allows($0, policy.seccomp) && !isRefused($0, asked) }
        let listed = Set(seen).union(wanted).union(Self.companions.filter { allows($0, policy.seccomp) })
            .subtracting(SeccompPolicy.indispensable)
        lines += listed.sorted().map(line)
        return lines.joined(separator: "\n") + "\n"
    }

    /// A call that may be made in the usual way stays, whatever becomes of its other uses.
    private func isRefused(_ call: String, _ asked: Set<String>) -> Bool {
        asked.contains(call) && !allows(call, Self.usual)
    }

    private func line(_ call: String) -> String {
        guard let seen = calls[call] else {
            return "    - \(call)"
                + (Self.companions.contains(call) ? "  # not seen; for the C library" : "  # it was refused")
        }
        let words = (seen.count == 1 ? ["seen once"] : []) + families(seen)
        return "    - \(call)" + (words.isEmpty ? "" : "  # " + words.joined(separator: ", "))
    }

    private func families(_ call: SandboxRecording.Call) -> [String] {
        guard call.name == "socket" else { return [] }
        return Set(
            call.uses.compactMap { use in
                use.dropFirst("socket(".count).split(whereSeparator: { $0 == "," || $0 == ")" }).first.map(String.init)
            }
        ).sorted()
    }

    private func networkText(_ granted: Set<String>) -> String? {
        switch policy.network {
        case .none: return granted.contains(Self.network) ? "outbound" : nil
        case .outbound, .host: return evidence.usesInternet ? nil : "none"
        case .filtered:
            let used = evidence.connections(allowed: true).filter { !$0.isPrivate || granted.contains($0.destination) }
            let wanted = evidence.connections(allowed: false).filter { granted.contains($0.destination) }
            var rules: [String] = []
            for connection in used + wanted {
                guard let rule = try? EgressRule(parsing: connection.destination) else { continue }
                if !rules.contains(rule.description) { rules.append(rule.description) }
            }
            let list = rules.sorted().map { "\"\($0)\"" }.joined(separator: ", ")
            return rules.isEmpty ? "none" : "{mode: filtered, allow: [\(list)]}"
        }
    }

    private var dataText: String? {
        switch (policy.data, evidence.data) {
        case (.none, _), (_, .unknown), (.readWrite, .written), (.readOnly, .written), (.readOnly, .read): nil
        case (.readWrite, .read): "{access: ro, scope: \(policy.dataScope.rawValue)}"
        case (_, .unused): "none"
        }
    }

    /// Twice what was seen, or more of what varies more, where the policy gives more than that.
    private var limitLines: [String] {
        let mebibyte = Double(1 << 20)
        func rounded(_ value: Double, to step: Double) -> Double { (value / step).rounded(.up) * step }
        let wanted: [LimitName: Double?] = [
            .memory: evidence.peakMemory.map { max(64 * mebibyte, rounded(Double($0) * 2, to: 16 * mebibyte)) },
            .pids: evidence.peakProcesses.map { max(16, Double($0) * 2) },
            .wallTime: evidence.longestSeconds.map { max(60, rounded($0 * 10, to: 60)) },
            .cpuTime: evidence.mostProcessorSeconds.map { max(60, rounded($0 * 10, to: 60)) },
            .output: evidence.mostOutputBytes.map { max(mebibyte, rounded(Double($0) * 4, to: mebibyte)) },
        ]
        return LimitName.allCases.compactMap { name in
            guard let value = wanted[name] ?? nil, value < policy.limits.value(of: name) ?? .infinity else {
                return nil
            }
            return "  \(name.rawValue): \(name.text(of: value))"
        }
    }
}

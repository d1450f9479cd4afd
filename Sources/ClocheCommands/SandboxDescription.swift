import Isolation
import PlainText
import SandboxRuntime
import TerminalOutput

/// An explanation of a sandbox for people.
struct SandboxDescription {
    private let explanation: SandboxExplanation

    init(_ explanation: SandboxExplanation) { self.explanation = explanation }

    /// One fact a line, in sections.
    var text: String {
        let facts = explanation
        var lines = [
            "policy       \(printable(facts.policy))",
            "command      user \(facts.user), capabilities \(list(facts.capabilities)), no new privileges, in "
                + printable(facts.directory),
            "process 1    an id of its own, no capabilities, a filter of \(facts.initFilterInstructions) instructions",
            "namespaces   user, \(facts.namespaces.joined(separator: ", "))",
            "network      \(facts.network)" + (facts.networkAllow.map { ": \($0.joined(separator: ", "))" } ?? ""),
            "devices      \(facts.devices.isEmpty ? "none but null, zero, full, random, urandom and tty" : list(facts.devices))",
            "user ids     \(facts.users.joined(separator: "; ")) (inside, outside, count)",
            "group ids    \(facts.groups.joined(separator: "; "))", "", "of the host, taken along:",
        ]
        lines += facts.sources.map { "  \(printable($0.host)) as \($0.stage) (\($0.flags.joined(separator: ",")))" }
        lines += ["", "mounts, in order:"]
        lines += facts.mounts.map { mount in
            let flags = mount.flags.isEmpty ? "" : " (\(mount.flags.joined(separator: ",")))"
            return "  \(printable(mount.target)): \(mount.type) \(printable(mount.source))\(flags)"
                + (mount.options.map { " \(printable($0))" } ?? "")
        }
        lines += ["", "limits:"] + facts.limits.map { "  \(printable($0.description))" }
        lines += facts.weaknesses.map { "  weaker: \(printable($0))" }
        lines += ["", "variables:"] + facts.variables.map { "  \(printable($0))" }
        lines += [
            "", "system calls: \(facts.filterInstructions) instructions; a call without a rule gets \(facts.unlisted)",
        ]
        for refusal in facts.refusals {
            lines.append(
                "  \(refusal.group): \(refusal.calls.count) calls get \(list(refusal.answers)): \(refusal.reason)")
            lines.append("    " + refusal.calls.joined(separator: " "))
            if let opens = refusal.opens { lines.append("    allowed by \(opens)") }
        }
        return lines.joined(separator: "\n")
    }

    private func list(_ words: [String]) -> String { words.isEmpty ? "none" : words.joined(separator: ", ") }
}

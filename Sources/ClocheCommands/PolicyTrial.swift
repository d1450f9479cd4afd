import Isolation
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import Policies
import SandboxLaunch
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// A command that is run under a policy to see what is refused to it.
struct PolicyTrial {
    private struct Report: Encodable {
        struct Refusal: Encodable {
            var summary: String, rule: String, reason: String
            var count: Int
            /// What would allow it; nil where a policy cannot.
            var opens: String?
        }

        var policy: String
        var exitCode: Int32
        var verdict: Verdict
        var refusals: [Refusal]
        /// Refusals beyond those that are listed, at least.
        var more: Int
        /// A document that allows everything of it that a document can.
        var edit: String?

        private enum CodingKeys: String, CodingKey {
            case policy
            case exitCode = "exit_code"
            case verdict, refusals, more, edit
        }
    }

    private let request: OneSandbox
    private let store: SandboxStore
    private let context: CommandContext
    private let json: Bool

    init(_ request: OneSandbox, store: SandboxStore, context: CommandContext, json: Bool) {
        self.request = request
        self.store = store
        self.context = context
        self.json = json
    }

    /// Runs the command, tells what was refused, and ends the process: with 0 when it succeeded and nothing was.
    func run() throws -> Never {
        let name = request.name
        for warning in try store.register(sandbox: name) { context.say("warning: \(printable(warning))") }
        context.sayClips(of: request.sandbox.policy)
        // The one document goes to standard output, so the command's own output must go elsewhere.
        let document = json ? dup(1) : -1
        if json { dup2(2, 1) }
        do throws(LaunchError) {
            try request.run(afterwards: { store.forget(sandbox: name) }) { result in
                let report = report(result)
                if json {
                    try? Syscall.writeAll(document, Documents.value(report).text(pretty: true, sortedKeys: false).utf8)
                    try? Syscall.writeAll(document, "\n".utf8)
                } else {
                    tell(report)
                }
                return report.exitCode == 0 && report.refusals.isEmpty ? 0 : result.exitCode == 125 ? 125 : 1
            }
        } catch {
            store.abandon(sandbox: name)
            throw error
        }
    }

    private func report(_ result: OneSandbox.Result) -> Report {
        let policy = request.sandbox.policy
        var edit = PolicyEdit(base: policy.name)
        var refusals = result.report.denials.map { denial in
            let call = String(denial.attempt.prefix { $0 != "(" })
            if !denial.isFinal, let own = PolicyEdit(opening: call, refusedBy: denial.rule, in: policy) {
                edit.add(own)
            }
            return Report.Refusal(
                summary: denial.summary(), rule: denial.rule,
                reason: denial.reason + (denial.remark.map { "; \($0)" } ?? ""), count: denial.count,
                opens: denial.opensWith)
        }
        let packets = result.report.unroutedDatagrams
        if packets > 0, policy.network == .none {
            edit.network = "outbound"
            refusals.append(
                .init(
                    summary: "it tried to reach a network", rule: "network", reason: "the policy gives no network",
                    count: Int(clamping: packets), opens: "network: outbound"))
        }
        refusals += (result.report.egress?.refused ?? []).map { record in
            let own = PolicyEdit(allowing: record, in: policy)
            if let own { edit.add(own) }
            return Report.Refusal(
                summary: record.refusalSummary, rule: "network.allow", reason: record.reason ?? "", count: 1,
                opens: own == nil ? nil : record.opens.map { "network: {allow: [\"\($0)\"]}" })
        }
        if packets > 0, policy.network == .filtered {
            refusals.append(
                .init(
                    summary: "it tried to reach an address that no rule names", rule: "network.allow",
                    reason: "there is no way to it", count: Int(clamping: packets), opens: nil))
        }
        let connections = (result.report.egress?.refusals ?? 0) - (result.report.egress?.refused.count ?? 0)
        return Report(
            policy: policy.name, exitCode: result.exitCode, verdict: result.verdict, refusals: refusals,
            more: result.report.unrecordedDenials + connections, edit: edit.isEmpty ? nil : edit.yaml)
    }

    private func tell(_ report: Report) {
        context.say("\nunder policy `\(printable(report.policy))`: \(printable(report.verdict.summary))")
        if report.refusals.isEmpty { context.say("nothing was refused that the kernel tells of") }
        for refusal in report.refusals {
            context.say("refused: \(printable(refusal.summary))\(refusal.count > 1 ? " (\(refusal.count) times)" : "")")
            let opens = refusal.opens.map { "; allowed by `\(printable($0))`" } ?? "; no policy allows it"
            context.say("  rule `\(printable(refusal.rule))`: \(printable(refusal.reason))\(opens)")
        }
        if report.more > 0 { context.say("and at least \(counted(report.more, "other refusal"))") }
        if let edit = report.edit {
            context.say("\na policy that allows it, for policies/NAME.yaml in the store:\n\n\(edit)")
        }
    }
}

import Isolation
import JobScheduling
import JobStorage
import Jobs
import PlainText
import Policies
import Runs
import SandboxRuntime
import TerminalOutput

/// What a run was allowed, what was refused to it, and what would allow that.
struct RunExplanation: Encodable {
    /// Something that a step wanted and did not get.
    struct Refusal: Encodable {
        /// The title of the step.
        var step: String
        /// What it did, and what came of it, in a sentence.
        var summary: String
        /// How often at least.
        var count: Int
        /// The rule that refused it: a group of refusals, or a key of the policy.
        var rule: String
        var reason: String
        /// Where a document says so, as `file:line:column`; nil for what is built in.
        var place: String?
        /// A document that would allow it; nil where none can.
        var edit: String?
        /// Why no document can allow it, or why this one would not help now.
        var obstacle: String?
    }

    var run: String
    var attempt: Int
    var policy: PinnedPolicy
    var sentences: [String]
    var refusals: [Refusal]
    /// One document that allows everything that a document can.
    var edit: String?

    /// Explains a run, or one step of it.
    init(
        _ run: RunRecord, of job: JobRecord, step: StepRecord?, in store: Store, _ catalogue: PolicyCatalogue
    ) throws {
        let document = try store.document(job.uuid)
        let directory = store.runDirectory(run.address)
        // A run that has not started has the policy of its job.
        let pinned = try (try? directory.spec().policy) ?? store.policy(of: document)
        self.run = "\(job.name)/\(run.address.number)"
        attempt = run.attempt
        policy = PinnedPolicy(of: document)
        sentences = pinned.sentences
        let finder = RefusalFinder(pinned, catalogue, isCurrent: policy.state == .current)
        let denials = run.attempt > 0 ? directory.attempt(run.attempt).denials() : []
        let connections = run.attempt > 0 ? directory.attempt(run.attempt).network() : NetworkUse()
        let steps = try store.database.steps(of: run.address).filter { step == nil || $0.uuid == step?.uuid }
        var whole = PolicyEdit(base: pinned.name)
        refusals = []
        for step in steps {
            let title = step.title.isEmpty ? step.uuid : step.title
            var found = denials.filter { $0.step == step.uuid }.map { finder.refusal($0.denial, step: title) }
            found += finder.refusals(connections.records.filter { $0.step == step.uuid }, step: title)
            if let verdict = step.verdict { found += finder.refusals(verdict, step: title) }
            for (refusal, edit) in found {
                refusals.append(refusal)
                if let edit, refusal.obstacle == nil { whole.add(edit) }
            }
        }
        edit = whole.isEmpty ? nil : whole.yaml
    }

    /// The same for people.
    var text: String {
        var lines = ["policy \(policy.text), as it was pinned by \(printable(run)):"]
        lines += sentences.map { "- \($0)" }
        lines.append("")
        guard !refusals.isEmpty else {
            return (lines + ["nothing that is known was refused in attempt \(attempt)"]).joined(separator: "\n")
        }
        lines.append("refused in attempt \(attempt), at least:")
        for refusal in refusals {
            lines.append("- \(printable(refusal.step)): \(printable(refusal.summary))")
            let place = refusal.place.map { ", at \(printable($0))" } ?? ""
            lines.append("  rule `\(printable(refusal.rule))`\(place): \(printable(refusal.reason))")
            if let obstacle = refusal.obstacle { lines.append("  \(printable(obstacle))") }
            if let edit = refusal.edit, refusal.obstacle == nil {
                lines.append("  allowed by: " + edit.split(separator: "\n").dropFirst().joined(separator: "; "))
            }
        }
        if let edit {
            lines += ["", "a policy that allows it, for policies/NAME.yaml in the store:", ""]
            lines += edit.split(separator: "\n").map(String.init)
        }
        return lines.joined(separator: "\n")
    }
}

/// Finds what refused something under a policy, and what would allow it.
private struct RefusalFinder {
    private let policy: SandboxPolicy
    private let catalogue: PolicyCatalogue
    /// The policy of that name, where it still is the one that was pinned.
    private let current: ResolvedPolicy?

    init(_ policy: SandboxPolicy, _ catalogue: PolicyCatalogue, isCurrent: Bool) {
        self.policy = policy
        self.catalogue = catalogue
        current = isCurrent ? try? catalogue.resolve(policy.name) : nil
    }

    typealias Found = (refusal: RunExplanation.Refusal, edit: PolicyEdit?)

    /// What a refused system call comes to.
    func refusal(_ denial: Denial, step: String) -> Found {
        let call = String(denial.attempt.prefix { $0 != "(" })
        let edit = denial.isFinal ? nil : PolicyEdit(opening: call, refusedBy: denial.rule, in: policy)
        let key =
            denial.rule == SeccompGroup.unlisted.id.rawValue ? "seccomp.only" : "seccomp.deny.\(call)"
        let place = current?.origin(of: key)
        var refusal = RunExplanation.Refusal(
            step: step, summary: denial.summary(), count: denial.count, rule: denial.rule,
            reason: denial.reason + (denial.isFinal ? "" : denial.remark.map { "; \($0)" } ?? ""),
            place: place?.description)
        if edit == nil {
            if denial.isFinal {
                refusal.obstacle = "no policy can allow it: \(denial.remark ?? "")"
            } else if current?.isClipped(key) ?? false {
                refusal.obstacle = "no policy can allow it: the administrator's ceiling denies it"
            } else if let place {
                refusal.obstacle = "take `\(call)` out of `seccomp.deny` at \(place) to allow it"
            } else if denial.rule == "policy" {
                refusal.obstacle = "take `\(call)` out of `seccomp.deny` of policy `\(policy.name)` to allow it"
            } else {
                refusal.obstacle = "no policy can allow it"
            }
        }
        return finish(refusal, edit, key: key)
    }

    /// What a step's end says of networks and limits.
    func refusals(_ verdict: Verdict, step: String) -> [Found] {
        var found: [Found] = []
        if case .integer(let count)? = verdict.detail["network_attempts"], policy.network == .filtered {
            var refusal = refusal(
                verdict, step, count: Int(clamping: count), key: "network.allow",
                "there is no way to what no rule names")
            refusal.summary = "it tried to reach an address that no rule names"
            refusal.obstacle =
                "nobody knows which address it was: let it connect by name, or through the proxy of `http_proxy`"
            found.append((refusal, nil))
        } else if verdict.detail["network_attempts"] != nil || verdict.detail["network"] != nil {
            // A look-up of a name is no packet that finds no way.
            var count: Int64 = 1
            if case .integer(let known)? = verdict.detail["network_attempts"] { count = known }
            var edit = PolicyEdit(base: policy.name)
            edit.network = "outbound"
            found.append(
                finish(
                    refusal(verdict, step, count: Int(clamping: count), key: "network", "the policy gives no network"),
                    edit, key: "network"))
        }
        if let name = Self.limit(verdict) {
            let value = policy.limits.value(of: name).map(name.text(of:)) ?? "its value"
            found.append(
                finish(
                    refusal(verdict, step, count: 1, key: "limits.\(name.rawValue)", "it allows \(value)"),
                    PolicyEdit(raising: name, of: policy), key: "limits.\(name.rawValue)"))
        }
        return found
    }

    /// The most destinations that are told of.
    private static let destinationLimit = 64

    /// What a step asked for of a filtered network and did not get: one for each destination.
    func refusals(_ records: [EgressRecord], step: String) -> [Found] {
        var order: [String] = []
        var refused: [String: (record: EgressRecord, count: Int)] = [:]
        for record in records where record.verdict == .refused {
            let destination = record.destination
            if refused[destination] == nil, order.count < Self.destinationLimit { order.append(destination) }
            refused[destination] = (record, (refused[destination]?.count ?? 0) + 1)
        }
        return order.compactMap { refused[$0] }.map { record, count in
            var refusal = RunExplanation.Refusal(
                step: step, summary: record.refusalSummary, count: count, rule: "network.allow",
                reason: record.reason ?? "", place: current?.origin(of: "network.allow")?.description)
            let edit = PolicyEdit(allowing: record, in: policy)
            if edit == nil {
                refusal.obstacle =
                    record.via == .dns
                    ? "the port is not known: add `\(record.host):PORT` to `network.allow`" : "no rule can allow it"
            }
            return finish(refusal, edit, key: "network")
        }
    }

    private func refusal(
        _ verdict: Verdict, _ step: String, count: Int, key: String, _ reason: String
    ) -> RunExplanation.Refusal {
        RunExplanation.Refusal(
            step: step, summary: verdict.summary, count: count, rule: key, reason: reason,
            place: current?.origin(of: key)?.description)
    }

    /// The limit that a step ended at.
    private static func limit(_ verdict: Verdict) -> LimitName? {
        switch verdict.cause {
        case .outOfMemory: .memory
        case .timeout: .wallTime
        case .cpuLimit: .cpuTime
        case .pidsLimit: .pids
        case .outputLimit: .output
        case .diskFull:
            if case .text(let name)? = verdict.detail["limit"] {
                LimitName(rawValue: name)
            } else {
                // Verdicts from before there was more than one such limit.
                verdict.detail["full"] == nil ? nil : .scratch
            }
        default: nil
        }
    }

    /// Tries the edit: a document that would not be understood, or would be clipped, is no help.
    private func finish(_ refusal: RunExplanation.Refusal, _ edit: PolicyEdit?, key: String) -> Found {
        var refusal = refusal
        guard let edit else { return (refusal, nil) }
        refusal.edit = edit.yaml
        do throws(PolicyError) {
            let tried = try catalogue.resolve(reading: Array(edit.yaml.utf8), name: "edit", file: "the edit")
            if tried.isClipped(key), let place = tried.origin(of: key) {
                refusal.obstacle = "the administrator's ceiling takes it away again, by \(place)"
            }
        } catch {
            refusal.obstacle = "no document can extend the policy `\(policy.name)` now: \(error)"
        }
        return (refusal, edit)
    }
}

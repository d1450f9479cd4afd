package import Isolation

/// What a network that is not there, or not wide enough, has to do with the end of a command.
extension SandboxReport {
    /// The verdict on a command that failed after it had been refused a connection; nil where it was not.
    func networkVerdict(
        _ what: String, _ code: Int32, _ detail: [String: Verdict.Fact], _ policy: SandboxPolicy
    ) -> Verdict? {
        var detail = detail
        if unroutedDatagrams > 0 { detail["network_attempts"] = .integer(Int64(clamping: unroutedDatagrams)) }
        switch policy.network {
        case .none where unroutedDatagrams > 0 || complaint?.kind == .unreachable:
            // A look-up of a name asks a server on the loopback device, which is there.
            var evidence = "\(unroutedDatagrams) attempts"
            detail["network"] = .text(policy.network.rawValue)
            if let complaint, complaint.kind == .unreachable {
                detail["output"] = .text(complaint.line)
                evidence = "its output says `\(complaint.line)`"
            }
            return Verdict(
                .denied,
                "\(what) ended with exit code \(code) after it tried to reach a network: policy `\(policy.name)` has none "
                    + "(\(evidence))", detail: detail,
                remedy: "run it under a policy with a network, such as `--policy online`")
        case .filtered: return filteredVerdict(what, code, detail, policy)
        default: return nil
        }
    }

    private func filteredVerdict(
        _ what: String, _ code: Int32, _ detail: [String: Verdict.Fact], _ policy: SandboxPolicy
    ) -> Verdict? {
        if egress?.isLost == true {
            return Verdict(
                .exit, "\(what) ended with exit code \(code) after the proxy of its network had ended", detail: detail,
                remedy: "run it again; if it happens again, see what on this host kills processes")
        }
        if let first = egress?.refused.first {
            let others = (egress?.refused.count ?? 1) - 1
            let more = others > 0 ? " (and connections to \(others) other destinations)" : ""
            let entry = first.opens ?? "\(first.destination)\(first.via == .dns ? ":PORT" : "")"
            return Verdict(
                .denied,
                "\(what) ended with exit code \(code) after policy `\(policy.name)` refused it "
                    + "\(first.via == .dns ? "the address of" : "a connection to") `\(first.destination)`: "
                    + "\(first.reason ?? "")\(more)", detail: detail,
                remedy: "to allow it, add `\(entry)` to `network.allow` of policy `\(policy.name)`")
        }
        guard unroutedDatagrams > 0 else { return nil }
        return Verdict(
            .denied,
            "\(what) ended with exit code \(code) after it tried to reach an address that no rule of `network.allow` of "
                + "policy `\(policy.name)` names (\(unroutedDatagrams) attempts)", detail: detail,
            remedy: "add the address and its port to `network.allow`, or connect by a name that it has")
    }

    /// What a filtered network refused, a line each after a first one; nothing where the verdict has told of all.
    ///
    /// A single command has no ledger, and may have gone on without.
    package func networkRefusals(beside verdict: Verdict) -> [String] {
        guard let egress, !egress.refused.isEmpty, verdict.cause != .denied || egress.refusals > 1 else { return [] }
        let count = egress.refusals == 1 ? "1 connection or look-up" : "\(egress.refusals) connections and look-ups"
        return ["refused by `network.allow`: \(count)"]
            + egress.refused.map { "  \($0.destination): \($0.reason ?? "")" }
    }

    /// Facts of a filtered network.
    var networkEvidence: [String: Verdict.Fact] {
        guard let egress, egress.connections + egress.refusals > 0 else { return [:] }
        var facts: [String: Verdict.Fact] = [
            "connections": .integer(Int64(egress.connections)), "network_sent_bytes": .integer(egress.sentBytes),
            "network_received_bytes": .integer(egress.receivedBytes),
        ]
        if egress.refusals > 0 {
            facts["network_refusals"] = .integer(Int64(egress.refusals))
            facts["network_refused"] = .list(egress.refused.map(\.destination))
        }
        return facts
    }
}

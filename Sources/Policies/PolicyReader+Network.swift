import Isolation
import PlainText
import Yams

/// The key `network`: a mode alone, or a mode with what it allows.
extension PolicyReader {
    private static let modes = ["none", "filtered", "outbound", "host"]

    mutating func readNetwork(_ node: Node) {
        guard node.mapping != nil else {
            let mode: PolicyDocument.Placed<SandboxPolicy.Network>? = choice(node, "network", Self.modes)
            if let mode, mode.value == .filtered {
                report("`network: filtered` does not say what it allows", at: mode.place)
                suggest("write it as `network: {mode: filtered, allow: [data.example.org:443]}`")
            } else {
                document.network = mode
            }
            return
        }
        let values = map(node, "network", keys: ["mode", "allow"])
        read(values["mode"], "network.mode") { reader, value in
            reader.document.network = reader.choice(value, "network.mode", Self.modes)
        }
        read(values["allow"], "network.allow") { $0.readAllowed($1) }
        guard let mode = document.network else {
            if values["mode"] == nil { report("`network` is a map without `mode`", node) }
            return
        }
        if mode.value == .filtered, values["allow"] == nil {
            report("`network` is `filtered`, and there is no `network.allow` that says what it allows", at: mode.place)
        } else if mode.value != .filtered, let allow = values["allow"] {
            report("`network.allow` has no meaning where `network.mode` is `\(mode.value.rawValue)`", allow)
        }
    }

    private mutating func readAllowed(_ node: Node) {
        let key = "network.allow"
        guard let sequence = node.sequence else {
            report("`\(key)` must be a list of hosts and ports, as in `[data.example.org:443]`", node)
            return
        }
        if sequence.isEmpty { report("`\(key)` is empty: `network: none` says so", node) }
        if sequence.count > EgressRules.limit { report("`\(key)` has more than \(EgressRules.limit) entries", node) }
        var entries: [PolicyDocument.Placed<EgressRule>] = []
        for element in sequence.prefix(EgressRules.limit) {
            if element.scalar == nil { suggest("put an entry that begins with `[` or `*` in quotes") }
            guard let entry = scalar(element, key, what: "each entry of ") else { continue }
            do throws(EgressRule.Fault) {
                entries.append(.init(value: try EgressRule(parsing: entry.value), place: entry.place))
            } catch {
                report("\(quoted(entry.value)) \(printable(error.reason, limit: 400))", at: entry.place)
            }
        }
        for (index, entry) in entries.enumerated() {
            if entries[..<index].contains(where: { $0.value == entry.value }) {
                report("\(quoted(entry.value.description)) is listed twice", at: entry.place)
            } else if let wider = entries.first(where: { $0.value != entry.value && $0.value.covers(entry.value) }) {
                report(
                    "\(quoted(entry.value.description)) has no effect: \(quoted(wider.value.description)) in line "
                        + "\(wider.place.line) allows it already", at: entry.place)
            }
        }
        let rules = EgressRules(entries.map(\.value))
        if rules.ports.count > EgressRules.portLimit {
            report("`\(key)` names more than \(EgressRules.portLimit) different ports", node)
        }
        document.egress = PolicyDocument.Placed(value: rules, place: text.place(node.mark))
    }
}

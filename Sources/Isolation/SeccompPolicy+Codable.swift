extension SeccompPolicy: Codable {
    /// Calls that are refused alike, listed once instead of rule by rule: a policy has some 400 calls.
    private struct RefusedCalls: Codable {
        let refusal: SeccompRefusal
        let calls: [String]
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case unlisted
        case groups
        case allow
        case refuse
        case conditional
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            name: try values.decode(String.self, forKey: .name),
            unlisted: try values.decode(SeccompRefusal.self, forKey: .unlisted),
            groups: try values.decode([SeccompGroup].self, forKey: .groups))
        for call in try values.decode([String].self, forKey: .allow) {
            set([SeccompRule(call, otherwise: .allow)])
        }
        for refused in try values.decode([RefusedCalls].self, forKey: .refuse) {
            set(refused.calls.map { SeccompRule($0, otherwise: .refuse(refused.refusal)) })
        }
        set(try values.decode([SeccompRule].self, forKey: .conditional))
    }

    package func encode(to encoder: any Encoder) throws {
        let sorted = rules.values.sorted { $0.call < $1.call }
        let plain = sorted.filter(\.cases.isEmpty)
        var refused: [(refusal: SeccompRefusal, calls: [String])] = []
        for rule in plain {
            guard case .refuse(let refusal) = rule.otherwise else { continue }
            if let index = refused.firstIndex(where: { $0.refusal == refusal }) {
                refused[index].calls.append(rule.call)
            } else {
                refused.append((refusal, [rule.call]))
            }
        }
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        try values.encode(unlisted, forKey: .unlisted)
        try values.encode(groups.values.sorted { $0.id.rawValue < $1.id.rawValue }, forKey: .groups)
        try values.encode(plain.filter { $0.otherwise == .allow }.map(\.call), forKey: .allow)
        try values.encode(refused.map { RefusedCalls(refusal: $0.refusal, calls: $0.calls) }, forKey: .refuse)
        try values.encode(sorted.filter { !$0.cases.isEmpty }, forKey: .conditional)
    }
}

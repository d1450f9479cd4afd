import Synchronization
import SystemPackage

/// Coded as a name and one text, which is read some twenty times faster than an object for each of 400 calls: every
/// supervisor reads one before its run can begin.
///
/// A line of the text is `group ID OPENING REASON`, `unlisted REFUSAL`, `rules VERDICT CALL...` for calls whose
/// arguments do not matter, or `rule CALL VERDICT [CONDITIONS VERDICT]...` with the verdict where no conditions hold
/// first. A verdict is `allow` or a refusal, `ERRNO,REPORTING,GROUP`. Conditions are joined by `+`, each is
/// `ARGUMENT:MASK:VALUE,...`, without a mask where all 64 bits are compared.
extension SeccompPolicy: Codable {
    private enum CodingKeys: String, CodingKey {
        case name
        case text
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let name = try values.decode(String.self, forKey: .name)
        let text = try values.decode(String.self, forKey: .text)
        if let last = Self.last.withLock({ $0 }), last.policy.name == name, last.text == text {
            self = last.policy
            return
        }
        guard let policy = SeccompPolicy(name: name, text: text) else {
            throw DecodingError.dataCorruptedError(
                forKey: .text, in: values, debugDescription: "a line of the policy cannot be read")
        }
        self = policy
        Self.last.withLock { $0 = (policy, text) }
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(name, forKey: .name)
        let text = Self.last.withLock { $0?.policy == self ? $0?.text : nil } ?? text
        try values.encode(text, forKey: .text)
        Self.last.withLock { $0 = (self, text) }
    }

    /// The policy that was read or written last, with its text: one run after the other has the same.
    private static let last = Mutex<(policy: SeccompPolicy, text: String)?>(nil)
}

extension SeccompPolicy {
    private typealias Word = Substring.UTF8View

    /// Reads the text of a policy; nil where a line is none that `text` writes.
    package init?(name: String, text: String) {
        var unlisted: SeccompRefusal?
        var groups: [SeccompGroup] = []
        var rules: [SeccompRule] = []
        for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let isGroup = line.starts(with: "group ".utf8)
            var words = line.split(separator: UInt8(ascii: " "), maxSplits: isGroup ? 3 : .max)[...]
            switch words.popFirst().map(Self.string) {
            case "group" where words.count == 3:
                guard let opening = SeccompGroup.Opening(rawValue: Self.string(words[2])) else { return nil }
                groups.append(
                    SeccompGroup(
                        .init(rawValue: Self.string(words[1])), because: Self.string(words[3]), opening: opening))
            case "unlisted" where words.count == 1:
                unlisted = Self.refusal(words[1])
            case "rules":
                guard let verdict = words.popFirst().flatMap(Self.verdict) else { return nil }
                for call in words { rules.append(SeccompRule(Self.string(call), otherwise: verdict)) }
            case "rule" where words.count >= 2 && words.count.isMultiple(of: 2):
                guard let otherwise = Self.verdict(words[2]) else { return nil }
                var rule = SeccompRule(Self.string(words[1]), otherwise: otherwise)
                for index in stride(from: 3, to: words.endIndex, by: 2) {
                    guard let conditions = Self.conditions(words[index]), let verdict = Self.verdict(words[index + 1])
                    else { return nil }
                    rule.cases.append(.init(conditions: conditions, verdict: verdict))
                }
                rules.append(rule)
            default: return nil
            }
        }
        guard let unlisted else { return nil }
        self.init(name: name, unlisted: unlisted, groups: groups)
        set(rules)
    }

    /// All of it but the name, as `init(name:text:)` reads it.
    package var text: String {
        var lines = groups.values.sorted { $0.id.rawValue < $1.id.rawValue }.map {
            "group \($0.id.rawValue) \($0.opening.rawValue) \($0.reason)"
        }
        lines.append("unlisted \(Self.text(.refuse(unlisted)))")
        let sorted = rules.values.sorted { $0.call < $1.call }
        let plain = Dictionary(grouping: sorted.filter(\.cases.isEmpty)) { Self.text($0.otherwise) }
        for (verdict, rules) in plain.sorted(by: { $0.key < $1.key }) {
            lines.append("rules \(verdict) " + rules.map(\.call).joined(separator: " "))
        }
        for rule in sorted where !rule.cases.isEmpty {
            let cases = rule.cases.map {
                " \($0.conditions.map(Self.text).joined(separator: "+")) \(Self.text($0.verdict))"
            }
            lines.append("rule \(rule.call) \(Self.text(rule.otherwise))" + cases.joined())
        }
        return lines.joined(separator: "\n")
    }

    private static func text(_ verdict: SeccompVerdict) -> String {
        switch verdict {
        case .allow: "allow"
        case .refuse(let refusal):
            "\(refusal.errno.rawValue),\(refusal.reporting.rawValue),\(refusal.group.rawValue)"
        }
    }

    private static func text(_ condition: SeccompCondition) -> String {
        switch condition.test {
        case .low(let mask, let values):
            "\(condition.argument):\(mask):" + values.map(String.init).joined(separator: ",")
        case .whole(let values): "\(condition.argument)::" + values.map(String.init).joined(separator: ",")
        }
    }

    private static func string(_ word: Word) -> String { String(Substring(word)) }

    private static func verdict(_ word: Word) -> SeccompVerdict? {
        word.elementsEqual("allow".utf8) ? .allow : refusal(word).map { .refuse($0) }
    }

    private static func refusal(_ word: Word) -> SeccompRefusal? {
        let parts = word.split(separator: UInt8(ascii: ","), maxSplits: 2)
        guard parts.count == 3, let errno = Int32(string(parts[0])),
            let reporting = SeccompRefusal.Reporting(rawValue: string(parts[1]))
        else { return nil }
        return SeccompRefusal(Errno(rawValue: errno), reporting, group: .init(rawValue: string(parts[2])))
    }

    private static func conditions(_ word: Word) -> [SeccompCondition]? {
        var conditions: [SeccompCondition] = []
        for part in word.split(separator: UInt8(ascii: "+")) {
            let fields = part.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count == 3, let argument = Int(string(fields[0])) else { return nil }
            let numbers = fields[2].split(separator: UInt8(ascii: ",")).map { UInt64(string($0)) }
            let values = numbers.compactMap(\.self)
            guard values.count == numbers.count else { return nil }
            if fields[1].isEmpty {
                conditions.append(.init(argument: argument, test: .whole(oneOf: values)))
            } else {
                let low = values.compactMap { UInt32(exactly: $0) }
                guard let mask = UInt32(string(fields[1])), low.count == values.count else { return nil }
                conditions.append(.init(argument: argument, test: .low(mask: mask, oneOf: low)))
            }
        }
        return conditions
    }
}

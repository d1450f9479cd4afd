import Isolation
import PlainText
import Yams

/// Turns the nodes of a document into values and collects what is wrong.
struct PolicyReader {
    static let keys = ["extends", "users", "network", "data", "identity", "devices", "limits", "seccomp"]

    var document: PolicyDocument
    private(set) var hint: String?
    private var found: [PolicyProblem] = []
    private(set) var text: PolicyText
    private let isCeiling: Bool

    init(name: String, file: String, isCeiling: Bool = false) {
        self.isCeiling = isCeiling
        document = PolicyDocument(name: name, file: file)
        text = PolicyText(file: file)
    }

    /// What is wrong, in no order.
    var problems: [PolicyProblem] { text.problems + found }

    /// Reads a document.
    ///
    /// - Returns: Whether it could be read at all, so that what it says is known but for single values.
    mutating func read(_ bytes: [UInt8]) -> Bool {
        if !isCeiling, let fault = PolicyName.fault(of: document.name) {
            found.append(PolicyProblem(fault, file: document.file))
            suggest("rename the file")
        }
        guard let root = text.root(bytes) else {
            if text.problems.contains(where: { $0.message.contains("alphabetic or numeric") }) {
                suggest("put a name with a `*` in quotes, as in `\"*.example.com:443\"`")
            }
            return false
        }
        let values = map(
            root, "", keys: isCeiling ? Self.keys.filter { !["extends", "users"].contains($0) } : Self.keys)
        if values["extends"] != nil { document.base = nil }
        read(values["extends"], "extends") { reader, value in
            reader.document.extends = reader.name(value)
            if let base = reader.document.extends { reader.document.base = base.value }
        }
        read(values["users"], "users") { $0.readUsers($1) }
        read(values["network"], "network") { reader, value in
            reader.readNetwork(value)
        }
        read(values["data"], "data") { $0.readData($1) }
        read(values["identity"], "identity") { reader, value in
            let choice: PolicyDocument.Placed<String>? = reader.word(value, "identity", ["any", "range"])
            reader.document.needsRange = choice.map {
                PolicyDocument.Placed(value: $0.value == "range", place: $0.place)
            }
        }
        read(values["devices"], "devices") { $0.readDevices($1) }
        read(values["limits"], "limits") { $0.readLimits($1) }
        read(values["seccomp"], "seccomp") { $0.readSeccomp($1) }
        return root.mapping != nil
    }

    // MARK: - Keys

    private mutating func readUsers(_ node: Node) {
        let entries = names(node, "users", fault: PolicyUsers.fault(of:))
        if let sequence = node.sequence, sequence.isEmpty {
            report("`users` names nobody: name somebody, or leave the key out", node)
        }
        document.users = PolicyDocument.Placed(
            value: PolicyUsers(entries: entries.map(\.value)), place: text.place(node.mark))
    }

    private mutating func readData(_ node: Node) {
        let access = ["rw", "ro", "none"]
        guard node.mapping != nil else {
            document.data = choice(node, "data", access)
            return
        }
        let values = map(node, "data", keys: ["access", "scope"])
        read(values["access"], "data.access") { reader, value in
            reader.document.data = reader.choice(value, "data.access", access)
        }
        read(values["scope"], "data.scope") { reader, value in
            reader.document.dataScope = reader.choice(value, "data.scope", ["shared", "project", "job"])
        }
        if document.data?.value == SandboxPolicy.DataAccess.none, let scope = document.dataScope {
            report("`data.scope` has no meaning where `data.access` is `none`", at: scope.place)
        }
        if values.isEmpty { report("`data` is an empty map: give `access`, `scope` or both", node) }
    }

    private mutating func readLimits(_ node: Node) {
        let values = map(node, "limits", keys: LimitName.allCases.map(\.rawValue))
        for name in LimitName.allCases {
            read(values[name.rawValue], "limits.\(name.rawValue)") { $0.readLimit(name, $1) }
        }
    }

    private mutating func readLimit(_ name: LimitName, _ node: Node) {
        let key = "limits.\(name.rawValue)"
        guard node.mapping != nil else { return readValue(name, node, key) }
        let values = map(node, key, keys: ["value", "enforce"])
        read(values["value"], "\(key).value") { $0.readValue(name, $1, "\(key).value") }
        read(values["enforce"], "\(key).enforce") { reader, value in
            guard let choice = reader.word(value, "\(key).enforce", ["hard", "best-effort"]) else { return }
            let isHard = choice.value == "hard"
            if isHard, name == .wallTime || name == .output {
                reader.report(
                    "`\(key)` cannot be `hard`: it is the supervisor that measures it, never the kernel",
                    at: choice.place)
            } else if isHard, reader.document.limits[name]?.value == .unlimited {
                reader.report("`\(key)` cannot be `hard` and `unlimited`", at: choice.place)
            } else {
                reader.document.hardLimits[name] = PolicyDocument.Placed(value: isHard, place: choice.place)
            }
        }
        if values.isEmpty { report("`\(key)` is an empty map: give `value`, `enforce` or both", node) }
    }

    private mutating func readValue(_ name: LimitName, _ node: Node, _ key: String) {
        guard let scalar = scalar(node, key) else { return }
        if scalar.value == "unlimited" {
            document.limits[name] = PolicyDocument.Placed(value: .unlimited, place: scalar.place)
            return
        }
        do throws(LimitFault) {
            let value = try LimitValue(name, parsing: scalar.value)
            document.limits[name] = PolicyDocument.Placed(value: .value(value), place: scalar.place)
        } catch {
            report("`\(key)` \(error.message)", at: scalar.place)
        }
    }

    private mutating func readSeccomp(_ node: Node) {
        let values = map(node, "seccomp", keys: ["allow", "deny", "only"])
        let groups = SeccompNames.groups
        read(values["allow"], "seccomp.allow") { reader, value in
            reader.document.allowed = reader.names(value, "seccomp.allow") { name in
                if groups.contains(name) || SystemCallTable.knows(name) { return nil }
                let calls = UnknownSystemCall(name: name).nearest
                return "\(quoted(name)) is neither a system call nor a group of refusals"
                    + didYouMean(EditDistance.nearest(to: name, in: groups), calls.first)
            }
        }
        read(values["deny"], "seccomp.deny") { reader, value in
            reader.document.denied = reader.names(value, "seccomp.deny") { name in
                if groups.contains(name) {
                    return "\(quoted(name)) is a group of refusals; only calls can be denied"
                }
                if SeccompPolicy.indispensable.contains(name) {
                    return "`\(name)` cannot be denied: no process starts, or ends, without it"
                }
                if SystemCallTable.knows(name) { return nil }
                return "\(quoted(name)) is no system call" + didYouMean(UnknownSystemCall(name: name).nearest.first)
            }
        }
        read(values["only"], "seccomp.only") { $0.readOnly($1) }
        refuseContradictions()
    }

    private mutating func readOnly(_ node: Node) {
        let groups = SeccompNames.groups
        let entries = names(node, "seccomp.only") { name in
            if groups.contains(name) { return "\(quoted(name)) is a group of refusals; only calls can be listed" }
            if SystemCallTable.knows(name) { return nil }
            return "\(quoted(name)) is no system call" + didYouMean(UnknownSystemCall(name: name).nearest.first)
        }
        document.only = PolicyDocument.Placed(value: entries, place: text.place(node.mark))
    }

    private mutating func refuseContradictions() {
        for (word, entries) in [("allowed", document.allowed), ("listed", document.only?.value ?? [])] {
            let places = Dictionary(entries.map { ($0.value, $0.place) }) { first, _ in first }
            for entry in document.denied {
                guard let place = places[entry.value] else { continue }
                let isLater = (place.line, place.column) < (entry.place.line, entry.place.column)
                let (first, second) = isLater ? (place, entry.place) : (entry.place, place)
                report(
                    "`\(entry.value)` is both \(word) and denied; the other place is line \(first.line)", at: second)
            }
        }
        guard let only = document.only else { return }
        let listed = Set(only.value.map(\.value)).union(SeccompPolicy.indispensable)
        for entry in document.allowed where SystemCallTable.knows(entry.value) && !listed.contains(entry.value) {
            report("`\(entry.value)` is allowed, and is not in `seccomp.only`", at: entry.place)
        }
    }

    // MARK: - Kinds of values

    /// Reads what stands under a key, unless that is nothing.
    mutating func read(_ node: Node?, _ key: String, _ body: (inout PolicyReader, Node) -> Void) {
        guard let node else { return }
        if let scalar = node.scalar, scalar.style == .plain, ["", "~", "null"].contains(scalar.string) {
            report("`\(key)` has no value: give one, or leave the key out", node)
        } else {
            body(&self, node)
        }
    }

    /// The values of a map by their keys, of those that are known.
    mutating func map(_ node: Node, _ key: String, keys: [String]) -> [String: Node] {
        guard let mapping = node.mapping else {
            report(key.isEmpty ? "a policy is a map of keys" : "`\(key)` must be a map", node)
            return [:]
        }
        var values: [String: Node] = [:]
        for (name, value) in mapping {
            guard let text = name.scalar?.string else {
                report("a key must be a text", name)
                continue
            }
            if keys.contains(text) {
                values[text] = value
            } else {
                let path = key.isEmpty ? text : "\(key).\(text)"
                report("unknown key \(quoted(path))" + didYouMean(EditDistance.nearest(to: text, in: keys)), name)
                suggest("\(key.isEmpty ? "a policy" : "`\(key)`") has the keys \(keys.joined(separator: ", "))")
            }
        }
        return values
    }

    mutating func scalar(
        _ node: Node, _ key: String, what: String = ""
    ) -> PolicyDocument.Placed<String>? {
        guard let scalar = node.scalar else {
            report("\(what)`\(key)` must be a single value", node)
            return nil
        }
        return PolicyDocument.Placed(value: scalar.string, place: text.place(node.mark))
    }

    private mutating func word(_ node: Node, _ key: String, _ words: [String]) -> PolicyDocument.Placed<String>? {
        guard let scalar = scalar(node, key) else { return nil }
        guard words.contains(scalar.value) else {
            let all = words.map { "`\($0)`" }.joined(separator: ", ")
            report(
                "`\(key)` is one of \(all), and not \(quoted(scalar.value))"
                    + didYouMean(EditDistance.nearest(to: scalar.value, in: words)), at: scalar.place)
            return nil
        }
        return scalar
    }

    mutating func choice<Value: RawRepresentable<String> & Sendable & Hashable>(
        _ node: Node, _ key: String, _ words: [String]
    ) -> PolicyDocument.Placed<Value>? {
        guard let word = word(node, key, words), let value = Value(rawValue: word.value) else { return nil }
        return PolicyDocument.Placed(value: value, place: word.place)
    }

    private mutating func name(_ node: Node) -> PolicyDocument.Placed<String>? {
        guard let scalar = scalar(node, "extends") else { return nil }
        guard PolicyName.isWellFormed(scalar.value) else {
            report("\(quoted(scalar.value)) is not the name of a policy", at: scalar.place)
            return nil
        }
        return scalar
    }

    /// The most entries of a list; there are not so many system calls.
    private static let entryLimit = 1000

    private mutating func names(
        _ node: Node, _ key: String, fault: (String) -> String?
    ) -> [PolicyDocument.Placed<String>] {
        guard let sequence = node.sequence else {
            report("`\(key)` must be a list of names, as in `[flock]`", node)
            return []
        }
        if sequence.count > Self.entryLimit { report("`\(key)` has more than \(Self.entryLimit) entries", node) }
        var entries: [PolicyDocument.Placed<String>] = []
        var seen: Set<String> = []
        for element in sequence.prefix(Self.entryLimit) {
            guard let entry = scalar(element, key, what: "each entry of ") else { continue }
            // Looking for what was meant takes its time, and nobody reads so many problems.
            if found.count > PolicyError.limit { break }
            if !seen.insert(entry.value).inserted {
                report("\(quoted(entry.value)) is listed twice", at: entry.place)
            } else if let message = fault(entry.value) {
                report(message, at: entry.place)
            } else {
                entries.append(entry)
            }
        }
        return entries
    }

    mutating func report(_ message: String, _ node: Node) { report(message, at: text.place(node.mark)) }

    mutating func report(_ message: String, at place: PolicyPlace) {
        found.append(PolicyProblem(message, at: place))
    }

    mutating func suggest(_ hint: String) {
        if self.hint == nil { self.hint = hint }
    }
}

import PlainText

/// Reads one kind of document, with the same words for the same mistakes as the others.
protocol DocumentReader {
    /// What is wrong with the document.
    var problems: DiagnosticList { get set }
}

extension DocumentReader {
    /// Notes that `what` must be something else than it is.
    mutating func typeMismatch(_ what: String, _ expected: String, _ node: JSONNode, hint: String? = nil) {
        let found = node.kind == .number ? quoted(node.value.text()) : node.kind.phrase
        problems.error("\(what) must be \(expected), not \(found)", at: node.offset, hint: hint)
    }

    /// The text of an optional member.
    mutating func string(_ key: String, in node: JSONNode, of owner: String) -> String? {
        guard let member = node[key] else { return nil }
        if let text = member.string { return text }
        typeMismatch("`\(key)` of \(owner)", "a string", member)
        return nil
    }

    /// The identifier that `node` holds, if it is well formed.
    mutating func uuid(_ node: JSONNode, what: String) -> String? {
        guard let text = node.string else {
            typeMismatch(what, "a string", node)
            return nil
        }
        if UUIDText.isValid(text) { return text }
        problems.error(
            "\(what) is \(quoted(text)), which is not a UUID in lower case",
            at: node.offset,
            hint: UUIDText.isValid(text.lowercased()) ? "write it in lower case everywhere" : nil
        )
        return nil
    }

    /// Refuses members that are probably known ones misspelt: the known one would silently be missing.
    mutating func refuseMisspelling(in node: JSONNode, known: [String], of owner: String) {
        let missing = known.filter { node[$0] == nil }
        let unknown = (node.members ?? []).lazy.filter { !known.contains($0.key) }
        for member in unknown.prefix(DiagnosticList.limit) {
            guard member.key.utf8.count <= 40, let meant = didYouMean(member.key, among: missing) else { continue }
            problems.error(
                "\(quoted(member.key)) of \(owner) is not known and has no effect",
                at: member.keyNode.offset,
                hint: meant
            )
        }
    }
}

import PlainText

/// The description of an environment: the file `properties.json` beside its set-up script.
package struct EnvironmentProperties: Sendable, Hashable {
    /// The identifier, 36 characters in lower case; also the name of the directory.
    package let uuid: String
    /// The name that people gave it.
    package let name: String
    /// The language of its kernels: `python`, `r`, `julia` or `javascript`.
    package let language: String
    /// What it is built on, such as `orchest/base-kernel-py`.
    package let baseImage: String
    /// Whether its author asked for a graphics processor.
    package let gpuSupport: Bool
    /// What in the file probably does not mean what its author wanted.
    package let warnings: [Diagnostic]

    /// Whether a text is an identifier of an environment, and so the name of a directory of one.
    package static func isIdentifier(_ text: String) -> Bool { UUIDText.isValid(text) }

    /// Reads `properties.json`.
    ///
    /// - Parameters:
    ///   - bytes: The content of the file.
    ///   - file: The name of the file in diagnostics.
    ///   - directory: The name of the directory that the file lies in, which must be the identifier; nil to not compare.
    package init(contentsOf bytes: [UInt8], file: String, directory: String? = nil) throws(InvalidDocument) {
        let document = try JSONDocument(bytes, file: file, limits: JSONLimits(bytes: 1 << 20))
        var reader = EnvironmentReader(problems: DiagnosticList(source: document.source))
        let root = document.root
        guard root.kind == .object else {
            reader.typeMismatch("the description of an environment", "an object", root)
            throw reader.problems.invalidDocument
        }
        uuid = reader.environmentUUID(root, directory: directory)
        name = reader.requiredText("name", in: root)
        language = reader.language(root)
        baseImage = reader.requiredText("base_image", in: root)
        gpuSupport = reader.flag("gpu_support", in: root)
        reader.checkUnknownKeys(root)
        try reader.problems.throwIfInvalid()
        warnings = reader.problems.diagnostics
    }
}

private struct EnvironmentReader: DocumentReader {
    var problems: DiagnosticList

    mutating func environmentUUID(_ root: JSONNode, directory: String?) -> String {
        guard let node = root["uuid"] else {
            problems.error("the environment has no `uuid`", at: root.offset)
            return ""
        }
        guard let uuid = uuid(node, what: "the `uuid` of the environment") else { return "" }
        if let directory, directory != uuid {
            problems.error(
                "the `uuid` of the environment is \(uuid), but its directory is \(quoted(directory))",
                at: node.offset,
                hint: "make both the same"
            )
        }
        return uuid
    }

    mutating func requiredText(_ key: String, in root: JSONNode) -> String {
        guard let node = root[key] else {
            problems.error("the environment has no `\(key)`", at: root.offset)
            return ""
        }
        guard let text = string(key, in: root, of: "the environment") else { return "" }
        if text.isEmpty { problems.error("`\(key)` of the environment is empty", at: node.offset) }
        return text
    }

    mutating func flag(_ key: String, in root: JSONNode) -> Bool {
        guard let node = root[key] else { return false }
        if let flag = node.value.boolValue { return flag }
        typeMismatch("`\(key)` of the environment", "true or false", node)
        return false
    }

    mutating func language(_ root: JSONNode) -> String {
        guard let text = string("language", in: root, of: "the environment"), let node = root["language"] else {
            return "python"
        }
        let languages = ["python", "r", "julia", "javascript"]
        if !languages.contains(text) {
            problems.error(
                "the `language` of the environment is \(quoted(text)), which is not known",
                at: node.offset,
                hint: "it is one of \(languages.joined(separator: ", "))"
            )
        }
        return text
    }

    /// A key that nothing here looks like may be one of another program, and does no harm.
    mutating func checkUnknownKeys(_ root: JSONNode) {
        let known = ["uuid", "name", "language", "base_image", "gpu_support"]
        refuseMisspelling(in: root, known: known, of: "the environment")
        let missing = known.filter { root[$0] == nil }
        for member in root.members ?? [] where !known.contains(member.key) {
            if didYouMean(member.key, among: missing) != nil { continue }
            problems.warning("\(quoted(member.key)) is not known and has no effect", at: member.keyNode.offset)
        }
    }
}

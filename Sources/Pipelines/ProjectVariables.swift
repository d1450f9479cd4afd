import PlainText

/// Environment variables that a project brings along: the file `.orchest/variables.json`.
///
/// ```json
/// {"project": {"STAGE": "test"}, "pipelines": {"<uuid>": {"STAGE": "nightly"}}, "required": ["DB_URL"]}
/// ```
///
/// Those of a pipeline win over those of the project, and a job's own over both. What is `required` has to be given with
/// the job, as a variable or a secret, where the file itself has no value. The file can ask for no secret by itself: whoever makes the
/// job decides which ones the project is given.
package struct ProjectVariables: Sendable, Hashable {
    /// Where the file is in a project.
    package static let path = ".orchest/variables.json"

    /// Variables of all pipelines.
    package private(set) var project: [String: String] = [:]
    /// Variables of one pipeline, by its uuid.
    package private(set) var pipelines: [String: [String: String]] = [:]
    /// Names of variables that no step can do without.
    package private(set) var required: [String] = []
    /// What in the file probably does not mean what its author wanted.
    package private(set) var warnings: [Diagnostic] = []

    private var places: [String: TextPosition] = [:]
    private let file: String

    /// A project without the file.
    package init() { file = Self.path }

    /// Reads the file, in which nothing can be said of the variables in `own`: steps have them from elsewhere.
    package init(
        contentsOf bytes: [UInt8], file: String = Self.path, own: Set<String> = []
    ) throws(InvalidDocument) {
        self.file = file
        let document = try JSONDocument(bytes, file: file, limits: JSONLimits(bytes: 1 << 20))
        var reader = Reader(own: own, problems: DiagnosticList(source: document.source))
        let root = document.root
        guard root.kind == .object else {
            reader.typeMismatch("the file of variables", "an object", root)
            throw reader.problems.invalidDocument
        }
        reader.refuseUnknown(root)
        if let node = root["project"] { project = reader.variables(node, of: "`project`") }
        if let node = root["pipelines"] {
            if node.kind != .object { reader.typeMismatch("`pipelines`", "an object", node) }
            for member in node.members ?? [] {
                _ = reader.uuid(member.keyNode, what: "the name of a pipeline")
                pipelines[member.key] = reader.variables(member.value, of: "the pipeline \(quoted(member.key))")
            }
        }
        if let node = root["required"] {
            for (name, offset) in reader.names(node) {
                required.append(name)
                places[name] = document.source.position(at: offset)
            }
        }
        try reader.problems.throwIfInvalid()
        warnings = reader.problems.diagnostics
    }

    /// The variables of a pipeline, a job's own put over them.
    package func variables(ofPipeline uuid: String, under own: [String: String]) -> [String: String] {
        project.merging(pipelines[uuid] ?? [:]) { $1 }.merging(own) { $1 }
    }

    /// Refuses what is required and not among the names that a job has.
    package func requireAll(among names: Set<String>) throws(InvalidDocument) {
        let missing = required.filter { !names.contains($0) }
        if missing.isEmpty { return }
        throw InvalidDocument(
            missing.map { name in
                Diagnostic(
                    file: file, at: places[name], message: "the variable `\(name)` is required and not set",
                    hint: "give it by --env-var \(name)=VALUE, or by --secret NAME=\(name)")
            })
    }
}

extension ProjectVariables {
    /// The longest value of a variable, in bytes: the kernel takes no longer one from anybody.
    package static let longestValue = 120 << 10

    /// Whether a text can be the name of a variable.
    package static func isName(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.unicodeScalars.allSatisfy(PipelineReader.isVariableCharacter)
    }

    private struct Reader: DocumentReader {
        private static let most = 1000

        let own: Set<String>
        var problems: DiagnosticList

        mutating func refuseUnknown(_ root: JSONNode) {
            let known = ["project", "pipelines", "required"]
            for member in root.members ?? [] where !known.contains(member.key) {
                problems.error(
                    "\(quoted(member.key)) is not known in the file of variables", at: member.keyNode.offset,
                    hint: didYouMean(member.key, among: known) ?? "there are `project`, `pipelines` and `required`")
            }
        }

        mutating func variables(_ node: JSONNode, of owner: String) -> [String: String] {
            guard let members = node.members else {
                typeMismatch("\(owner) in the file of variables", "an object", node)
                return [:]
            }
            var variables: [String: String] = [:]
            for member in members {
                checkName(member.key, at: member.keyNode.offset)
                guard let text = member.value.string else {
                    typeMismatch("the value of \(quoted(member.key))", "a string", member.value)
                    continue
                }
                if text.utf8.count > ProjectVariables.longestValue || text.utf8.contains(0) {
                    problems.error(
                        "the value of \(quoted(member.key)) cannot be that of a variable", at: member.value.offset,
                        hint: "values have no zero byte and at most \(ProjectVariables.longestValue) bytes")
                }
                variables[member.key] = text
            }
            if members.count > Self.most {
                problems.error("\(owner) has more than \(Self.most) variables", at: node.offset)
            }
            return variables
        }

        mutating func names(_ node: JSONNode) -> [(String, Int)] {
            guard let elements = node.elements, elements.count <= Self.most else {
                typeMismatch("`required`", "a list of at most \(Self.most) names", node)
                return []
            }
            return elements.compactMap { element in
                guard let name = element.string else {
                    typeMismatch("an element of `required`", "a string", element)
                    return nil
                }
                checkName(name, at: element.offset)
                return (name, element.offset)
            }
        }

        private mutating func checkName(_ name: String, at offset: Int) {
            if own.contains(name) {
                problems.error(
                    "the variable \(quoted(name)) cannot be set: every step has its own value of it", at: offset,
                    hint: "take another name")
            }
            if ProjectVariables.isName(name) { return }
            problems.error(
                "\(quoted(name)) cannot be the name of a variable", at: offset,
                hint: "names have letters, digits, `_` and `-`")
        }
    }
}

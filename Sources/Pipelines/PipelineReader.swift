import PlainText

/// Reads the document of a pipeline, and notes everything that is wrong with it.
struct PipelineReader: DocumentReader {
    let document: JSONDocument
    /// The project-relative directory of the file.
    let directory: String
    var problems: DiagnosticList

    /// What the document holds.
    struct Parts {
        var name = ""
        var uuid = ""
        var version = ""
        var parameters = JSONObject()
        var settings = Pipeline.Settings(maxStepsParallelism: nil)
        var steps: [Step] = []
        var services: [PipelineService] = []
        var definition = JSONValue.null
        var warnings: [Diagnostic] = []
    }

    init(document: JSONDocument, directory: String) {
        self.document = document
        self.directory = directory
        problems = DiagnosticList(source: document.source)
    }

    mutating func read() throws(InvalidDocument) -> Parts {
        let root = document.root
        guard root.kind == .object, let content = root.value.objectValue else {
            problems.error("a pipeline must be an object, not \(root.kind.phrase)", at: root.offset)
            throw problems.invalidDocument
        }
        refuseMisspelling(in: root, known: Self.topLevelKeys, of: "the pipeline")
        var parts = Parts()
        parts.version = readVersion(root)
        parts.name = readName(root)
        parts.uuid = readUUID(root)
        parts.parameters = readParameters(root, of: "the pipeline")
        parts.settings = readSettings(root)
        parts.steps = readSteps(root)
        let migration = PipelineMigration(content, from: parts.version)
        parts.services = readServices(root, migration)
        var definition = migration.pipeline
        if definition["uuid"] == nil { definition["uuid"] = .string(parts.uuid) }
        parts.definition = .object(definition)
        try problems.throwIfInvalid()
        parts.warnings = problems.diagnostics
        return parts
    }

    private static let topLevelKeys = ["name", "uuid", "version", "parameters", "settings", "steps", "services"]

    private mutating func readVersion(_ root: JSONNode) -> String {
        let first = "1.0.0"
        guard let text = string("version", in: root, of: "the pipeline"), !text.isEmpty else { return first }
        guard PipelineMigration.knows(text) else {
            problems.error(
                "the format version \(quoted(text)) is not known",
                at: root["version"]?.offset,
                hint: "versions from 1.0.0 to \(Pipeline.latestVersion) can be read"
            )
            return first
        }
        return text
    }

    private mutating func readName(_ root: JSONNode) -> String {
        guard let node = root["name"] else {
            problems.error("the pipeline has no `name`", at: root.offset)
            return ""
        }
        let name = string("name", in: root, of: "the pipeline") ?? ""
        if name.unicodeScalars.count > 255 {
            problems.error("the pipeline has a `name` of more than 255 characters", at: node.offset)
        }
        return name
    }

    private mutating func readUUID(_ root: JSONNode) -> String {
        guard let node = root["uuid"], node.kind != .null else {
            let uuid = UUIDText.derived(from: document.source.file)
            problems.warning(
                "the pipeline has no `uuid`; one is made from its path",
                at: root.offset,
                hint: #"add "uuid": "\#(uuid)" to keep it when the file moves"#
            )
            return uuid
        }
        return uuid(node, what: "the `uuid` of the pipeline") ?? ""
    }

    private mutating func readSettings(_ root: JSONNode) -> Pipeline.Settings {
        guard let node = root["settings"] else { return Pipeline.Settings(maxStepsParallelism: nil) }
        guard node.kind == .object else {
            typeMismatch("`settings` of the pipeline", "an object", node)
            return Pipeline.Settings(maxStepsParallelism: nil)
        }
        refuseMisspelling(
            in: node,
            known: ["auto_eviction", "data_passing_memory_size", "max_steps_parallelism"],
            of: "`settings`"
        )
        guard let limit = node["max_steps_parallelism"] else { return Pipeline.Settings(maxStepsParallelism: nil) }
        guard let number = limit.value.intValue, number >= 0 else {
            typeMismatch(
                "`max_steps_parallelism`",
                "a whole number from 0 on",
                limit,
                hint: "0 means any number of steps at a time"
            )
            return Pipeline.Settings(maxStepsParallelism: nil)
        }
        return Pipeline.Settings(maxStepsParallelism: number == 0 ? nil : number)
    }

    /// The `parameters` of the pipeline or of a step.
    mutating func readParameters(_ node: JSONNode, of owner: String) -> JSONObject {
        guard let member = node["parameters"] else { return JSONObject() }
        guard member.kind == .object else {
            typeMismatch("`parameters` of \(owner)", "an object", member)
            return JSONObject()
        }
        return member.value.objectValue ?? JSONObject()
    }
}

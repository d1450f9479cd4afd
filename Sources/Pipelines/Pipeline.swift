import PlainText

/// A pipeline: its steps, their connections and parameters, read from a `.orchest` file and checked.
///
/// A value of this type is consistent: step identifiers are unique and well formed, connections lead to steps, there is
/// no cycle, and every step's path stays in the project or in `/data`. What depends on the files of the project is
/// checked by `check(against:)`.
package struct Pipeline: Sendable {
    /// The settings that have an effect.
    package struct Settings: Sendable, Hashable {
        /// How many steps may run at the same time; nil for any number.
        package let maxStepsParallelism: Int?
    }

    /// The file, as diagnostics name it.
    package let file: String
    /// The directory of the file relative to the project's directory; empty at the top.
    package let directory: String
    /// The name; at most 255 characters.
    package let name: String
    /// The identifier, 36 characters in lower case.
    package let uuid: String
    /// The format version that the file was written in.
    package let version: String
    /// The parameters of the pipeline as a whole, with their defaults.
    package let parameters: JSONObject
    /// The settings.
    package let settings: Settings
    /// The steps in file order.
    package let steps: [Step]
    /// The services in file order.
    package let services: [PipelineService]
    /// The whole document in the newest format, with the members that it may leave out.
    package let definition: JSONValue
    /// What in the file probably does not mean what its author wanted.
    package let warnings: [Diagnostic]

    let source: SourceText
    private let indexByUUID: [String: Int]

    /// The newest format version, the one of `definition`.
    package static let latestVersion = "1.2.3"
    /// The key that stands for the pipeline itself where steps are keys.
    package static let parametersKey = "pipeline_parameters"

    /// Reads a pipeline file of any format version.
    ///
    /// - Parameters:
    ///   - bytes: The content of the file.
    ///   - file: The name of the file in diagnostics; its project-relative path unless `directory` is given.
    ///   - directory: The project-relative directory of the file; by default that of `file`, or the top when `file` is
    ///     absolute.
    package init(contentsOf bytes: [UInt8], file: String, directory: String? = nil) throws(InvalidDocument) {
        let own = file.hasPrefix("/") ? "" : file.split(separator: "/").dropLast().joined(separator: "/")
        let document = try JSONDocument(bytes, file: file)
        var reader = PipelineReader(document: document, directory: StepFile.normalized(directory ?? own, in: "") ?? "")
        let parts = try reader.read()
        self.file = file
        self.directory = reader.directory
        name = parts.name
        uuid = parts.uuid
        version = parts.version
        parameters = parts.parameters
        settings = parts.settings
        steps = parts.steps
        services = parts.services
        definition = parts.definition
        warnings = parts.warnings
        source = document.source
        indexByUUID = Dictionary(uniqueKeysWithValues: parts.steps.enumerated().map { ($1.uuid, $0) })
    }

    /// The step with this identifier.
    package func step(uuid: String) -> Step? {
        indexByUUID[uuid].map { steps[$0] }
    }

    /// The project-relative path of the parameters file that belongs to the pipeline file at `path`.
    ///
    /// It is the path with `.orchest` replaced by `.parameters.json`.
    package static func parametersFile(for path: String) -> String {
        let suffix = ".orchest"
        return (path.hasSuffix(suffix) ? String(path.dropLast(suffix.count)) : path) + ".parameters.json"
    }
}

/// One step of a pipeline: a file that is executed in an environment.
package struct Step: Sendable, Hashable {
    /// The identifier, 36 characters in lower case.
    package let uuid: String
    /// The title that its author gave it; may be empty.
    package let title: String
    /// The file as the pipeline names it, relative to the pipeline file or absolute below `/data`.
    package let filePath: String
    /// The file that `filePath` means.
    package let resolvedFile: StepFile
    /// The identifier of the environment; nil when none was chosen.
    package let environment: String?
    /// The language of the kernel, `python`, `r`, `julia` or `javascript`; nil when the file does not tell.
    package let kernelLanguage: String?
    /// The steps whose data this one reads, in the order in which it gets them; each is a step of the pipeline.
    package let incomingConnections: [String]
    /// The parameters with their defaults.
    package let parameters: JSONObject

    let offsets: Offsets

    /// Where parts of the step lie in the pipeline file.
    struct Offsets: Sendable, Hashable {
        let key: Int
        let filePath: Int
        let environment: Int
    }

    /// The directory in the sandbox in which the step's program starts: that of its file.
    package var workingDirectory: String {
        resolvedFile.sandboxPath.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    }

    /// What to call the step, the title, or the name of the file where there is none; not escaped.
    package var displayName: String {
        title.contains { !$0.isWhitespace } ? title : resolvedFile.name
    }

    /// The name and the identifier for messages, escaped.
    var reference: String { "\(quoted(displayName)) (\(uuid))" }
}

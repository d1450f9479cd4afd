import SystemPackage

/// What is known of a finished build: its `build.json`.
package struct BuildRecord: Sendable, Hashable, Codable {
    /// The version of the format and of what builds do; it is part of the inputs.
    package static let currentFormat = 1

    /// The version that wrote the record.
    package var format = BuildRecord.currentFormat
    /// Identifies the build for ever: the digest of this document without it.
    package var id: String
    /// The environment that was built.
    package var name: String
    /// What people call the environment.
    package var title: String
    /// Builds whose trees make the root file system, top first; the build itself where it has a tree.
    package var layers: [String]
    /// Environment variables of everything that runs in it.
    package var variables: [String: String]
    /// The program for each kind of step, by language.
    package var interpreters: [String: String]
    /// When it was finished: RFC 3339, UTC.
    package var created: String
    /// Space that its own tree takes, in bytes.
    package var size: Int64
    /// How many files lost a setuid or setgid bit.
    package var privilegedFiles: Int
    /// The digest of all that it was made from.
    package var inputs: String
    /// The digest of each of these by its name; records of older versions have none.
    package var parts: [String: String]?
    /// Debian packages with their versions, as `name version`; of the base for a layer.
    package var packages: [String]
    /// Where it came from, when it was imported.
    package var image: ImageOrigin?
    /// The SHA-256 of the listing of its own tree (`TreeListing`); nil where it has none, as in records of older versions.
    package var content: String?
    /// Tells it from a build of the same content; records of older versions have none.
    package var nonce: String?

    package enum CodingKeys: String, CodingKey {
        case format, id, name, title, layers, variables, interpreters, created, size, inputs, parts, packages, image
        case content, nonce
        case privilegedFiles = "privileged_files"
    }
}

/// What a build is made from, in the form that is digested.
struct BuildInputs {
    private(set) var bytes: [UInt8] = []
    /// The inputs by their names.
    private(set) var parts: [String: [UInt8]] = [:]

    init() {
        add("format", Array("\(BuildRecord.currentFormat)".utf8))
    }

    /// Adds one input so that no two lists of inputs give the same bytes.
    mutating func add(_ name: String, _ content: [UInt8]) {
        bytes += "\(name.utf8.count) \(name) \(content.count)\n".utf8
        bytes += content
        parts[name] = content
    }

    static func base(_ base: Base) -> BuildInputs {
        var inputs = BuildInputs()
        for (name, content) in base.files.sorted(by: { $0.key < $1.key }) { inputs.add("file " + name, content) }
        return inputs
    }

    static func project(
        _ environment: ProjectEnvironment, base: BuildRecord, project: FilePath? = nil
    ) -> BuildInputs {
        var inputs = BuildInputs()
        inputs.add("base", Array(base.id.utf8))
        inputs.add("setup_script", environment.setupScript)
        inputs.add("title", Array(environment.title.utf8))
        inputs.add("language", Array(environment.language.utf8))
        let files = NamedFiles.read(environment.setupScript, project: project)
        for (name, content) in files.sorted(by: { $0.key < $1.key }) { inputs.add("file " + name, content) }
        return inputs
    }
}

import FoundationEssentials
package import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// An environment of a project: `.orchest/environments/<uuid>/{properties.json,setup_script.sh}`.
package struct ProjectEnvironment: Sendable, Hashable {
    /// The identifier by which pipelines name it: its directory's name.
    package let name: EnvironmentName
    /// What people call it.
    package let title: String
    /// The language of its steps: python, r, julia or javascript.
    package let language: String
    /// The image or base that it builds on, as written.
    package let baseImage: String
    /// The set-up script; empty when there is none.
    package let setupScript: [UInt8]

    /// The largest properties file and set-up script that are read, in bytes.
    package static let propertiesLimit = 65536, scriptLimit = 1 << 20

    /// Makes an environment from its parts.
    package init(
        name: EnvironmentName, title: String, language: String, baseImage: String, setupScript: [UInt8]
    ) {
        self.name = name
        self.title = title
        self.language = language
        self.baseImage = baseImage
        self.setupScript = setupScript
    }

    /// Parses the properties.
    ///
    /// Unknown keys are errors and `uuid` must be `name`; `file` is for messages.
    package init(
        name: EnvironmentName, properties: [UInt8], setupScript: [UInt8], file: String
    ) throws(DocumentError) {
        let properties = try Properties.parse(properties, file: file)
        guard properties.uuid == name.text else {
            throw DocumentError(
                [
                    DocumentProblem(
                        file: file,
                        message: "`uuid` is `\(printable(properties.uuid, limit: 120))` in the directory `\(name)`")
                ], hint: "give the directory and `uuid` the same identifier")
        }
        self.init(
            name: name, title: properties.name, language: properties.language, baseImage: properties.base_image,
            setupScript: setupScript)
    }

    /// Reads an environment's directory, following no links out of `project`, an open directory.
    package static func read(_ name: EnvironmentName, project: CInt) throws(ProjectEnvironmentError)
        -> ProjectEnvironment
    {
        let folder = FilePath(".orchest/environments").appending(name.text)
        let file = folder.appending("properties.json")
        let properties: [UInt8]
        var script: [UInt8] = []
        do throws(SyscallError) {
            let safe: PathResolution = [.beneath, .noSymlinks]
            properties = try Syscall.readFile(file, at: project, limit: propertiesLimit, resolve: safe)
            do throws(SyscallError) {
                let path = folder.appending("setup_script.sh")
                script = try Syscall.readFile(path, at: project, limit: scriptLimit, resolve: safe)
            } catch  where error.errno == .noSuchFileOrDirectory {}
        } catch {
            throw .system(error)
        }
        do throws(DocumentError) {
            return try ProjectEnvironment(
                name: name, properties: properties, setupScript: script, file: file.string)
        } catch {
            throw .document(error)
        }
    }

    /// Whether the set-up script has a line that is neither empty nor a comment.
    package var needsBuild: Bool {
        setupScript.split(separator: 0x0A).contains { line in
            line.first { ![0x20, 0x09, 0x0D].contains($0) }.map { $0 != 0x23 } ?? false
        }
    }
}

/// Why a project's environment could not be read.
package enum ProjectEnvironmentError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Its properties are wrong.
    case document(DocumentError)
    /// Its files could not be read.
    case system(SyscallError)

    /// What is wrong, safe to show.
    package var description: String {
        switch self {
        case .document(let error): error.description
        case .system(let error): error.description
        }
    }

    /// What to do about it.
    package var hint: String? {
        if case .document(let error) = self { error.hint } else { nil }
    }
}

/// The file as it is; its key names are the format's.
private struct Properties: Decodable {
    let uuid: String
    let name: String
    let language: String
    let base_image: String
    let gpu_support: Bool?

    static let keys: Set<String> = ["uuid", "name", "language", "base_image", "gpu_support"]
    static let languages = ["python", "r", "julia", "javascript"]

    static func parse(_ bytes: [UInt8], file: String) throws(DocumentError) -> Properties {
        func failure(_ message: String, _ hint: String? = nil) -> DocumentError {
            DocumentError([DocumentProblem(file: file, message: message)], hint: hint)
        }
        let data = Data(bytes)
        do {
            let found = try JSONDecoder().decode([String: AnyValue].self, from: data).keys
            if let unknown = found.filter({ !keys.contains($0) }).min() {
                let near = EditDistance.nearest(to: unknown, in: keys).map { "; did you mean `\($0)`?" } ?? ""
                throw failure("unknown key `\(printable(unknown, limit: 120))`" + near)
            }
            let properties = try JSONDecoder().decode(Properties.self, from: data)
            guard languages.contains(properties.language) else {
                throw failure(
                    "`\(printable(properties.language, limit: 120))` is not a language",
                    "the languages are \(languages.joined(separator: ", "))")
            }
            return properties
        } catch let error as DocumentError {
            throw error
        } catch DecodingError.keyNotFound(let key, _) {
            throw failure("the key `\(key.stringValue)` is missing")
        } catch DecodingError.typeMismatch(_, let context) {
            let key = context.codingPath.last?.stringValue
            throw failure(key.map { "`\(printable($0, limit: 120))` has a value of the wrong type" } ?? "not an object")
        } catch {
            throw failure("not valid JSON", "the file is an object with \(keys.sorted().joined(separator: ", "))")
        }
    }
}

/// A value that is only skipped over.
private struct AnyValue: Decodable {
    init(from decoder: any Decoder) throws {}
}

package import LinuxSystem
package import Pipelines
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

    /// Reads the properties, whose `uuid` must be `name`; `file` is for messages.
    package init(
        name: EnvironmentName, properties: [UInt8], setupScript: [UInt8], file: String
    ) throws(InvalidDocument) {
        let properties = try EnvironmentProperties(contentsOf: properties, file: file, directory: name.text)
        self.init(
            name: name, title: properties.name, language: properties.language, baseImage: properties.baseImage,
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
        do throws(InvalidDocument) {
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
    case document(InvalidDocument)
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
        switch self {
        case .document(let error): error.hint
        case .system(let error) where error.errno == .tooManySymbolicLinkLevels:
            "a link is not followed: put the file itself there"
        case .system: "see who may read it"
        }
    }
}

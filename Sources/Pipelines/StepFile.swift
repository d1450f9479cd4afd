/// The file of a step, after its path was checked and made simple.
package enum StepFile: Sendable, Hashable {
    /// A path relative to the project's directory, without `.`, `..` and doubled slashes.
    case project(String)
    /// An absolute path below `/data`, without `.`, `..` and doubled slashes.
    case data(String)

    /// Where the project lies in the sandbox of a step.
    package static let projectDirectory = "/project-dir"
    /// Where the shared data lies in the sandbox of a step.
    package static let dataDirectory = "/data"

    /// The absolute path of the file in the sandbox of a step.
    package var sandboxPath: String {
        switch self {
        case .project(let path): Self.projectDirectory + "/" + path
        case .data(let path): path
        }
    }

    /// The path as it is written: project-relative, or absolute below `/data`.
    package var path: String {
        switch self {
        case .project(let path), .data(let path): path
        }
    }

    /// The last component of the path.
    package var name: String { path.split(separator: "/").last.map(String.init) ?? path }

    /// How the file is executed; nil when its extension is not one that steps may have.
    package var type: StepFileType? { StepFileType(name: name) }

    /// Finds the file that `filePath` names in a pipeline file in `directory` (project-relative, `""` for the top).
    static func resolve(_ filePath: String, in directory: String) throws(Problem) -> StepFile {
        guard !filePath.isEmpty else { throw .empty }
        guard !filePath.utf8.contains(0) else { throw .containsNUL }
        guard filePath.utf8.count <= 4000 else { throw .tooLong }
        guard !filePath.hasSuffix("/") else { throw .namesDirectory }
        if filePath.hasPrefix("/") {
            guard filePath == dataDirectory || filePath.hasPrefix(dataDirectory + "/") else { throw .absolute }
            let rest = String(filePath.dropFirst(dataDirectory.count))
            guard let path = normalized(rest, in: "") else { throw .leavesData }
            guard !path.isEmpty else { throw .namesDirectory }
            return .data(dataDirectory + "/" + path)
        }
        guard let path = normalized(filePath, in: directory) else { throw .leavesProject }
        guard !path.isEmpty, !["..", "."].contains(filePath.split(separator: "/").last) else { throw .namesDirectory }
        return .project(path)
    }

    /// The path from the root that `path` means in `directory`; nil when it goes above the root.
    static func normalized(_ path: String, in directory: String) -> String? {
        var components: [Substring] = []
        for component in directory.split(separator: "/") + path.split(separator: "/") {
            switch component {
            case ".": break
            case "..": if components.popLast() == nil { return nil }
            default: components.append(component)
            }
        }
        return components.joined(separator: "/")
    }

    /// Why a path cannot be the file of a step.
    enum Problem: Error {
        case empty
        case containsNUL
        case tooLong
        case namesDirectory
        case absolute
        case leavesProject
        case leavesData

        var message: String {
            switch self {
            case .empty: "has no file"
            case .containsNUL: "has a file path with a zero byte"
            case .tooLong: "has a file path of more than 4000 bytes"
            case .namesDirectory: "has a file path that names a directory"
            case .absolute: "has an absolute file path outside of `/data`"
            case .leavesProject: "has a file path that leads out of the project"
            case .leavesData: "has a file path that leads out of `/data`"
            }
        }

        var hint: String? {
            switch self {
            case .empty: "set `file_path` to a file, relative to the pipeline file"
            case .absolute: "write it relative to the pipeline file"
            case .leavesProject: "a run sees a copy of the project only; move the file into it, or into `/data`"
            case .containsNUL, .tooLong, .namesDirectory, .leavesData: nil
            }
        }
    }
}

/// How the file of a step is executed.
package enum StepFileType: String, Sendable, Hashable, CaseIterable {
    /// A Jupyter notebook, `.ipynb`.
    case notebook
    /// A Python script, `.py`.
    case python
    /// An R script, `.r`.
    case r
    /// A shell script, `.sh` or no extension; run by bash.
    case shell
    /// A Julia script, `.jl`.
    case julia
    /// A JavaScript file, `.js`.
    case javascript

    /// The extensions in the order in which messages name them.
    static let extensions = ["ipynb", "py", "R", "sh", "jl", "js"]

    /// The type of a file called `name`, by its extension in upper or lower case; nil for other extensions.
    package init?(name: String) {
        switch Self.fileExtension(of: name)?.lowercased() {
        case "ipynb": self = .notebook
        case "py": self = .python
        case "r": self = .r
        case "sh", nil: self = .shell
        case "jl": self = .julia
        case "js": self = .javascript
        default: return nil
        }
    }

    /// What follows the last dot of a name; nil for names without a dot and those that only begin with dots.
    static func fileExtension(of name: String) -> String? {
        let body = name.drop { $0 == "." }
        guard let dot = body.lastIndex(of: "."), body.index(after: dot) != body.endIndex else { return nil }
        return String(body[body.index(after: dot)...])
    }
}

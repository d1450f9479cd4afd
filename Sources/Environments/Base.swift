package import LinuxSystem
import PlainText
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A recipe with the files beside it, all read.
package struct Base: Sendable, Hashable {
    /// The recipe.
    package let recipe: Recipe
    /// Every file of the recipe's folder by name, the recipe itself and what all bases share too.
    package let files: [String: [UInt8]]

    /// The recipe's file in its folder.
    package static let recipeFile = "environment.yaml"
    /// How many files a folder may hold, and how large each may be, in bytes.
    static let fileLimit = 64, sizeLimit = 1 << 20

    /// Takes a recipe and the files of its folder.
    package init(recipe: Recipe, files: [String: [UInt8]]) {
        self.recipe = recipe
        self.files = files
    }

    /// Reads a folder with a recipe; its name must be the recipe's.
    ///
    /// `common` are files that all bases have beside their recipes; the folder's own file of such a name goes before.
    package init(folder: FilePath, common: [String: [UInt8]] = [:]) throws(BaseError) {
        let files = try Base.files(in: folder).merging(common) { own, _ in own }
        let path = folder.appending(Base.recipeFile)
        guard let text = files[Base.recipeFile] else { throw .unusable(folder, "it has no `\(Base.recipeFile)`") }
        let recipe: Recipe
        do throws(DocumentError) {
            recipe = try Recipe(reading: text, file: path.string)
        } catch {
            throw .document(error)
        }
        if let name = folder.lastComponent?.string, name != recipe.name.text {
            throw .unusable(folder, "its recipe is named `\(recipe.name)`: the folder must have that name too")
        }
        for script in recipe.scripts where files[script] == nil {
            throw .unusable(folder, "the script `\(script)` of its recipe is not there")
        }
        self.init(recipe: recipe, files: files)
    }

    static func files(in folder: FilePath) throws(BaseError) -> [String: [UInt8]] {
        var file: String?
        do throws(SyscallError) {
            let directory = try Syscall.open(folder, O_RDONLY | O_DIRECTORY)
            let entries = try Syscall.directoryEntries(directory.number)
            guard entries.count <= fileLimit else { throw SyscallError("read", folder.string, errno: .fileTooLarge) }
            var files: [String: [UInt8]] = [:]
            for entry in entries {
                guard let name = String(validating: entry.name, as: UTF8.self), EnvironmentName(name) != nil else {
                    continue
                }
                file = name
                files[name] = try Syscall.readFile(entry.path, at: directory.number, limit: sizeLimit)
            }
            return files
        } catch {
            guard let file else { throw .system(error) }
            let isLink = error.errno == .tooManySymbolicLinkLevels
            throw .unusable(
                folder,
                "its file `\(file)` " + (isLink ? "is a link, and none is followed" : "cannot be read: \(error)"))
        }
    }
}

/// A folder of a base that cannot be used, or a base that is not there.
package enum BaseError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The recipe is wrong.
    case document(DocumentError)
    /// The folder is wrong, and how.
    case unusable(FilePath, String)
    /// Nothing has this name; the nearest that there is.
    case unknown(String, nearest: String?)
    /// The folder could not be read.
    case system(SyscallError)

    /// What is wrong, safe to show.
    package var description: String {
        switch self {
        case .document(let error): error.description
        case .unusable(let folder, let why): "use base `\(printable(folder.string, limit: 4096))`: \(why)"
        case .unknown(let name, _):
            "find base `\(printable(name, limit: 120))`: nothing has that name or replaces that image"
        case .system(let error): error.description
        }
    }

    /// What to do about it.
    package var hint: String? {
        switch self {
        case .document(let error): error.hint
        case .unusable: "a base is a folder with `environment.yaml` and the scripts that it names"
        case .unknown(let name, let near):
            (near.map { "did you mean `\($0)`? " } ?? "")
                + "`cloche env ls` lists what there is; " + importHint(name)
        case .system: nil
        }
    }

    /// How an image of a project's can be had: from the registry that its name is of, where it is such a name.
    private func importHint(_ name: String) -> String {
        guard let image = ImageReference(name) else {
            return "an image can be had by `cloche env import NAME SOURCE --replaces \(printable(name, limit: 120))`"
        }
        let last = image.repository.split(separator: "/").last.map(String.init) ?? "NAME"
        return
            "`cloche env import \(last) \(ImageReference.prefix)\(name) --replaces \(name)` asks \(image.host) for the image"
    }
}

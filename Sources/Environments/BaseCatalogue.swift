import LinuxSystem
import PlainText
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The bases that environments can build on, found by name and by the images that they stand for.
package struct BaseCatalogue: Sendable, Hashable {
    /// The bases in the order of their names.
    package let bases: [Base]
    /// What is wrong with the folders of recipes that cannot be used, by their names.
    package let unusable: [String: BaseError]

    /// A catalogue of these bases.
    package init(_ bases: [Base], unusable: [String: BaseError] = [:]) {
        self.bases = bases.sorted { $0.recipe.name < $1.recipe.name }
        self.unusable = unusable
    }

    /// The names of all, usable or not, in order.
    package var names: [String] { (bases.map(\.recipe.name.text) + unusable.keys).sorted() }

    /// The folder of what all bases share.
    static let commonFolder = "common"

    /// Reads every folder in `directory` that holds a recipe; one that is wrong leaves the others as they are.
    ///
    /// The files of its folder `common`, where there is one, lie beside every recipe.
    package init(directory path: FilePath) throws(BaseError) {
        let shared = path.appending(Self.commonFolder)
        let common = Syscall.exists(shared) ? try Base.files(in: shared) : [:]
        var bases: [Base] = []
        var unusable: [String: BaseError] = [:]
        var claimed: [ImageName: EnvironmentName] = [:]
        for name in try BaseCatalogue.folders(in: path) {
            let folder = path.appending(name)
            do throws(BaseError) {
                let base = try Base(folder: folder, common: common)
                for image in base.recipe.replaces {
                    guard let other = claimed[image] else { continue }
                    throw BaseError.unusable(folder, "its recipe replaces `\(image)`, and so does that of `\(other)`")
                }
                for image in base.recipe.replaces { claimed[image] = base.recipe.name }
                bases.append(base)
            } catch {
                unusable[name] = error
            }
        }
        self.init(bases, unusable: unusable)
    }

    /// The base of this name, or the one that stands for this image; a tag and the default registry do not matter.
    ///
    /// `others` are names that can be had elsewhere, for the error's hint.
    package func base(_ reference: String, others: [String] = []) throws(BaseError) -> Base {
        if let found = find(reference) { return found }
        // Which images a recipe stands for that cannot be read, nobody knows: it may be this one.
        if let error = unusable[reference] ?? unusable.min(by: { $0.key < $1.key })?.value { throw error }
        let known = bases.flatMap { [$0.recipe.name.text] + $0.recipe.replaces.map(\.text) } + others
        let near = EditDistance.nearest(to: ImageName(reference)?.text ?? reference, in: known)
        throw .unknown(reference, nearest: near ?? known.first)
    }

    /// Whether a base has this name or stands for this image; one whose recipe is wrong has its name too.
    package func has(_ reference: String) -> Bool { find(reference) != nil || unusable[reference] != nil }

    private func find(_ reference: String) -> Base? {
        let image = ImageName(reference)
        return bases.first { base in
            base.recipe.name.text == reference || image.map(base.recipe.replaces.contains) == true
        }
    }

    private static func folders(in path: FilePath) throws(BaseError) -> [String] {
        do throws(SyscallError) {
            let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
            return try Syscall.directoryEntries(directory.number)
                .compactMap { String(validating: $0.name, as: UTF8.self) }
                .filter {
                    EnvironmentName($0) != nil
                        && Syscall.exists(FilePath($0).appending(Base.recipeFile), at: directory.number)
                }
                .sorted()
        } catch {
            throw .system(error)
        }
    }
}

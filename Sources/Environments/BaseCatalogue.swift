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

    /// A catalogue of these bases.
    package init(_ bases: [Base]) {
        self.bases = bases.sorted { $0.recipe.name < $1.recipe.name }
    }

    /// The folder of what all bases share.
    static let commonFolder = "common"

    /// Reads every folder in `directory` that holds a recipe; one that is wrong spoils the catalogue.
    ///
    /// The files of its folder `common`, where there is one, lie beside every recipe.
    package init(directory path: FilePath) throws(BaseError) {
        let shared = path.appending(Self.commonFolder)
        let common = Syscall.exists(shared) ? try Base.files(in: shared) : [:]
        var bases: [Base] = []
        for name in try BaseCatalogue.folders(in: path) {
            bases.append(try Base(folder: path.appending(name), common: common))
        }
        self.init(bases)
        var claimed: [ImageName: EnvironmentName] = [:]
        for recipe in self.bases.map(\.recipe) {
            for image in recipe.replaces {
                if let other = claimed.updateValue(recipe.name, forKey: image) {
                    throw .unusable(path, "`\(other)` and `\(recipe.name)` both replace `\(image)`")
                }
            }
        }
    }

    /// The base of this name, or the one that stands for this image; a tag and the default registry do not matter.
    ///
    /// `others` are names that can be had elsewhere, for the error's hint.
    package func base(_ reference: String, others: [String] = []) throws(BaseError) -> Base {
        if let found = find(reference) { return found }
        let known = bases.flatMap { [$0.recipe.name.text] + $0.recipe.replaces.map(\.text) } + others
        let near = EditDistance.nearest(to: ImageName(reference)?.text ?? reference, in: known)
        throw .unknown(reference, nearest: near ?? known.first)
    }

    /// Whether a base has this name or stands for this image.
    package func has(_ reference: String) -> Bool { find(reference) != nil }

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

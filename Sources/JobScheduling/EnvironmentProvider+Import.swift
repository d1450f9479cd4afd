package import Environments
import SystemPackage

extension EnvironmentProvider {
    /// Imports an image as an environment; a base's name is not to be had.
    package func importImage(
        _ request: ImportRequest, isCancelled: @escaping () -> Bool, report: @escaping (BuildEvent) -> Void
    ) throws -> ImportResult {
        try builder().importImage(request, isCancelled: isCancelled, report: report)
    }

    /// The imported environment that a project's `base_image` means: by its name, or by an image that it replaces.
    func imported(_ reference: String) throws -> BuildRecord? {
        let image = ImageName(reference)
        for name in try environments.names() {
            // A damaged record is none that can be built on.
            guard let record = try? environments.current(name), let origin = record.image else { continue }
            if name.text == reference { return record }
            if let image, origin.replaces.contains(image.text) { return record }
        }
        return nil
    }

    /// Names of imported environments and of the images that they replace.
    func importedNames() throws -> [String] {
        try environments.names().flatMap { name in
            guard let origin = try? environments.current(name)?.image else { return [String]() }
            return [name.text] + origin.replaces
        }
    }
}

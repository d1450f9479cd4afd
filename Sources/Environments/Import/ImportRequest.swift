import LinuxSystem
import PlainText
package import SystemPackage

/// Where what is imported is.
package enum ImportPlace: Sendable, Hashable, CustomStringConvertible {
    /// A directory, a tar archive in any compression, an OCI layout, or an archive of `docker save`.
    case path(FilePath)
    /// An image in a registry; whether it may be asked over HTTP and over the network too.
    case registry(ImageReference, allowsPlain: Bool)

    /// Its name, safe to show.
    package var description: String {
        switch self {
        case .path(let path): printable(path.string, limit: 4096)
        case .registry(let reference, _): reference.description
        }
    }
}

/// What is to be imported as which environment.
package struct ImportRequest: Sendable, Hashable {
    /// The environment's name.
    package var name: EnvironmentName
    /// Where it is.
    package var source: ImportPlace
    /// Which image of several.
    package var tag: String?
    /// Names by which projects may ask for it.
    package var replaces: [ImageName] = []
    /// How much it may unpack to.
    package var limits = UnpackLimits.standard
    /// Whether an image that is in force already is unpacked again.
    package var refresh = false

    /// Asks for an import.
    package init(name: EnvironmentName, source: ImportPlace) {
        self.name = name
        self.source = source
    }
}

/// A task in the directory of a build that is imported, for an executor.
package struct UnpackCommand: Sendable, Hashable {
    /// The tree.
    package var directory: FilePath
    /// What is done.
    package var task: UnpackRequest.Task
    /// Whether ids in the archive are those of this host's files.
    package var isHostTree = false
}

/// What an import made.
package struct ImportResult: Sendable {
    /// The build that is in force.
    package let record: BuildRecord
    /// Whether it was in force already.
    package let isUnchanged: Bool
    /// What was left out or changed, one line each; safe to show.
    package let notes: [String]
}

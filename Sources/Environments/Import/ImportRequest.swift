package import SystemPackage

/// What is to be imported as which environment.
package struct ImportRequest: Sendable, Hashable {
    /// The environment's name.
    package var name: EnvironmentName
    /// A directory, a tar archive in any compression, an OCI layout, or an archive of `docker save`.
    package var source: FilePath
    /// Which image of several.
    package var tag: String?
    /// Names by which projects may ask for it.
    package var replaces: [ImageName] = []
    /// How much it may unpack to.
    package var limits = UnpackLimits.standard
    /// Whether an image that is in force already is unpacked again.
    package var refresh = false

    /// Asks for an import.
    package init(name: EnvironmentName, source: FilePath) {
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
    /// What was left out or changed, one line each; safe to show.
    package let notes: [String]
}

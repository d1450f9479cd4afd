/// What a pipeline's check needs to know about the project, told by whoever can look.
package struct ProjectListing: Sendable {
    /// What a path of the project is.
    package enum Kind: Sendable, Hashable {
        /// A regular file.
        case file
        /// A directory.
        case directory
        /// A symbolic link; where it leads is seen when the step runs.
        case symlink
        /// A pipe, a socket or a device, which no snapshot holds.
        case special
        /// Nothing at all.
        case missing
    }

    /// What lies at a normalised project-relative path.
    package let kind: @Sendable (String) -> Kind
    /// The names in a project-relative directory, `""` for the top, for suggestions; empty when nobody can tell.
    package let names: @Sendable (String) -> [String]
    /// The names of the project's environments by their identifiers.
    package let environments: [String: String]
    /// What is wrong with environments that are there and cannot be used, by their identifiers.
    package let unusableEnvironments: [String: [Diagnostic]]

    /// A listing that asks these functions.
    package init(
        environments: [String: String],
        unusableEnvironments: [String: [Diagnostic]] = [:],
        names: @escaping @Sendable (String) -> [String] = { _ in [] },
        kind: @escaping @Sendable (String) -> Kind
    ) {
        self.environments = environments
        self.unusableEnvironments = unusableEnvironments
        self.names = names
        self.kind = kind
    }

    /// Refuses a project that has environments which cannot be used.
    package func requireUsableEnvironments() throws(InvalidDocument) {
        let problems = unusableEnvironments.sorted { $0.key < $1.key }.flatMap { $0.value }
        if !problems.isEmpty { throw InvalidDocument(problems) }
    }

    /// The listing of a project that has exactly these files.
    package init(files: [String], environments: [String: String]) {
        var kinds: [String: Kind] = [:]
        var names: [String: [String]] = [:]
        for file in files {
            var kind = Kind.file
            var components = file.split(separator: "/")
            while let name = components.popLast() {
                let directory = components.joined(separator: "/")
                let path = directory.isEmpty ? String(name) : "\(directory)/\(name)"
                guard kinds.updateValue(kind, forKey: path) == nil else { break }
                names[directory, default: []].append(String(name))
                kind = .directory
            }
        }
        self.init(
            environments: environments,
            names: { [names] in names[$0] ?? [] },
            kind: { [kinds] in kinds[$0] ?? .missing }
        )
    }
}

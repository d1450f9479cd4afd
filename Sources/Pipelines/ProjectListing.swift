/// What a pipeline's check needs to know about the project, told by whoever can look.
package struct ProjectListing: Sendable {
    /// What a path of the project is.
    package enum Kind: Sendable, Hashable {
        /// A regular file.
        case file
        /// A regular file that its owner, whom steps run as, has no right to read.
        case unreadable
        /// A directory.
        case directory
        /// A symbolic link into `/data`; what is there is seen when the step runs.
        case symlink
        /// A symbolic link that leads out of the project, by the text of the last one.
        case outside(link: String)
        /// A symbolic link to what is not there, or to itself.
        case dangling(link: String)
        /// A pipe, a socket or a device, which no snapshot holds.
        case special
        /// Nothing at all.
        case missing
    }

    /// What lies at a normalised project-relative path; links inside the project are followed.
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

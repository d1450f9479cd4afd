/// What a sandbox did of what its policy allows, for a policy that allows no more than that.
package struct SandboxRecording: Sendable, Hashable, Codable {
    /// A system call that was let through.
    package struct Call: Sendable, Hashable, Codable {
        package var name: String
        package var count: Int
        /// Some different uses in words, of calls whose arguments tell what they are for, such as `socket`.
        package var uses: [String]
        /// For which reasons the policy `default` would have refused a use of it.
        package var dangers: [String]

        /// A call, and how often it was made.
        package init(_ name: String, count: Int, uses: [String] = [], dangers: [String] = []) {
            self.name = name
            self.count = count
            self.uses = uses
            self.dangers = dangers
        }
    }

    /// What became of `/data` while the sandbox ran; what other sandboxes do to it meanwhile counts as well.
    package enum DataUse: String, Sendable, Hashable, Codable, CaseIterable {
        case unused, read, written
        /// It could not be watched, or has too many directories.
        case unknown
    }

    /// Somewhere that a filtered sandbox wanted to reach.
    package struct Connection: Sendable, Hashable, Codable {
        /// Host and port as a rule has them; without a port where only a name was looked up.
        package var destination: String
        package var isAllowed: Bool
        package var count: Int
        /// Whether it was written as an address, or led to one, of a network that is not public.
        package var isPrivate: Bool

        /// A destination, and how often it was asked for.
        package init(_ destination: String, isAllowed: Bool, count: Int, isPrivate: Bool) {
            self.destination = destination
            self.isAllowed = isAllowed
            self.count = count
            self.isPrivate = isPrivate
        }

        private enum CodingKeys: String, CodingKey {
            case destination
            case isAllowed = "allowed"
            case count
            case isPrivate = "private"
        }
    }

    /// Calls in the order of their names; those without which no program starts are not recorded.
    package var calls: [Call]
    package var data: DataUse
    package var connections: [Connection]

    /// A recording.
    package init(calls: [Call] = [], data: DataUse = .unused, connections: [Connection] = []) {
        self.calls = calls
        self.data = data
        self.connections = connections
    }
}

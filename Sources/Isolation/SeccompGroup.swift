/// System calls, or uses of them, that are refused for one common reason.
package struct SeccompGroup: Sendable, Hashable {
    /// The name of a group, as a policy and a report write it.
    package struct ID: RawRepresentable, Sendable, Hashable, Codable, ExpressibleByStringLiteral {
        /// The name as it is written.
        package let rawValue: String

        /// The group of that name.
        package init(rawValue: String) { self.rawValue = rawValue }
        /// The group of that name.
        package init(stringLiteral value: String) { rawValue = value }
    }

    /// The smallest change of a policy after which such a call is allowed.
    package enum Opening: String, Sendable, Hashable {
        /// The call's own name, added to `seccomp.allow`.
        case call
        /// The group's name, added to `seccomp.allow`.
        case group
        /// Nothing that a policy can say.
        case none
    }

    /// The group's name.
    package let id: ID

    /// One sentence that tells why these calls are refused.
    package let reason: String

    /// What would allow them.
    package let opening: Opening

    /// Describes the group `id`.
    package init(_ id: ID, because reason: String, opening: Opening) {
        self.id = id
        self.reason = reason
        self.opening = opening
    }

    /// Calls that a policy's own list leaves out.
    package static let unlisted = SeccompGroup(
        "unlisted", because: "the policy lists the calls that are made, and this one is not among them", opening: .call)

    /// The line of a policy that would allow `call`, or nil where no policy can.
    package func opensWith(call: String) -> String? {
        switch opening {
        case .call: "seccomp: {allow: [\(call)]}"
        case .group: "seccomp: {allow: [\(id.rawValue)]}"
        case .none: nil
        }
    }
}

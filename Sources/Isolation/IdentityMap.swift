/// How ids inside a sandbox stand for ids of the host (user_namespaces(7)).
package struct IdentityMap: Sendable, Hashable, Codable {
    /// Consecutive ids.
    package struct Range: Sendable, Hashable, Codable {
        /// First id inside, first id outside, and how many.
        package var inside: UInt32, outside: UInt32, count: UInt32

        /// Makes a range.
        package init(inside: UInt32, outside: UInt32, count: UInt32) {
            self.inside = inside
            self.outside = outside
            self.count = count
        }

        /// The line of `uid_map`.
        package var line: String { "\(inside) \(outside) \(count)" }
    }

    /// Who may write the map.
    package enum Kind: String, Sendable, Hashable, Codable {
        /// The service as root maps the run to a range that belongs to nobody else.
        case ownerRange = "owner-range"
        /// A user maps a range of /etc/subuid by newuidmap(1).
        case userRange = "user-range"
        /// A user without a range maps only the own id.
        case single
    }

    /// The id of the author inside: it owns the project, the runs' files and `/data`, and steps run under it.
    package static let user: UInt32 = 1000
    /// The id of the supervisor inside, where there is a range.
    package static let supervisor: UInt32 = 65520
    /// The id of process 1 of each step, where there is a range.
    package static let initProcess: UInt32 = 65521
    /// The id of the proxy of a filtered network inside, where there is a range.
    package static let proxy: UInt32 = 65522

    package var kind: Kind
    /// Lines of `uid_map`.
    package var users: [Range]
    /// Lines of `gid_map`.
    package var groups: [Range]

    /// A map as it is stored in `identity.json`.
    package init(kind: Kind, users: [Range], groups: [Range]) {
        self.kind = kind
        self.users = users
        self.groups = groups
    }

    /// The map of a run under root: ids 0 to 65535 stand for `base` and up.
    package static func ownerRange(base: UInt32) -> IdentityMap {
        let range = [Range(inside: 0, outside: base, count: 65536)]
        return IdentityMap(kind: .ownerRange, users: range, groups: range)
    }

    /// The map of a user with a range: the user is 1000 inside, every other id comes from the range.
    package static func userRange(
        user: UInt32, group: UInt32, subordinateUsers: UInt32, subordinateGroups: UInt32
    ) -> IdentityMap {
        IdentityMap(
            kind: .userRange, users: around(own: user, base: subordinateUsers),
            groups: around(own: group, base: subordinateGroups))
    }

    /// The map of a user without a range: `inside` (1000 in steps, 0 in builds) stands for the user.
    package static func single(user: UInt32, group: UInt32, inside: UInt32) -> IdentityMap {
        IdentityMap(
            kind: .single, users: [Range(inside: inside, outside: user, count: 1)],
            groups: [Range(inside: inside, outside: group, count: 1)])
    }

    private static func around(own: UInt32, base: UInt32) -> [Range] {
        [
            Range(inside: 0, outside: base, count: user),
            Range(inside: user, outside: own, count: 1),
            Range(inside: user + 1, outside: base + user, count: 65536 - user - 1),
        ]
    }

    /// The ids of files that belong to a user of the host alone, who is the author inside.
    package static func author(user: UInt32, group: UInt32) -> IdentityMap {
        IdentityMap(
            kind: .ownerRange, users: [Range(inside: Self.user, outside: user, count: 1)],
            groups: [Range(inside: Self.user, outside: group, count: 1)])
    }

    /// A map by which files of this map's ids are seen as those of another's that have the same number inside; nil where
    /// not root has made both.
    package func shift(to other: IdentityMap) -> IdentityMap? {
        guard kind == .ownerRange, other.kind == .ownerRange else { return nil }
        func shift(_ from: [Range], _ to: [Range]) -> [Range] {
            from.flatMap { from in
                to.compactMap { to in
                    let first = max(from.inside, to.inside)
                    let end = min(UInt64(from.inside) + UInt64(from.count), UInt64(to.inside) + UInt64(to.count))
                    guard first < end else { return nil }
                    return Range(
                        inside: from.outside + (first - from.inside), outside: to.outside + (first - to.inside),
                        count: UInt32(end - UInt64(first)))
                }
            }
        }
        return IdentityMap(kind: .ownerRange, users: shift(users, other.users), groups: shift(groups, other.groups))
    }

    /// Whether there are ids to tell supervisor, init and command apart.
    package var hasRange: Bool { kind != .single }

    /// The host's id for an id inside, if it is mapped.
    package func outsideUser(_ inside: UInt32) -> UInt32? { Self.outside(inside, users) }

    /// The host's group for a group inside, if it is mapped.
    package func outsideGroup(_ inside: UInt32) -> UInt32? { Self.outside(inside, groups) }

    private static func outside(_ id: UInt32, _ ranges: [Range]) -> UInt32? {
        ranges.first { id >= $0.inside && id - $0.inside < $0.count }.map { $0.outside + (id - $0.inside) }
    }
}

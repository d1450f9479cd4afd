/// How much the users of a service may keep on the disk: one limit for all, and others for some of them.
package struct DiskLimits: Sendable, Hashable, Codable {
    /// A limit, and for whom it is.
    package struct Entry: Sendable, Hashable, Codable {
        /// A name or id of a user, or of a group behind an `@`; nil is everybody.
        package let who: String?
        /// The most bytes; nil is any number.
        package let bytes: Int64?

        /// Makes an entry.
        package init(who: String?, bytes: Int64?) {
            self.who = who
            self.bytes = bytes
        }
    }

    package let entries: [Entry]

    /// Makes limits of their entries.
    package init(_ entries: [Entry]) { self.entries = entries }

    /// The limit of a user; nil is none.
    ///
    /// What is said of him himself goes before what is said of his groups, of which the largest holds, and that before
    /// what is said of all.
    func limit(user: UInt32) -> Int64? {
        if entries.isEmpty { return nil }
        let name = HostIdentity.userName(user)
        if let own = entries.last(where: { $0.who == String(user) || ($0.who != nil && $0.who == name) }) {
            return own.bytes
        }
        let groups = HostIdentity.groups(of: user)
        let ofGroups = entries.filter { entry in
            guard let who = entry.who, who.first == "@" else { return false }
            return groups.contains { who.dropFirst() == $0.name || who.dropFirst() == String($0.id) }
        }
        if !ofGroups.isEmpty {
            return ofGroups.contains { $0.bytes == nil } ? nil : ofGroups.compactMap(\.bytes).max()
        }
        return entries.last { $0.who == nil }?.bytes
    }
}

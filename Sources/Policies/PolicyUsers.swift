import PlainText

/// Who may use a policy in a service that several users share.
///
/// Entries are names or ids of users, and of groups behind an `@`. Only that service asks: who has a store of his own is
/// bound by the kernel alone.
package struct PolicyUsers: Sendable, Hashable {
    /// The most entries of a list.
    static let limit = 1000

    /// The entries as they were written.
    package let entries: [String]

    /// What may stand in an entry, as a regular expression: `@` marks a group.
    static let pattern = "^@?[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}\\$?$"

    /// What is wrong with an entry; nil when nothing is.
    static func fault(of entry: String) -> String? {
        var bytes = Array(entry.utf8)
        if bytes.first == UInt8(ascii: "@") { bytes.removeFirst() }
        if bytes.last == UInt8(ascii: "$") { bytes.removeLast() }
        let isName = bytes.enumerated().allSatisfy { index, byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            case UInt8(ascii: "-"): index > 0
            default: false
            }
        }
        if isName, (1...64).contains(bytes.count) { return nil }
        return "\(quoted(entry)) is neither a user nor a group: write `alice`, `@science`, or an id"
    }

    /// Whether a user may use the policy, by his id, those of his groups, and their names.
    package func allows(user: UInt32, name: String?, groups: [UInt32], groupNames: [String]) -> Bool {
        let own = Set([name, String(user)].compactMap { $0 }.map { Array($0.utf8) })
        let ofGroups = Set((groupNames + groups.map(String.init)).map { Array($0.utf8) })
        return entries.contains { entry in
            let bytes = Array(entry.utf8)
            // A user whose name begins with an `@` is no group.
            return bytes.first == UInt8(ascii: "@") ? ofGroups.contains(Array(bytes.dropFirst())) : own.contains(bytes)
        }
    }
}

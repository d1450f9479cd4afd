import PlainText

/// The rule for names of policy documents.
package enum PolicyName {
    /// What the file of a policy ends with.
    package static let suffix = ".yaml"

    /// The most characters of a name.
    package static let limit = 64

    /// Names that no document may have beside those of the built-in policies: the admin's ceiling is no policy.
    static let reserved = [ceiling]

    /// The name of the admin's ceiling.
    static let ceiling = "ceiling"

    /// Whether `name` may be the name of a policy: letters, digits, `-` and `_`, at most 64 of them.
    ///
    /// Such a name is safe as a part of a path, and safe to show.
    package static func isWellFormed(_ name: String) -> Bool {
        (1...limit).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    /// What keeps a document from having this name: a lower-case fragment, or nil where nothing does.
    static func fault(of name: String) -> String? {
        if !isWellFormed(name) {
            return "\(quoted(name)) is not the name of a policy: at most \(limit) letters, digits, `-` and `_`"
        }
        if BuiltInPolicies.names.contains(name) {
            return "`\(name)` is a built-in policy, and the names of those are reserved"
        }
        if reserved.contains(name) { return "the name `\(name)` is reserved" }
        return nil
    }
}

import LinuxSystem

/// Why an image was not imported; the build that was in force still is.
package struct ImportError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of reason it is.
    package enum Kind: Sendable, Hashable {
        /// What was named is not there.
        case notFound
        /// It could be several things.
        case ambiguous
        /// It is no image, a damaged one, or one for another machine.
        case invalid
        /// It is larger than was allowed.
        case tooLarge
        /// A name belongs to something else.
        case taken
        /// A registry does not answer.
        case unreachable
        /// A registry, or a rule of ours for registries, refuses it.
        case denied
        /// The host lacks a program, or room.
        case host
    }

    /// The kind.
    package let kind: Kind
    /// What is wrong, safe to show.
    package let description: String
    /// What to do about it.
    package let hint: String?

    init(_ kind: Kind, _ description: String, hint: String? = nil) {
        self.kind = kind
        self.description = description
        self.hint = hint
    }

    /// An archive, named by `what`, that was not unpacked.
    init(_ what: String, _ error: ArchiveError) {
        let (kind, hint): (Kind, String?) =
            switch error.kind {
            case .malformed: (.invalid, "see whether the file is whole, and what wrote it")
            case .refused: (.invalid, "no image has such an entry for good reasons: make it again without")
            case .tooLarge: (.tooLarge, "if that is right, allow more with `--max-size SIZE` or `--max-files COUNT`")
            case .system where error.errno == 28: (.host, "make room on the disk")
            case .system: (.host, "`cloche system doctor` tells what this host lacks")
            }
        self.init(kind, "unpack \(what): \(error.message)", hint: hint)
    }
}

package import LinuxSystem

/// One entry of a snapshot's tree.
package struct ManifestEntry: Sendable, Hashable {
    /// What the entry is.
    package enum Kind: Sendable, Hashable {
        /// A directory.
        case directory
        /// A regular file of this size in bytes.
        case file(size: Int64, digest: ContentDigest)
        /// A symbolic link with this text.
        case symbolicLink(target: [UInt8])
        /// A further name of the file whose first name, in the manifest's order, is `first`.
        case hardLink(first: [UInt8])
    }

    /// The path relative to the tree; `.` for the tree's own directory.
    package let path: [UInt8]
    /// What it is.
    package let kind: Kind
    /// Permission bits with setuid, setgid and sticky; 0 for links, which have none of their own.
    package let mode: UInt32
    /// Time of the last change of content; the epoch for hard links, whose first name carries it.
    package let modified: FileTime
    /// Extended attributes in ascending order of their names; none for links.
    package let attributes: [ExtendedAttribute]

    /// Makes an entry.
    package init(
        path: [UInt8], kind: Kind, mode: UInt32, modified: FileTime, attributes: [ExtendedAttribute] = []
    ) {
        self.path = path
        self.kind = kind
        self.mode = mode
        self.modified = modified
        self.attributes = attributes
    }
}

/// An extended attribute of a file or directory.
package struct ExtendedAttribute: Sendable, Hashable {
    /// The full name, such as `user.comment`.
    package let name: [UInt8]
    /// The value, of any bytes.
    package let value: [UInt8]

    /// Makes an attribute.
    package init(name: [UInt8], value: [UInt8]) {
        self.name = name
        self.value = value
    }
}

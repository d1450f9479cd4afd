import LinuxSystem

/// Everything that a snapshot holds, in one canonical text whose SHA-256 is the snapshot's identity.
///
/// The text is ASCII, in lines that end in LF. Fields are separated by one space:
///
///     cloche-manifest 1
///     d MODE MTIME PATH                     a directory
///     f MODE MTIME SIZE DIGEST PATH         a regular file, or the first name of one with several
///     h FIRST PATH                          a further name of the file with the first name FIRST
///     l MTIME TARGET PATH                   a symbolic link
///     x NAME 0xVALUE                        an extended attribute of the directory or file above it
///
/// - The first entry is the tree's own directory, with the path `.`; the others have paths relative to it. Entries
///   ascend by the bytes of their paths, as `LC_ALL=C sort` orders them; attributes ascend by their names. FIRST is
///   the name of the file that comes first in that order.
/// - In PATH, TARGET, FIRST and NAME every byte outside 0x21 to 0x7e, and the backslash, is written as `\x` and two
///   lower-case hexadecimal digits.
/// - MODE is four octal digits (`stat -c %04a`). MTIME is seconds since 1970, a point and nine digits of nanoseconds,
///   which always count forwards: half a second before 1970 is `-1.500000000`. SIZE is in bytes, VALUE in hexadecimal.
/// - DIGEST is what `sha256sum` prints, for files of more than 4 GiB `blocks:` and the digest that ``ContentDigest``
///   describes.
/// - Owners are not part of it: a snapshot belongs to whoever may run it.
///
/// `sha256sum manifest` gives the identity.
package struct Manifest: Sendable {
    /// The canonical text.
    package let bytes: [UInt8]
    /// The SHA-256 of the text.
    package let identity: SnapshotIdentity

    /// The most bytes that are read as a manifest.
    package static let sizeLimit = 4 << 30

    /// Takes text that the caller wrote entry by entry in the right order.
    init(canonical bytes: [UInt8]) {
        self.bytes = bytes
        identity = SnapshotIdentity(manifest: bytes)
    }

    /// The entries in their order.
    package var entries: Entries { Entries(bytes: bytes) }

    /// Walks over the entries of a valid manifest.
    package struct Entries: Sequence, IteratorProtocol, Sendable {
        private let bytes: [UInt8]
        private var offset = ManifestText.header.count

        init(bytes: [UInt8]) { self.bytes = bytes }

        /// The entry that lines without the header say.
        static func first(of lines: ArraySlice<UInt8>) -> ManifestEntry? {
            var entries = Entries(bytes: ManifestText.header + lines)
            return entries.next()
        }

        /// The next entry; nil at the end.
        package mutating func next() -> ManifestEntry? {
            guard offset < bytes.count, let entry = ManifestText.entry(line: takeLine()) else { return nil }
            var attributes: [ExtendedAttribute] = []
            while offset < bytes.count, bytes[offset] == UInt8(ascii: "x"),
                let attribute = ManifestText.attribute(line: takeLine())
            {
                attributes.append(attribute)
            }
            guard !attributes.isEmpty else { return entry }
            return ManifestEntry(
                path: entry.path, kind: entry.kind, mode: entry.mode, modified: entry.modified,
                attributes: attributes)
        }

        private mutating func takeLine() -> ArraySlice<UInt8> {
            let end = bytes[offset...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
            defer { offset = end + 1 }
            return bytes[offset..<end]
        }
    }
}

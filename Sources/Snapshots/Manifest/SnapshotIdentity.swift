import Crypto
import PlainText

/// The identity of a snapshot: the SHA-256 of its manifest.
package struct SnapshotIdentity: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The 64 lower-case hexadecimal digits.
    package let description: String

    /// Reads an identity; nil unless it is 64 lower-case hexadecimal digits.
    package init?(_ text: String) {
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }
        guard text.utf8.count == 64, text.utf8.allSatisfy(isDigit) else { return nil }
        description = text
    }

    init(_ digest: SHA256.Digest) { description = hexadecimal(Array(digest)) }

    /// The identity that these bytes of a manifest have.
    init(manifest bytes: [UInt8]) {
        var hash = SHA256()
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
        self.init(hash.finalize())
    }

    package static func < (left: SnapshotIdentity, right: SnapshotIdentity) -> Bool {
        left.description < right.description
    }
}

import Crypto

/// The SHA-256 of bytes that come in parts: what images name their content by.
package struct StreamDigest: Sendable {
    private var hash = SHA256()

    /// Nothing so far.
    package init() {}

    /// Adds a part.
    package mutating func add(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    }

    /// Adds a part.
    mutating func add(_ bytes: ArraySlice<UInt8>) {
        bytes.withUnsafeBytes { hash.update(bufferPointer: $0) }
    }

    /// The 64 lower-case hexadecimal digits of what was added.
    package var hexadecimal: String {
        hash.finalize().map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }.joined()
    }
}

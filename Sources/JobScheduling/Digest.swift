import Snapshots

/// SHA-256 of bytes in memory, as text.
enum Digest {
    /// The 64 lower-case hexadecimal digits.
    static func hexadecimal(_ bytes: [UInt8]) -> String {
        ContentDigest(of: bytes).bytes.map { byte in
            let text = String(byte, radix: 16)
            return byte < 16 ? "0" + text : text
        }.joined()
    }
}

import Crypto

/// The digest of a file's content.
///
/// Up to ``wholeLimit`` bytes it is the SHA-256 of the content. Larger files, which are often sparse, are hashed
/// without their zeros: SHA-256 over each 4,096-byte block that is not all zero (the last may be shorter), in order,
/// each preceded by its offset as eight bytes, least significant first. Which of the two holds depends on the size
/// alone, and neither depends on how a file system stores the file.
package struct ContentDigest: Sendable, Hashable {
    /// The largest size, in bytes, whose digest is the plain SHA-256.
    package static let wholeLimit: Int64 = 4 << 30

    /// The unit of the digest of larger files, in bytes.
    package static let blockSize = 4096

    // Four words take 32 bytes in an array of records; a vector would be padded to the next multiple of 32.
    private let first: UInt64
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64

    init(_ digest: SHA256.Digest) { self.init(bytes: Array(digest)) }

    /// Takes 32 bytes.
    init(bytes: some Collection<UInt8>) {
        precondition(bytes.count == 32, "a SHA-256 has 32 bytes")
        var rest = bytes.makeIterator()
        func word() -> UInt64 {
            var word: UInt64 = 0
            for _ in 0..<8 { word = word << 8 | UInt64(rest.next() ?? 0) }
            return word
        }
        (first, second, third, fourth) = (word(), word(), word(), word())
    }

    /// Takes the bytes as four numbers, each with the most significant byte first.
    init(words: (UInt64, UInt64, UInt64, UInt64)) { (first, second, third, fourth) = words }

    /// The bytes as four numbers.
    var words: (UInt64, UInt64, UInt64, UInt64) { (first, second, third, fourth) }

    /// Appends 64 lower-case hexadecimal digits.
    func appendHexadecimal(to text: inout [UInt8]) {
        for word in [first, second, third, fourth] {
            for shift in stride(from: UInt64(60), through: 0, by: -4) {
                let nibble = UInt8(truncatingIfNeeded: word >> shift & 15)
                text.append(nibble < 10 ? 0x30 + nibble : 0x57 + nibble)
            }
        }
    }

    /// The 32 bytes.
    package var bytes: [UInt8] {
        let words = SIMD4(first, second, third, fourth)
        return (0..<32).map { UInt8(truncatingIfNeeded: words[$0 / 8] >> UInt64(56 - $0 % 8 * 8)) }
    }

    /// The digest of bytes in memory that are at most ``wholeLimit`` long.
    package init(of content: [UInt8]) {
        var hash = SHA256()
        content.withUnsafeBytes { hash.update(bufferPointer: $0) }
        self.init(hash.finalize())
    }
}

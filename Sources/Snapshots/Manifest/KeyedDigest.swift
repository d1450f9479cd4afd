import Crypto

/// Message codes: digests that only who has the key can make (RFC 2104).
package enum KeyedDigest {
    /// The 32 bytes of HMAC-SHA256.
    package static func sha256(of message: [UInt8], key: [UInt8]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: message, using: SymmetricKey(data: key)))
    }
}

import LinuxSystem
import PlainText
import SystemPackage

/// Why an archive was not unpacked or read.
package struct ArchiveError: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    /// What kind of reason it is.
    package enum Kind: String, Sendable, Hashable, Codable {
        /// The bytes are no archive, or one that is cut off.
        case malformed
        /// An entry wants what no image may have.
        case refused
        /// It unpacks to more than was allowed.
        case tooLarge = "too_large"
        /// The host failed: a full disk, a reader that is gone.
        case system
    }

    /// The kind.
    package let kind: Kind
    /// A lower-case fragment, safe to show.
    package let message: String
    /// The number of the failed system call's error.
    package let errno: Int32?

    init(_ kind: Kind, _ message: String, errno: Int32? = nil) {
        self.kind = kind
        self.message = message
        self.errno = errno
    }

    init(_ error: SyscallError) {
        self.init(.system, printable(error.description, limit: 500), errno: error.errno.rawValue)
    }

    /// The message.
    package var description: String { message }

    /// Turns failed calls of `body` into errors of an archive.
    static func calling<Value: ~Copyable>(
        _ body: () throws(SyscallError) -> Value
    ) throws(ArchiveError) -> Value {
        do throws(SyscallError) { return try body() } catch { throw ArchiveError(error) }
    }
}

/// A name of any bytes for a message.
func shown(_ name: [UInt8]) -> String { printable(String(decoding: name, as: UTF8.self), limit: 200) }

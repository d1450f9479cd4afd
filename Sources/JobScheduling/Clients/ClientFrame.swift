/// One message between a client of a shared service and whoever attends to it: a kind, a length of four bytes, the
/// highest first, and so many bytes.
package struct ClientFrame: Sendable, Hashable {
    /// What its bytes are.
    package enum Kind: UInt8, Sendable, Hashable {
        // From the client.
        /// A `ClientRequest` in JSON; the first frame of all.
        case request = 0x51
        /// An entry of the project: a directory, a file or a link. See `ProjectEntry`.
        case entry = 0x46
        /// The next bytes of the file that was named last.
        case content = 0x43
        /// The project is complete.
        case projectEnd = 0x50
        /// The next bytes of a parameters file.
        case parameters = 0x41
        /// Nothing more comes before the command begins.
        case begin = 0x42
        /// The next bytes of standard input; none are its end.
        case input = 0x49
        /// A signal that the client was given, in one byte.
        case signal = 0x53
        // To the client.
        /// The next bytes of standard output.
        case output = 0x4F
        /// The next bytes of standard error.
        case errors = 0x45
        /// The command's exit code, in one byte; the last frame.
        case exit = 0x58
    }

    /// The most bytes of one frame.
    package static let longest = 256 << 10
    private static let headerCount = 5

    package var kind: Kind
    package var bytes: [UInt8]

    /// Makes a frame of at most `longest` bytes.
    package init(_ kind: Kind, _ bytes: [UInt8] = []) {
        self.kind = kind
        self.bytes = bytes
    }

    /// The frame as it is sent.
    package var encoded: [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { [kind.rawValue] + Array($0) } + bytes
    }

    /// Takes frames out of bytes as they come.
    struct Parser {
        private var buffer: [UInt8] = []
        private var start = 0

        /// Adds what has come.
        mutating func feed(_ bytes: [UInt8]) {
            if start > 0 {
                buffer.removeFirst(start)
                start = 0
            }
            buffer += bytes
        }

        /// The next whole frame; nil when there is none yet.
        mutating func next() throws(ClientFault) -> ClientFrame? {
            guard buffer.count - start >= ClientFrame.headerCount else { return nil }
            guard let kind = Kind(rawValue: buffer[start]) else {
                throw ClientFault("a message of a kind that is not known")
            }
            let count = buffer[(start + 1)..<(start + ClientFrame.headerCount)].reduce(0) { $0 << 8 | Int($1) }
            guard count <= ClientFrame.longest else {
                throw ClientFault("a message of more than \(ClientFrame.longest) bytes")
            }
            let first = start + ClientFrame.headerCount
            let end = first + count
            guard end <= buffer.count else { return nil }
            defer { start = end }
            return ClientFrame(kind, Array(buffer[first..<end]))
        }
    }
}

/// What a client sent that it may not send.
package struct ClientFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// What it is, without a full stop.
    package let description: String

    init(_ description: String) { self.description = description }
}

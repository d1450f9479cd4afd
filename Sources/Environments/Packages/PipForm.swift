/// A form in which pip keeps what servers have answered, so that it need not ask again.
enum PipForm: String, Hashable, Sendable {
    /// One file with the answer's head and body: pip before 23.3.
    case joined = "http"
    /// A file with the head, and one with the body.
    case divided = "http-v2"

    /// Where kept files of pip are among the packages that a build is shown.
    static let directory = "pip"

    /// The form of a release of pip, such as `23.0.1`.
    init(release: Substring) {
        let numbers = release.split(separator: ".").prefix(2).map { Int($0) ?? 0 }
        self = (numbers.first ?? 0, numbers.dropFirst().first ?? 0) >= (23, 3) ? .divided : .joined
    }

    /// Where pip looks for the body of what an address has answered, below what a build is shown.
    func path(of address: String) -> String {
        let name = SHA224.hexadecimal(Array(address.utf8))
        let folders = name.prefix(5).map { "\($0)/" }.joined()
        return "\(Self.directory)/\(rawValue)/\(folders)\(name)\(self == .divided ? Self.bodySuffix : "")"
    }

    /// Whether a path is one that `path(of:)` can give.
    static func isPath(_ path: Substring) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 8, parts[0] == directory, let form = PipForm(rawValue: String(parts[1])),
            var name = parts.last
        else { return false }
        if form == .divided {
            guard name.hasSuffix(bodySuffix) else { return false }
            name = name.dropLast(bodySuffix.count)
        }
        return name.utf8.count == 56 && name.utf8.allSatisfy(isHexadecimal)
            && parts[2..<7].joined() == name.prefix(5) && parts[2..<7].allSatisfy { $0.utf8.count == 1 }
    }

    static let bodySuffix = ".body"

    /// What stands before and after a body of so many bytes.
    func frame(_ size: Int64) -> (before: [UInt8], after: [UInt8]) {
        guard self == .joined, size <= Int64(UInt32.max) else { return ([], []) }
        return (Self.beginning + [0xC6] + (0..<4).map { UInt8(truncatingIfNeeded: size >> (24 - 8 * $0)) }, Self.end)
    }

    /// The file of an answer's head beside that of its body.
    static let head = beginning + [0xC4, 0] + end

    // MessagePack, as CacheControl writes it: a map of `response` and `vary`. The age is meant to be never too old: an
    // index gives a file another address when it changes, and pip compares it with the index's digest anyway.
    private static let beginning = Array("cc=4,".utf8) + [0x82] + text("response") + [0x87] + text("body")
    private static let end: [UInt8] =
        text("headers") + [0x83] + text("date") + text("Sat, 01 Jan 2000 00:00:00 GMT")
        + text("cache-control") + text("max-age=4294967295")
        + text("content-type") + text("application/octet-stream")
        + text("status") + [0xCC, 200] + text("version") + [11] + text("reason") + text("OK")
        + text("strict") + [0xC2] + text("decode_content") + [0xC2] + text("vary") + [0x80]

    private static func text(_ text: String) -> [UInt8] { [0xA0 | UInt8(text.utf8.count)] + Array(text.utf8) }
}

package import LinuxSystem

/// One entry of a project on its way from a client to a service.
package struct ProjectEntry: Sendable, Hashable {
    /// What it is.
    package enum Kind: Sendable, Hashable {
        case directory, file
        /// With its text.
        case link([UInt8])
    }

    /// The longest path, in bytes: what the kernel takes at once.
    static let longestPath = 4000

    package var kind: Kind
    /// Permission bits; setuid, setgid and sticky are not carried over.
    package var mode: UInt32
    /// When its content was last changed.
    package var modified: FileTime
    /// From the project's directory; empty for that itself.
    package var path: [UInt8]

    /// Describes an entry.
    package init(_ kind: Kind, mode: UInt32, modified: FileTime, path: [UInt8]) {
        self.kind = kind
        self.mode = mode
        self.modified = modified
        self.path = path
    }

    /// The entry as bytes: kind, mode, seconds, nanoseconds, length of the path, path, text of a link.
    package var encoded: [UInt8] {
        var (letter, target): (UInt8, [UInt8]) = (0x66, [])
        switch kind {
        case .directory: letter = 0x64
        case .file: break
        case .link(let text): (letter, target) = (0x6C, text)
        }
        return [letter] + Self.bytes(UInt64(mode), 2) + Self.bytes(UInt64(bitPattern: modified.seconds), 8)
            + Self.bytes(UInt64(modified.nanoseconds), 4) + Self.bytes(UInt64(path.count), 2) + path + target
    }

    /// Reads an entry, and refuses one that lies outside of its project.
    init(_ bytes: [UInt8]) throws(ClientFault) {
        let headerCount = 17
        guard bytes.count >= headerCount else { throw ClientFault("an entry of a project that is cut off") }
        func number(_ from: Int, _ count: Int) -> UInt64 {
            bytes[from..<(from + count)].reduce(0) { $0 << 8 | UInt64($1) }
        }
        let end = headerCount + Int(number(15, 2))
        let nanoseconds = number(11, 4)
        guard end <= bytes.count, nanoseconds < 1_000_000_000 else {
            throw ClientFault("an entry of a project that is cut off")
        }
        path = Array(bytes[headerCount..<end])
        let rest = Array(bytes[end...])
        switch bytes[0] {
        case 0x64 where rest.isEmpty: kind = .directory
        case 0x66 where rest.isEmpty: kind = .file
        case 0x6C where !rest.isEmpty && rest.count < 4096 && !rest.contains(0): kind = .link(rest)
        default: throw ClientFault("an entry of a project of a kind that is not known")
        }
        mode = UInt32(number(1, 2)) & 0o777
        modified = FileTime(seconds: Int64(bitPattern: number(3, 8)), nanoseconds: Int64(nanoseconds))
        guard Self.isSafe(path) || (path.isEmpty && kind == .directory) else {
            throw ClientFault("an entry that does not lie in its project")
        }
    }

    /// Whether a path stays below where it begins: no empty component, no `.`, no `..`, no zero byte.
    static func isSafe(_ path: [UInt8]) -> Bool {
        guard !path.isEmpty, path.count <= longestPath, !path.contains(0) else { return false }
        return path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { name in
            !name.isEmpty && name.count <= 255 && !name.elementsEqual(".".utf8) && !name.elementsEqual("..".utf8)
        }
    }

    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
}

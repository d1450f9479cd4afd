import LinuxSystem
import PlainText
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Writes down everything that a tree holds: what a build is identified and verified by.
///
/// The text is ASCII, in lines that end in LF, with fields separated by one space. Paths, modes, times, sizes and digests
/// are written as in the manifest of a snapshot; owners are those inside the namespace:
///
///     cloche-environment 1
///     d MODE USER GROUP MTIME PATH                a directory
///     f MODE USER GROUP MTIME SIZE DIGEST PATH    a regular file, or the first name of one with several
///     h FIRST PATH                                a further name of the file with the first name FIRST
///     l USER GROUP MTIME TARGET PATH              a symbolic link
///     w PATH                                      a whiteout: it hides what layers below have there
///     s TYPE MODE USER GROUP DEVICE PATH          anything else, by its type bits and device in hexadecimal
///     x NAME 0xVALUE                              an extended attribute of the directory or file above it
///
/// A directory is followed by what is in it, in the order of the names' bytes. Labels that the host puts on files are no
/// part of it.
struct TreeListing {
    /// The first line.
    static let header = "cloche-environment 1\n"

    /// Directories within each other that are entered: each is a descriptor.
    static let depthLimit = 500
    private static let partSize = 64 << 10

    private let write: ([UInt8]) throws(SyscallError) -> Void
    private var text = Array(Self.header.utf8)
    private var firstNames: [FileKey: [UInt8]] = [:]

    private struct FileKey: Hashable {
        let device: UInt64, inode: UInt64
    }

    /// Prepares a listing whose text goes to `write` in parts.
    init(write: @escaping ([UInt8]) throws(SyscallError) -> Void) { self.write = write }

    /// Lists what is below an open directory; nothing may change meanwhile.
    mutating func run(_ root: CInt) throws(SyscallError) {
        try add(directory: root, path: Array(".".utf8), prefix: [], depth: 0)
        try write(text)
    }

    private mutating func add(
        directory: CInt, path: [UInt8], prefix: [UInt8], depth: Int
    ) throws(SyscallError) {
        guard depth < Self.depthLimit else {
            throw SyscallError("list", displayName(path.prefix(200)), errno: .init(rawValue: ENAMETOOLONG))
        }
        let status = try Syscall.fstat(directory)
        line("d", mode: status, owner: status, time: status.modified, path)
        try addAttributes(directory)
        let listing = try Syscall.directoryListing(directory)
        let items = listing.items.map { Array(listing.names[$0.start..<($0.start + $0.count)]) }
        for name in items.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            try add(name, in: directory, path: prefix + name, depth: depth)
            if text.count > Self.partSize {
                try write(text)
                text.removeAll(keepingCapacity: true)
            }
        }
    }

    private mutating func add(
        _ name: [UInt8], in directory: CInt, path: [UInt8], depth: Int
    ) throws(SyscallError) {
        let entry = TerminatedName(name)
        let status = try Syscall.lstat(entry, at: directory)
        switch status.mode & S_IFMT {
        case S_IFDIR:
            let inner = try Syscall.open(entry, at: directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try add(directory: inner.number, path: path, prefix: path + [UInt8(ascii: "/")], depth: depth + 1)
        case S_IFREG: try add(file: entry, in: directory, path: path)
        case S_IFLNK:
            line(
                "l", mode: nil, owner: status, time: status.modified,
                Self.escaped(try Syscall.readLink(entry, at: directory)), path)
        case S_IFCHR where status.deviceNumber == 0: line("w", mode: nil, owner: nil, time: nil, path)
        default:
            line(
                "s \(String(status.mode >> 12, radix: 16))", mode: status, owner: status, time: nil,
                Array(String(status.deviceNumber, radix: 16).utf8), path)
        }
    }

    private mutating func add(
        file entry: TerminatedName, in directory: CInt, path: [UInt8]
    ) throws(SyscallError) {
        let opened = try Syscall.open(entry, at: directory, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        let status = try Syscall.fstat(opened.number)
        let key = FileKey(device: status.device, inode: status.inode)
        if status.links > 1, let first = firstNames[key] {
            return line("h", mode: nil, owner: nil, time: nil, Self.escaped(first), path)
        }
        if status.links > 1 { firstNames[key] = path }
        let digest: ContentDigest
        do throws(SnapshotError) {
            digest = try ContentDigest(ofFile: opened.number)
        } catch {
            throw SyscallError("read", displayName(path.prefix(200)), errno: .ioError)
        }
        var shown: [UInt8] = status.size > ContentDigest.wholeLimit ? Array("blocks:".utf8) : []
        shown += digest.bytes.map { hexadecimal($0) }.joined().utf8
        line(
            "f", mode: status, owner: status, time: status.modified, Array(String(status.size).utf8), shown, path)
        try addAttributes(opened.number)
    }

    private mutating func addAttributes(_ descriptor: CInt) throws(SyscallError) {
        for name in try Syscall.attributeNames(descriptor).sorted(by: { $0.lexicographicallyPrecedes($1) })
        where name.starts(with: "user.".utf8) || name.elementsEqual("security.capability".utf8) {
            let value = try Syscall.attribute(TerminatedName(name), of: descriptor)
            text += "x ".utf8
            text += Self.escaped(name)
            text += " 0x".utf8
            text += value.map { hexadecimal($0) }.joined().utf8
            text.append(0x0A)
        }
    }

    /// Writes a line; the last of `fields` is a path, which is escaped.
    private mutating func line(
        _ kind: String, mode: FileStatus?, owner: FileStatus?, time: FileTime?, _ fields: [UInt8]...
    ) {
        text += kind.utf8
        if let mode {
            let digits = String(mode.permissions, radix: 8)
            text += (" " + String(repeating: "0", count: 4 - digits.count) + digits).utf8
        }
        if let owner { text += " \(owner.user) \(owner.group)".utf8 }
        if let time {
            let rest = String(time.nanoseconds)
            text += " \(time.seconds).\(String(repeating: "0", count: 9 - rest.utf8.count))\(rest)".utf8
        }
        for field in fields.dropLast() {
            text.append(0x20)
            text += field
        }
        text.append(0x20)
        text += Self.escaped(fields.last ?? [])
        text.append(0x0A)
    }

    private static func escaped(_ bytes: [UInt8]) -> [UInt8] {
        if bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x5C }) { return bytes }
        return bytes.flatMap { byte -> [UInt8] in
            byte > 0x20 && byte < 0x7F && byte != 0x5C ? [byte] : Array("\\x".utf8) + Array(hexadecimal(byte).utf8)
        }
    }
}

import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Writes a project that a client sends into a directory of the service's.
///
/// The client has read its files with its own rights, and the service opens nothing that a client names: what it makes
/// here are new entries below the directory, and no link is followed.
final class ProjectReceiver {
    /// How much a client may send.
    struct Limits: Sendable {
        /// Bytes of all files.
        var bytes: Int64
        /// Entries.
        var entries = 1_000_000
        /// Bytes of the paths of directories, which are kept in memory until the end.
        var pathBytes = 64 << 20
        /// What stays free on the disk, in bytes and in files.
        var reserve: Int64 = 1 << 30, reservedFiles: Int64 = 10_000
    }

    private static let resolution: PathResolution = [.beneath, .noSymlinks]

    private let root: OwnedFileDescriptor
    private let limits: Limits
    private var directories: [ProjectEntry] = []
    private var parent: (path: [UInt8], descriptor: OpenedDirectory)?
    private var file: OpenedFile?
    private var bytes: Int64 = 0
    private var checked: Int64 = 0
    private var entries = 0
    private var pathBytes = 0

    /// Writes below an empty directory.
    init(_ root: consuming OwnedFileDescriptor, _ limits: Limits) {
        self.root = root
        self.limits = limits
    }

    /// Takes the next entry.
    func take(_ entry: ProjectEntry) throws {
        try finishFile()
        entries += 1
        guard entries <= limits.entries else {
            throw ClientFault("a project of more than \(limits.entries) entries")
        }
        if entries % 1000 == 1 { try checkRoom() }
        if entry.path.isEmpty {
            directories.append(entry)
            return
        }
        let name = TerminatedName(entry.path.lastComponent)
        let directory = try parent(of: entry.path)
        switch entry.kind {
        case .directory:
            pathBytes += entry.path.count
            guard pathBytes <= limits.pathBytes else {
                throw ClientFault("directories with more than \(limits.pathBytes) bytes of paths")
            }
            try Syscall.makeDirectory(name, at: directory.number, mode: 0o700)
            directories.append(entry)
        case .file:
            let opened = try Syscall.open(
                name, at: directory.number, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600,
                resolve: Self.resolution)
            file = OpenedFile(opened, entry)
        case .link(let target):
            try Syscall.symlink(to: TerminatedName(target), name, at: directory.number)
            try Syscall.setModificationTime(name, at: directory.number, entry.modified)
        }
    }

    /// Takes the next bytes of the file that was named last.
    func take(content: [UInt8]) throws {
        guard let file else { throw ClientFault("the content of no file") }
        bytes += Int64(content.count)
        guard bytes <= limits.bytes else {
            throw JobRefusal(
                message: "take the project: it has more than \(limits.bytes) bytes, the most that this service takes",
                hint:
                    "leave out what its runs do not need, by a file `.clocheignore`, or ask whoever runs the service for "
                    + "a greater `--max-project`")
        }
        if bytes - checked >= 16 << 20 || checked == 0 {
            checked = bytes
            try checkRoom()
        }
        try Syscall.writeAll(file.descriptor.number, content)
    }

    private func checkRoom() throws {
        let room = try Syscall.fileSystem(of: root.number)
        guard room.bytes == 0 || room.freeBytes > limits.reserve else { throw Self.noRoom("bytes") }
        guard room.files == 0 || room.freeFiles > limits.reservedFiles else { throw Self.noRoom("files") }
    }

    private static func noRoom(_ what: String) -> StoreError {
        StoreError(
            message: "take the project: the service's disk has no more \(what) than it keeps free",
            hint: "whoever runs the service can make room: `cloche system df` tells what uses the disk", kind: .noRoom)
    }

    /// Ends it: directories get their modes and times, the deepest first.
    func finish() throws {
        try finishFile()
        parent = nil
        for entry in directories.reversed() {
            let directory = try Syscall.open(
                TerminatedName(entry.path.isEmpty ? Array(".".utf8) : entry.path), at: root.number,
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: Self.resolution)
            try Syscall.changeMode(of: directory.number, entry.mode)
            try Syscall.setModificationTime(of: directory.number, entry.modified)
        }
    }

    private func finishFile() throws {
        guard let file else { return }
        self.file = nil
        try Syscall.changeMode(of: file.descriptor.number, file.entry.mode)
        try Syscall.setModificationTime(of: file.descriptor.number, file.entry.modified)
    }

    private func parent(of path: [UInt8]) throws(SyscallError) -> OpenedDirectory {
        let above = path.withoutLastComponent
        if let parent, parent.path == above { return parent.descriptor }
        let opened = OpenedDirectory(
            try Syscall.open(
                TerminatedName(above.isEmpty ? Array(".".utf8) : above), at: root.number,
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: Self.resolution))
        parent = (above, opened)
        return opened
    }

    private final class OpenedDirectory {
        private let descriptor: OwnedFileDescriptor

        init(_ descriptor: consuming OwnedFileDescriptor) { self.descriptor = descriptor }

        var number: CInt { descriptor.number }
    }

    private final class OpenedFile {
        let descriptor: OwnedFileDescriptor
        let entry: ProjectEntry

        init(_ descriptor: consuming OwnedFileDescriptor, _ entry: ProjectEntry) {
            self.descriptor = descriptor
            self.entry = entry
        }
    }
}

extension [UInt8] {
    fileprivate var lastComponent: [UInt8] {
        lastIndex(of: UInt8(ascii: "/")).map { Array(self[($0 + 1)...]) } ?? self
    }

    fileprivate var withoutLastComponent: [UInt8] {
        lastIndex(of: UInt8(ascii: "/")).map { Array(self[..<$0]) } ?? []
    }
}

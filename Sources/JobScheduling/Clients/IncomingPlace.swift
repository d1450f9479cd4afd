import LinuxSystem
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A directory for what a client sends, as long as his command runs: `incoming/<random>` in his store.
final class IncomingPlace {
    static let directory: FilePath = "incoming"
    /// What is younger may be one that is just being made, in seconds.
    private static let youth = 60.0

    private let parent: OwnedFileDescriptor
    private let name: FilePath
    /// Held as long as it is used: what nobody holds was left by a process that was killed.
    private let opened: OwnedFileDescriptor
    private let path: FilePath

    init(in store: FilePath) throws {
        let above = store.pushing(Self.directory)
        try Syscall.makeDirectories(above, mode: 0o700)
        let parent = try Syscall.open(above, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        Self.removeAbandoned(parent.number)
        let random = try Syscall.randomBytes(8).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        try Syscall.makeDirectory(FilePath(random), at: parent.number, mode: 0o700)
        let opened = try Syscall.open(FilePath(random), at: parent.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try Syscall.flock(opened.number, LOCK_EX | LOCK_NB)
        self.parent = parent
        self.opened = opened
        name = FilePath(random)
        path = above.appending(random)
    }

    /// The project's directory.
    var project: FilePath { path.appending("project") }

    func makeProject() throws(SyscallError) -> OwnedFileDescriptor {
        try Syscall.makeDirectory("project", at: opened.number, mode: 0o700)
        return try Syscall.open("project", at: opened.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
    }

    func write(parameters: [UInt8]) throws(SyscallError) -> FilePath {
        try Syscall.writeFile("parameters.json", at: opened.number, parameters, mode: 0o600)
        return path.appending("parameters.json")
    }

    /// Removes it with all that it holds.
    func remove() { try? TreeRemoval.remove(directory: parent.number, name: name) }

    private static func removeAbandoned(_ parent: CInt) {
        for entry in (try? Syscall.directoryEntries(parent)) ?? [] {
            let name = FilePath(String(decoding: entry.name, as: UTF8.self))
            if isAbandoned(name, at: parent) { try? TreeRemoval.remove(directory: parent, name: name) }
        }
    }

    private static func isAbandoned(_ name: FilePath, at parent: CInt) -> Bool {
        do throws(SyscallError) {
            let opened = try Syscall.open(name, at: parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let modified = try Syscall.fstat(opened.number).modified
            if Double(modified.seconds) + youth > Syscall.wallClockSeconds() { return false }
            try Syscall.flock(opened.number, LOCK_EX | LOCK_NB)
            return true
        } catch {
            return false
        }
    }
}

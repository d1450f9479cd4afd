import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The prepared commands of a store: `prepared/<hash of the key>`, each a number for its integrity, its key, and the
/// command.
///
/// They can be removed at any time, and what cannot be read is as if it were not there.
package struct PreparedCommandStore: Sendable {
    /// How many are kept, and how large one may be.
    private static let most = 64, sizeLimit = 1 << 20

    private let directory: FilePath

    /// Those of the store at a path.
    package init(store: FilePath) { directory = store.appending("prepared") }

    /// The command that is kept for a key; nil where there is none that can be relied on.
    package func find(_ key: CommandLineKey) -> PreparedCommand? {
        do {
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let file = try Syscall.open(key.fileName, at: opened.number, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
            for status in [try Syscall.fstat(opened.number), try Syscall.fstat(file.number)] {
                // Nobody else can have put it there.
                guard status.user == geteuid(), status.mode & 0o022 == 0 else { return nil }
            }
            let bytes = try Syscall.readAll(file.number, limit: Self.sizeLimit)
            var reader = ByteReader(bytes)
            guard try reader.number(UInt64.self) == CommandLineKey.hash(bytes.dropFirst(8)),
                try reader.blob() == key.bytes
            else { return nil }
            return try PreparedCommand(bytes, from: 16 + key.bytes.count)
        } catch {
            // Whatever it is, working it out again is the answer.
            return nil
        }
    }

    /// Keeps a command; where that is not possible, the next one takes longer, and nothing else.
    package func keep(_ command: PreparedCommand, for key: CommandLineKey) {
        guard let content = command.bytes else { return }
        var writer = ByteWriter()
        writer.write(key.bytes)
        let body = writer.bytes + content
        var head = ByteWriter()
        head.write(CommandLineKey.hash(body[...]))
        do throws(SyscallError) {
            try Syscall.makeDirectories(directory, mode: 0o700)
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            try removeAll(of: opened.number, beyond: Self.most)
            // Two at once write what is the same, or what the number tells from it.
            let temporary = FilePath("\(key.fileName).\(getpid())")
            try Syscall.writeFile(temporary, at: opened.number, head.bytes + body, mode: 0o600)
            try Syscall.rename(temporary, at: opened.number, to: key.fileName, at: opened.number)
        } catch {
            // A full disk, say: the command itself will tell.
        }
    }

    private func removeAll(of directory: CInt, beyond most: Int) throws(SyscallError) {
        let entries = try Syscall.directoryEntries(directory)
        guard entries.count >= most else { return }
        for entry in entries { try Syscall.unlink(entry.path, at: directory) }
    }
}

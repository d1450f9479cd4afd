package import Isolation
import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// That the files of a run were removed: the content of `files-removed.json`.
private struct FilesRemoved: Codable {
    var time: Timestamp
    /// The attempts whose files are gone; a later one has its own.
    var attempt: Int

    static let name: FilePath = "files-removed.json"
}

extension RunDirectory {
    /// What is left of an attempt whose files are removed.
    private static let kept: Set<String> = [
        "events.jsonl", "logs", "verdict.json", "usage.json", "denials.jsonl", "network.jsonl", "exchange", "lock",
    ]
    private static let keptOfExchange: Set<String> = ["metrics.jsonl"]

    /// When the files of its attempts were removed; nil where they are there.
    package func filesRemoved() -> Timestamp? {
        guard let bytes = try? Syscall.readFile(path.appending(FilesRemoved.name.string), limit: 4096),
            let removed = JSONFile.decode(FilesRemoved.self, bytes), removed.attempt >= attempts().last ?? 0
        else { return nil }
        return removed.time
    }

    /// Removes all that the attempts have left but what tells of them; `remove` takes a tree away by its name in an open
    /// directory.
    ///
    /// A later attempt begins from the start. That is noted before the first file is gone, and the end after the last.
    package func removeFiles(
        at time: Timestamp, remove: (CInt, FilePath) throws -> Void
    ) throws {
        guard Syscall.exists(path) else { return }
        let directory = try Syscall.open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        let numbers = attempts()
        let last = numbers.last ?? 0
        if ignoredAttempts() < last { try ignoreAttempts(upTo: last) }
        for number in numbers {
            try Self.remove(allBut: Self.kept, of: FilePath("attempts/\(number)"), in: directory.number, remove)
            try Self.remove(
                allBut: Self.keptOfExchange, of: FilePath("attempts/\(number)/exchange"), in: directory.number, remove)
        }
        guard let bytes = JSONFile.encode(FilesRemoved(time: time, attempt: last)) else { return }
        try Syscall.replaceFile(FilesRemoved.name, at: directory.number, bytes)
    }

    private static func remove(
        allBut kept: Set<String>, of path: FilePath, in run: CInt, _ remove: (CInt, FilePath) throws -> Void
    ) throws {
        let directory: OwnedFileDescriptor
        do throws(SyscallError) {
            // What attempts have left was in the hands of their supervisors: no link is followed.
            directory = try Syscall.open(
                path, at: run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: [.beneath, .noSymlinks])
        } catch {
            // An attempt that failed to begin has no such directory.
            if error.errno == .noSuchFileOrDirectory { return }
            throw error
        }
        for entry in try Syscall.directoryEntries(directory.number) {
            // Names are compared as bytes: what only looks like one of these is not kept.
            let isKept = kept.contains { Array($0.utf8) == Array(entry.name) }
            if !isKept { try remove(directory.number, entry.path) }
        }
    }
}

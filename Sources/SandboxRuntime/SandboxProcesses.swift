import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The processes of a running sandbox, and the room in its file systems, as the supervisor sees them from outside.
///
/// It looks at the sandbox's own procfs, through process 1, which is a child of the supervisor and not yet reaped.
struct SandboxProcesses: ~Copyable {
    /// What all processes together have at one moment.
    struct Sample: Sendable {
        /// Processes and threads.
        var tasks: Int64 = 0
        /// Seconds of processor time, of processes that have been waited for too.
        var cpuSeconds = 0.0
        /// Bytes of memory that are not files' own; pages that processes share count for each.
        var memory: Int64 = 0
    }

    private let root: OwnedFileDescriptor
    private let processes: OwnedFileDescriptor

    /// Opens the root directory and the procfs of the sandbox whose process 1 has this number outside.
    init(of number: Int32) throws(SyscallError) {
        let root = try Syscall.openLocation(FilePath("\(StagePath.hostProcesses)/\(number)/root"))
        processes = try Self.openProcesses(root.number)
        self.root = root
    }

    private static func openProcesses(_ root: CInt) throws(SyscallError) -> OwnedFileDescriptor {
        let processes = try Syscall.open("proc", at: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        // PROC_SUPER_MAGIC: numbers of anything else are nobody's.
        guard try Syscall.fileSystem(of: processes.number).type == 0x9FA0 else {
            throw SyscallError("open", "/proc", errno: .noSuchFileOrDirectory)
        }
        return processes
    }

    /// Adds up what `stat` and `statm` of each process tell (proc(5)).
    func sample() throws(SyscallError) -> Sample {
        var sample = Sample()
        for name in try names() {
            // A process may end at any moment.
            guard let status = text("\(name)/stat"), let end = status.lastIndex(of: ")") else { continue }
            let words = status[status.index(after: end)...].split(separator: " ")
            guard words.count > 17 else { continue }
            // utime, stime, cutime and cstime are fields 14 to 17, the number of threads is field 20.
            let ticks = words[11...14].reduce(Int64(0)) { $0 &+ (Int64($1) ?? 0) }
            sample.cpuSeconds += Double(ticks) / Self.ticksPerSecond
            sample.tasks += Int64(words[17]) ?? 1
            let pages = text("\(name)/statm")?.split(separator: " ").compactMap { Int64($0) } ?? []
            if pages.count > 2 { sample.memory += max(0, pages[1] - pages[2]) * Self.pageSize }
        }
        return sample
    }

    /// The memory of all processes, each page counted once (`Pss` of smaps_rollup): exact, and slow.
    func proportionalMemory() throws(SyscallError) -> Int64 {
        var kibibytes: Int64 = 0
        for name in try names() {
            let line = text("\(name)/smaps_rollup")?.split(separator: "\n").first { $0.hasPrefix("Pss:") }
            kibibytes += line?.split(separator: " ").dropFirst().first.flatMap { Int64($0) } ?? 0
        }
        return kibibytes * 1024
    }

    /// The room in the file systems of throw-away changes, by the path inside.
    func room() -> [(path: String, system: FileSystemRoom)] {
        ["/", "/dev/shm"].compactMap { path in
            let name = path == "/" ? "." : String(path.dropFirst())
            guard let place = try? Syscall.openLocation(FilePath(name), at: root.number, resolve: .noSymlinks),
                let system = try? Syscall.fileSystem(of: place.number)
            else { return nil }
            return (path, system)
        }
    }

    private static let ticksPerSecond = Double(sysconf(CInt(_SC_CLK_TCK)))
    private static let pageSize = Int64(sysconf(CInt(_SC_PAGESIZE)))

    private func names() throws(SyscallError) -> [String] {
        // Read anew from its beginning each time.
        let directory = try Syscall.open(".", at: processes.number, O_RDONLY | O_DIRECTORY)
        return try Syscall.directoryEntries(directory.number).compactMap { entry in
            let name = String(decoding: entry.name, as: UTF8.self)
            return name.allSatisfy { $0.isASCII && $0.isNumber } ? name : nil
        }
    }

    private func text(_ path: String) -> String? {
        guard let file = try? Syscall.open(FilePath(path), at: processes.number, O_RDONLY | O_NOFOLLOW),
            let bytes = try? Syscall.readAll(file.number, limit: 65536)
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What processes of a sandbox read from and wrote to disks.
package struct DiskTraffic: Sendable, Hashable {
    /// Bytes, those of processes that process 1 has waited for included.
    package var readBytes: Int64, writtenBytes: Int64

    /// Reads what has come together at a process that has ended and is not yet reaped (proc(5), `io`).
    init?(of number: Int32) {
        let path = FilePath("\(StagePath.hostProcesses)/\(number)/io")
        guard let bytes = try? Syscall.readFile(path, limit: 4096) else { return nil }
        var values: [Substring: Int64] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: " ")
            if parts.count == 2 { values[parts[0]] = Int64(parts[1]) }
        }
        guard let read = values["read_bytes:"], let written = values["write_bytes:"] else { return nil }
        readBytes = read
        // What was removed before it reached the disk was never written.
        writtenBytes = max(0, written - (values["cancelled_write_bytes:"] ?? 0))
    }
}

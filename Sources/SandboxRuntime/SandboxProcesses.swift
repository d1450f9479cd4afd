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

    private let processes: OwnedFileDescriptor
    private let hasRootInMemory: Bool
    /// Kept open from the beginning: when the sandbox has ended, its mounts have no paths any more.
    private let root: OwnedFileDescriptor, sharedMemory: OwnedFileDescriptor

    /// Opens the root directory and the procfs of the sandbox whose process 1 has this number outside.
    ///
    /// `hasRootInMemory` tells whether what is written to the root is, and not on a disk with much else.
    init(of number: Int32, hasRootInMemory: Bool) throws(SyscallError) {
        let root = try Syscall.openLocation(FilePath("\(StagePath.hostProcesses)/\(number)/root"))
        let processes = try Self.openProcesses(root.number)
        let sharedMemory = try Syscall.openLocation("dev/shm", at: root.number, resolve: .noSymlinks)
        self.processes = processes
        self.hasRootInMemory = hasRootInMemory
        self.root = root
        self.sharedMemory = sharedMemory
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
            guard let status = bytes("\(name)/stat") else { continue }
            // By bytes: the process chooses its name, and with it what the parenthesis behind it is for Unicode.
            let fields = status.lastIndex(of: UInt8(ascii: ")")).map { status[($0 + 1)...] } ?? []
            let words = fields.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
            guard words.count > 17 else { throw SyscallError("read", "/proc/\(name)/stat", errno: .invalidArgument) }
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

    /// The room in the file systems in memory, by the path inside.
    func room() -> [(path: String, system: FileSystemRoom)] {
        let places = [("/dev/shm", sharedMemory.number)] + (hasRootInMemory ? [("/", root.number)] : [])
        return places.compactMap { path, place in (try? Syscall.fileSystem(of: place)).map { (path, $0) } }
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

    private func text(_ path: String) -> String? { bytes(path).map { String(decoding: $0, as: UTF8.self) } }

    /// Nil where the process is gone.
    private func bytes(_ path: String) -> [UInt8]? {
        guard let file = try? Syscall.open(FilePath(path), at: processes.number, O_RDONLY | O_NOFOLLOW),
            let bytes = try? Syscall.readAll(file.number, limit: 65536), !bytes.isEmpty
        else { return nil }
        return bytes
    }
}

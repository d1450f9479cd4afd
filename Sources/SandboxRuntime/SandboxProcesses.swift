import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The processes of a running sandbox, and the room in its file systems, as the supervisor sees them from outside.
///
/// It looks at the sandbox's own procfs, through process 1, which is a child of the supervisor and not yet reaped.
struct SandboxProcesses: ~Copyable {
    /// What one process has at one moment.
    struct Sample: Sendable, Hashable {
        /// Clock ticks since the boot at which it began: with its number, its name for ever.
        var beginning: UInt64
        /// Processes and threads.
        var tasks: Int64
        /// Seconds of processor time: its own, and that of the children that it has waited for.
        var cpuSeconds: Double, childrenSeconds: Double
        /// Bytes of memory that are its own, and of the tables of its pages; what it shares after a fork counts whole.
        var memory: Int64, tables: Int64
        /// Bytes of memory that is made to be shared, such as files in /dev/shm.
        var shared: Int64
    }

    private let processes: OwnedFileDescriptor
    private let hasRootInMemory: Bool
    /// Kept open from the beginning: when the sandbox has ended, its mounts have no paths any more.
    private let root: OwnedFileDescriptor, sharedMemory: OwnedFileDescriptor
    private let segments: OwnedFileDescriptor

    /// Opens the root directory and the procfs of the sandbox whose process 1 has this number outside.
    ///
    /// `hasRootInMemory` tells whether what is written to the root is, and not on a disk with much else. `segments` is the
    /// table of shared memory that the sandbox sees (sysvipc(7)).
    init(
        of number: Int32, hasRootInMemory: Bool, segments: consuming OwnedFileDescriptor
    ) throws(SyscallError) {
        let root = try Syscall.openLocation(FilePath("\(StagePath.hostProcesses)/\(number)/root"))
        let processes = try Self.openProcesses(root.number)
        let sharedMemory = try Syscall.openLocation("dev/shm", at: root.number, resolve: .noSymlinks)
        self.processes = processes
        self.hasRootInMemory = hasRootInMemory
        self.root = root
        self.sharedMemory = sharedMemory
        self.segments = segments
    }

    private static func openProcesses(_ root: CInt) throws(SyscallError) -> OwnedFileDescriptor {
        let processes = try Syscall.open("proc", at: root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        // PROC_SUPER_MAGIC: numbers of anything else are nobody's.
        guard try Syscall.fileSystem(of: processes.number).type == 0x9FA0 else {
            throw SyscallError("open", "/proc", errno: .noSuchFileOrDirectory)
        }
        return processes
    }

    /// What `stat` and `status` of each process tell (proc(5)), by its number inside.
    func samples() throws(SyscallError) -> [Int32: Sample] {
        // Read anew from its beginning each time.
        let directory = try Syscall.open(".", at: processes.number, O_RDONLY | O_DIRECTORY)
        var samples: [Int32: Sample] = [:]
        for entry in try Syscall.directoryEntries(directory.number) {
            guard let number = Int32(String(decoding: entry.name, as: UTF8.self)) else { continue }
            // A process may end at any moment.
            guard let status = bytes("\(number)/stat") else { continue }
            guard var sample = Sample(status) else {
                throw SyscallError("read", "/proc/\(number)/stat", errno: .invalidArgument)
            }
            if let sizes = sizes(of: number, "status", ["RssAnon", "VmSwap", "VmPTE", "RssShmem"]) {
                (sample.memory, sample.tables, sample.shared) = (sizes[0] + sizes[1], sizes[2], sizes[3])
            }
            samples[number] = sample
        }
        return samples
    }

    /// Bytes of one process's own and shared memory, with pages that several have divided among them (`smaps_rollup`):
    /// exact, and slow; nil where the process is gone.
    func proportionalMemory(of number: Int32) -> (own: Int64, shared: Int64)? {
        sizes(of: number, "smaps_rollup", ["Pss_Anon", "SwapPss", "Pss_Shmem"]).map { ($0[0] + $0[1], $0[2]) }
    }

    /// The room in the file systems in memory, by the path inside.
    func room() -> [(path: String, system: FileSystemRoom)] {
        let places = [("/dev/shm", sharedMemory.number)] + (hasRootInMemory ? [("/", root.number)] : [])
        return places.compactMap { path, place in (try? Syscall.fileSystem(of: place)).map { (path, $0) } }
    }

    /// Adds files that processes have open and that have no name any more, each once, until the measure is over.
    ///
    /// `counts` is asked about their paths inside, as the kernel shows them (proc(5), `fd`).
    func addNameless(to measure: inout RoomMeasure, where counts: ([UInt8]) -> Bool) {
        var measured = measure
        _ = NamelessFiles().look(
            at: processes.number, while: { !measured.isOver }, where: counts,
            found: { measured.add(nameless: $0, $1) })
        measure = measured
    }

    /// Bytes of the shared memory that System V's calls made, whether anybody has it attached or not (sysvipc(7)).
    func segmentMemory() -> Int64 {
        // The kernel allows 4096 of them, with a line for each.
        guard (try? Syscall.seek(segments.number, to: 0, .offset)) != nil,
            let table = try? Syscall.readAll(segments.number, limit: 1 << 22)
        else { return 0 }
        return Self.segmentMemory(table)
    }

    static func segmentMemory(_ table: [UInt8]) -> Int64 {
        table.split(separator: UInt8(ascii: "\n")).reduce(0) { sum, line in
            // The last two words are what is in memory and what is swapped; the first line has their names.
            line.split(separator: UInt8(ascii: " ")).suffix(2).reduce(sum) {
                $0 + (Int64(String(decoding: $1, as: UTF8.self)) ?? 0)
            }
        }
    }

    /// Goes on counting what files in memory without a name take.
    func count(_ files: inout MemoryFiles, isInTime: () -> Bool) {
        files.look(at: processes.number, now: Syscall.monotonicSeconds(), isInTime: isInTime)
    }

    /// Sizes from a file of a process; nil where it has no memory any more.
    ///
    /// A thread that has ended has none, the first one either, while the others go on with it.
    private func sizes(of number: Int32, _ file: String, _ names: [String]) -> [Int64]? {
        if let sizes = Self.kibibytes(bytes("\(number)/\(file)") ?? [], names) { return sizes }
        for thread in NamelessFiles.numbers(FilePath("\(number)/task"), at: processes.number) {
            let path = "\(number)/task/\(String(decoding: thread, as: UTF8.self))/\(file)"
            if let sizes = Self.kibibytes(bytes(path) ?? [], names) { return sizes }
        }
        return nil
    }

    /// Values of lines such as `VmPTE:      44 kB`, in bytes, 0 for one that is not there; nil where none is.
    private static func kibibytes(_ text: [UInt8], _ names: [String]) -> [Int64]? {
        var values = [Int64](repeating: 0, count: names.count)
        var isEmpty = true
        for line in text.split(separator: UInt8(ascii: "\n")) {
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            guard let index = names.firstIndex(where: { line[..<colon].elementsEqual($0.utf8) }) else { continue }
            let digits = line[colon...].drop { !(48...57).contains($0) }.prefix { (48...57).contains($0) }
            values[index] = (Int64(String(decoding: digits, as: UTF8.self)) ?? 0) * 1024
            isEmpty = false
        }
        return isEmpty ? nil : values
    }

    /// Nil where the process is gone.
    private func bytes(_ path: String) -> [UInt8]? {
        guard let file = try? Syscall.open(FilePath(path), at: processes.number, O_RDONLY | O_NOFOLLOW),
            let bytes = try? Syscall.readAll(file.number, limit: 65536), !bytes.isEmpty
        else { return nil }
        return bytes
    }
}

extension SandboxProcesses.Sample {
    private static let ticksPerSecond = Double(sysconf(CInt(_SC_CLK_TCK)))

    /// Reads what `/proc/<number>/stat` holds, all but the memory.
    init?(_ status: [UInt8]) {
        // By bytes: the process chooses its name, and with it what the parenthesis behind it is for Unicode.
        guard let name = status.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let words = status[(name + 1)...].split(separator: UInt8(ascii: " "))
        guard words.count > 19 else { return nil }
        let numbers = words.map { UInt64(String(decoding: $0, as: UTF8.self)) ?? 0 }
        // utime, stime, cutime and cstime are fields 14 to 17, the number of threads is 20, the beginning 22; the word
        // behind the name is field 3.
        self.init(
            beginning: numbers[19], tasks: Int64(clamping: numbers[17]),
            cpuSeconds: Double(numbers[11] &+ numbers[12]) / Self.ticksPerSecond,
            childrenSeconds: Double(numbers[13] &+ numbers[14]) / Self.ticksPerSecond, memory: 0, tables: 0, shared: 0)
    }
}

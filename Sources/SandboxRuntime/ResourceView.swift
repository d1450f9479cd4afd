package import Isolation
import LinuxSystem
import SystemPackage

/// What a sandbox is told of its machine: as much as its limits give it, so that programs size themselves to them, and
/// nothing of what others do there.
///
/// Programs look in four places: the processors that they may run on, variables of the libraries for numbers, files of
/// procfs and sysfs, and sysinfo(2), which the supervisor answers.
package struct ResourceView: Sendable, Hashable {
    /// What of the host matters for it.
    package struct Host: Sendable, Hashable {
        /// Processors that this process may run on.
        var processors: [Int]
        /// Bytes of memory.
        var memory: Int64
        /// The text of `/proc/cpuinfo`, read only where a limit needs it.
        var processorText: String
        /// When the host began, in seconds since 1970.
        var start: Int64 = 0

        /// Looks at the host of the calling process.
        package static func probe(for limits: ResourceLimits) -> Host {
            func text(_ path: FilePath) -> String {
                // Without the files of procfs the view is the host's own: the limits hold all the same.
                (try? Syscall.readFile(path, limit: 16 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
            }
            let total = limits.memory == nil ? nil : kibibytes("MemTotal", in: text("/proc/meminfo"))
            return Host(
                processors: (try? Syscall.allowedProcessors()) ?? [],
                memory: total.map { $0 * 1024 } ?? .max,
                processorText: limits.cpus == nil ? "" : text("/proc/cpuinfo"),
                start: Int64(Syscall.wallClockSeconds() - Syscall.secondsSinceBoot()))
        }

        private static func kibibytes(_ name: String, in text: String) -> Int64? {
            text.split(separator: "\n").first { $0.hasPrefix(name + ":") }?
                .split(separator: " ").dropFirst().first.flatMap { Int64($0) }
        }
    }

    /// The processors to keep to; nil for all that there are.
    package let processors: [Int]?
    /// Bytes of memory, as sysinfo(2) is to tell; nil for those of the host.
    package let memory: Int64?
    /// Texts of files that cover those of procfs, by their name in `/proc`.
    package let processFiles: [String: String]
    /// Texts of files of sysfs, by path, and directories there.
    package let systemFiles: [String: String]
    package let systemDirectories: [String]
    /// Variables for commands that do not set them otherwise.
    package let variables: [String: String]

    /// Leaves everything as the host has it, but for what others do there.
    package static let whole = ResourceView(
        limits: ResourceLimits(),
        host: Host(
            processors: [], memory: .max, processorText: ""), seed: "")

    /// The view under limits; `seed` spreads sandboxes with few processors over those that there are.
    package init(limits: ResourceLimits, host: Host, seed: String) {
        let chosen = limits.cpus.flatMap {
            Self.choose(Int(min(max($0, 0), 65536).rounded(.up)), of: host.processors, seed: seed)
        }
        let memory = limits.memory.map(\.bytes).flatMap { $0 < host.memory ? $0 : nil }
        var files = Self.idle, variables: [String: String] = [:]
        files["stat"] = Self.statisticsText(chosen ?? host.processors, host.start)
        if let memory {
            files["meminfo"] = Self.memoryText(memory)
            variables["GOMEMLIMIT"] = "\(memory / 10 * 9)B"
            variables["JAVA_TOOL_OPTIONS"] = "-XX:MaxRAM=\(memory)"
        }
        if let chosen {
            files["cpuinfo"] = Self.processorText(host.processorText, chosen)
            for name in Self.processorVariables { variables[name] = String(chosen.count) }
        }
        processors = chosen
        self.memory = memory
        processFiles = files
        self.variables = variables
        let directory = "/sys/devices/system/cpu"
        let list = (chosen.map(Self.list) ?? "") + "\n"
        let names = chosen == nil ? [] : ["online", "possible", "present"]
        systemFiles = Dictionary(uniqueKeysWithValues: names.map { ("\(directory)/\($0)", list) })
        systemDirectories = (chosen ?? []).map { "\(directory)/cpu\($0)" }
    }

    /// Files of a machine that has nothing to do.
    ///
    /// Load, paging and swap space are those of all who use the host: a program could tell from them what the others do.
    /// An empty `vmstat` would have psutil warn, and make(1) reads the load.
    private static let idle = [
        "loadavg": "0.00 0.00 0.00 1/1 1\n", "swaps": "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
        "vmstat": ["pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault", "oom_kill"].map { "\($0) 0\n" }
            .joined(),
    ]

    /// What the libraries behind numpy, joblib, polars and others read, and the run times of Go and Python.
    private static let processorVariables = [
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
        "NUMEXPR_MAX_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT", "PYTHON_CPU_COUNT",
        "GOMAXPROCS",
    ]

    private static func choose(_ count: Int, of processors: [Int], seed: String) -> [Int]? {
        let count = max(1, count)
        guard count < processors.count else { return nil }
        let start = seed.utf8.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % processors.count
        return (0..<count).map { processors[(start + $0) % processors.count] }.sorted()
    }

    /// The kernel's form of a list of processors, such as `0-3,8` (cpuset(7)).
    private static func list(_ processors: [Int]) -> String {
        var ranges: [(Int, Int)] = []
        for processor in processors {
            if let last = ranges.last, last.1 + 1 == processor {
                ranges[ranges.count - 1].1 = processor
            } else {
                ranges.append((processor, processor))
            }
        }
        return ranges.map { $0.0 == $0.1 ? "\($0.0)" : "\($0.0)-\($0.1)" }.joined(separator: ",")
    }

    /// The blocks of `/proc/cpuinfo` that tell of these processors.
    private static func processorText(_ text: String, _ processors: [Int]) -> String {
        var blocks: [[Substring]] = [[]]
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty { blocks.append([]) } else { blocks[blocks.count - 1].append(line) }
        }
        let chosen = blocks.filter { block in
            guard let first = block.first, first.hasPrefix("processor") else { return false }
            return first.split(separator: ":").last.flatMap { Int($0.drop { $0 == " " }) }.map(processors.contains)
                ?? false
        }
        return chosen.map { $0.joined(separator: "\n") + "\n\n" }.joined()
    }

    /// The lines of `/proc/stat`, from which Node.js and psutil count processors, as of a machine that has done nothing.
    private static func statisticsText(_ processors: [Int], _ start: Int64) -> String {
        let times = String(repeating: " 0", count: 10) + "\n"
        return "cpu " + times + processors.map { "cpu\($0)" + times }.joined() + "intr 0\nctxt 0\n"
            + "btime \(start)\nprocesses 0\nprocs_running 1\nprocs_blocked 0\nsoftirq"
            + String(repeating: " 0", count: 11) + "\n"
    }

    /// The fields of `/proc/meminfo` that free(1), psutil and libuv read (proc(5)), as of a machine with nothing in use.
    private static func memoryText(_ bytes: Int64) -> String {
        let full = ["MemTotal", "MemFree", "MemAvailable"]
        let empty = [
            "Buffers", "Cached", "SwapCached", "Active", "Inactive", "SwapTotal", "SwapFree", "Dirty", "Writeback",
            "AnonPages", "Mapped", "Shmem", "Slab", "SReclaimable", "SUnreclaim",
        ]
        func line(_ name: String, _ kibibytes: Int64) -> String {
            let label = (name + ":").padded(to: 16)
            let number = String(kibibytes)
            return label + String(repeating: " ", count: max(0, 8 - number.count)) + number + " kB\n"
        }
        return full.map { line($0, bytes / 1024) }.joined() + empty.map { line($0, 0) }.joined()
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension Skeleton {
    /// Adds the files and directories of sysfs that a view shows.
    package mutating func show(_ view: ResourceView) {
        files.merge(view.systemFiles) { $1 }
        for directory in view.systemDirectories { directories[directory] = 0o755 }
    }
}

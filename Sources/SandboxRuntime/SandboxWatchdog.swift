import Isolation
import LinuxSystem

/// Holds limits that the kernel does not hold on this host, or only for each process, by looking now and then.
final class SandboxWatchdog {
    /// What it holds; nil is not looked at.
    struct Limits: Sendable, Hashable {
        /// Bytes of memory of all processes and in-memory file systems together.
        var memory: Int64?
        /// Processes and threads; they are held by a resource limit, which tells nobody when it is reached.
        var tasks: Int?
        /// Seconds of processor time of all processes together.
        var cpuSeconds: Double?

        /// What is left to a watchdog beside what control groups hold.
        init(_ limits: ResourceLimits, groups: [LimitReport]) {
            func isHeld(_ name: LimitName) -> Bool { groups.contains { $0.name == name && $0.enforcement == .cgroup } }
            memory = isHeld(.memory) ? nil : limits.memory?.bytes
            tasks = isHeld(.pids) ? nil : limits.pids
            cpuSeconds = limits.value(of: .cpuTime)
        }

        var isEmpty: Bool { memory == nil && tasks == nil && cpuSeconds == nil }
    }

    private let limits: Limits
    private let processes: SandboxProcesses
    private let loop: EventLoop
    private let groupSeconds: () -> Double?
    private let exceeded: (SandboxReport.Intervention) -> Void
    private var timer: Int?
    private var processorTime = ProcessorTime()
    private var proportional = ProportionalMemory()
    private var memoryFiles = MemoryFiles()
    /// The most that was seen; nil before the first look.
    private(set) var peakMemory: Int64?, peakTasks: Int64?

    /// Memory grows by a few hundred megabytes a second and core; the other limits are not in a hurry.
    private var interval: Double { limits.memory == nil ? 0.25 : 0.05 }
    /// Seconds that exact numbers may take at once; what processes have open, half of that.
    private static let slice = 0.05

    /// Looks after the processes that are given, from now on.
    ///
    /// `groupSeconds` is the processor time that a control group has counted for them alone, nil where none does.
    init(
        _ limits: Limits, _ processes: consuming SandboxProcesses, loop: EventLoop,
        groupSeconds: @escaping () -> Double?, exceeded: @escaping (SandboxReport.Intervention) -> Void
    ) {
        self.limits = limits
        self.processes = processes
        self.loop = loop
        self.groupSeconds = groupSeconds
        self.exceeded = exceeded
        if !limits.isEmpty { timer = loop.after(interval) { self.look() } }
    }

    /// Looks no more.
    func stop() {
        loop.cancelTimer(timer)
        timer = nil
    }

    /// File systems in memory that are full now, by their path inside.
    var fullPlaces: [String] { processes.room().filter { $0.system.isFull }.map(\.path) }

    /// Adds the files without a name that are open below the places that count.
    func addNameless(to measure: inout RoomMeasure, where counts: ([UInt8]) -> Bool) {
        processes.addNameless(to: &measure, where: counts)
    }

    /// Whether the number of processes has been seen at its limit; process 1 does not count.
    var sawMostTasks: Bool {
        guard let peakTasks, let most = limits.tasks else { return false }
        return peakTasks - 1 >= Int64(most)
    }

    private func look() {
        timer = nil
        let began = Syscall.monotonicSeconds()
        // A sandbox that is just ending cannot be looked at; its end is reported by itself.
        guard let samples = try? processes.samples() else { return }
        peakTasks = max(peakTasks ?? 0, samples.values.reduce(0) { $0 + $1.tasks })
        if let most = limits.cpuSeconds {
            let seen = processorTime.seconds(samples)
            if max(seen, groupSeconds() ?? 0) >= most { return exceeded(.processorTime) }
        }
        if isOverMemory(samples) { return exceeded(.outOfMemory) }
        // Whoever makes the looks long has fewer of them: the supervisor has more to do.
        let duration = Syscall.monotonicSeconds() - began
        timer = loop.after(max(interval, 2 * duration)) { self.look() }
    }

    /// Whether all processes together have more memory than they may.
    ///
    /// What is each process's own counts, with its tables of pages; and of two sums the larger, for the same pages may be
    /// in both. One is what lies in files, mapped or not: those of the file systems in memory, those without a name that
    /// processes have open, and the segments of System V. The other is what processes have mapped of memory that is made
    /// to be shared, whether they still have its file open or not.
    private func isOverMemory(_ samples: [Int32: SandboxProcesses.Sample]) -> Bool {
        if limits.memory != nil { processes.count(&memoryFiles, isInTime: Self.time(Self.slice / 2)) }
        let own = samples.values.reduce(0) { $0 + $1.memory + $1.tables }
        let shared = samples.values.reduce(0) { $0 + $1.shared }
        var files = inMemoryFiles + memoryFiles.bytes
        let memory = own + max(files, shared)
        peakMemory = max(peakMemory ?? 0, memory)
        guard let most = limits.memory, memory > most else { return false }
        if !memoryFiles.isFresh {
            // They may have been closed since, for something else.
            files -= memoryFiles.bytes
            memoryFiles.hurry()
            guard own + max(files, shared) > most else { return false }
        }
        // Pages that processes share after a fork count for each in the quick sum.
        let sum = proportional.sum(
            samples, inMemoryFiles: files, most: most, isInTime: Self.time(Self.slice),
            read: { self.processes.proportionalMemory(of: $0) })
        return sum.map { $0 > most } ?? false
    }

    /// Tells whether so many seconds from now have not passed yet.
    private static func time(_ seconds: Double) -> () -> Bool {
        let end = Syscall.monotonicSeconds() + seconds
        return { Syscall.monotonicSeconds() < end }
    }

    /// Bytes in the file systems in memory, and in the segments of System V.
    private var inMemoryFiles: Int64 {
        guard limits.memory != nil else { return 0 }
        return processes.room().reduce(processes.segmentMemory()) { $0 + max(0, $1.system.bytes - $1.system.freeBytes) }
    }
}

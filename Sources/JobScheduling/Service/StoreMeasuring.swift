import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Keeps known what the stores of a service's users take: measures those that may have grown or shrunk, one at a time and
/// in a process of its own, and takes a small part of the machine's time for that however large they are.
final class StoreMeasuring {
    /// Between two looks, and while runs go on that may write.
    private static let pause = 2.0, pauseOfActive = 0.5
    /// The least time between two measures of a store whose runs go on, of one that is too large, and of one whose file
    /// system has been filled so far that it may be.
    private static let interval = 10.0, intervalOfLarge = 2.0, intervalOfGrowing = 1.0
    /// How many times as long as a measure takes nothing is measured, and where it may have grown.
    private static let share = 20.0, shareOfGrowing = 10.0

    private struct Subject {
        let store: FilePath
        let limit: Int64
        let engine: () -> JobEngine?
        var isChanged = true
        var next = 0.0
        /// From when on it is measured where it may have grown.
        var nextIfGrown = 0.0
        /// What was free on its file system before it was measured, and what it took.
        var free: Int64?, bytes: Int64 = 0

        var isActive: Bool { engine()?.active.isEmpty == false }

        /// Whether enough has been written to its file system, by whomever, to bring it near its limit.
        var mayHaveGrown: Bool {
            guard bytes <= limit, let before = free, let now = freeBytes else { return false }
            return before - now > (limit - bytes) / 4
        }

        /// What is free on its file system; nil where that cannot be asked, and only time tells when to measure.
        var freeBytes: Int64? {
            guard let place = try? Syscall.openLocation(store) else { return nil }
            return (try? Syscall.fileSystem(of: place.number))?.freeBytes
        }
    }

    private final class Measure {
        let process: ProcessHandle
        let user: UInt32
        let begun = Syscall.monotonicSeconds()

        init(_ process: consuming ProcessHandle, of user: UInt32) {
            self.process = process
            self.user = user
        }
    }

    private let loop: EventLoop
    private let done: (UInt32) -> Void
    private var subjects: [UInt32: Subject] = [:]
    private var present: Measure?

    /// `done` is told whose store has been measured.
    init(_ loop: EventLoop, done: @escaping (UInt32) -> Void) {
        self.loop = loop
        self.done = done
    }

    /// Measures the store of a user, who has `limit`, from now on.
    func keep(_ user: UInt32, _ store: FilePath, limit: Int64, engine: @escaping () -> JobEngine?) {
        let isFirst = subjects.isEmpty
        subjects[user] = Subject(store: store, limit: limit, engine: engine)
        if isFirst { tick() }
    }

    /// Notes that something of the user has ended, which may have left or removed something.
    func noteChange(of user: UInt32) { subjects[user]?.isChanged = true }

    /// Ends what is measured just now.
    func end() {
        subjects = [:]
        guard let present else { return }
        try? present.process.signal(SIGKILL)
        _ = try? present.process.wait()
        self.present = nil
    }

    private func tick() {
        if subjects.isEmpty { return }
        let active = subjects.filter { $0.value.isActive }
        loop.after(active.isEmpty ? Self.pause : Self.pauseOfActive) { [weak self] in self?.tick() }
        for user in active.keys { subjects[user]?.isChanged = true }
        guard present == nil else { return }
        let now = Syscall.monotonicSeconds()
        // What fills the disk is measured before its time.
        for (user, subject) in active
        where subject.next > now && subject.nextIfGrown <= now && subject.mayHaveGrown {
            subjects[user]?.next = now
        }
        let due = subjects.filter { $0.value.isChanged && $0.value.next <= now }
        guard let (user, subject) = due.min(by: { $0.value.next < $1.value.next }) else { return }
        do throws(SyscallError) {
            try start(user, subject)
        } catch {
            // A shortage, which is likely to pass.
            subjects[user]?.next = now + Self.interval
        }
    }

    private func start(_ user: UInt32, _ subject: Subject) throws(SyscallError) {
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let number = try HostProcess.spawn(
            own, ["cloche", "system", "measure", subject.store.string, String(subject.limit)])
        let measure = Measure(try ProcessHandle(opening: number), of: user)
        subjects[user]?.isChanged = false
        subjects[user]?.free = subject.freeBytes
        present = measure
        let end = measure.process.number
        loop.watch(end) { [weak self] in
            guard let self, (try? measure.process.wait(block: false)) != nil else { return }
            self.loop.unwatch(end)
            self.present = nil
            self.conclude(measure)
        }
    }

    private func conclude(_ measure: Measure) {
        guard let subject = subjects[measure.user] else { return }
        let now = Syscall.monotonicSeconds()
        let size = StoreSize.stored(in: subject.store)
        let least = size?.isExceeded == true ? Self.intervalOfLarge : Self.interval
        let taken = now - measure.begun
        subjects[measure.user]?.next = now + max(least, Self.share * taken)
        subjects[measure.user]?.nextIfGrown = now + max(Self.intervalOfGrowing, Self.shareOfGrowing * taken)
        subjects[measure.user]?.bytes = size?.bytes ?? 0
        done(measure.user)
    }
}

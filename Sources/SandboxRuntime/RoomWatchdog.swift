import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Holds the room of what is written to a disk, where no file system does so, by measuring it now and then.
///
/// Whether anything has been written at all, the file system tells at once. The measuring is done by a process of its
/// own: a large tree holds nothing up, and takes no memory of the supervisor's. A file without a name is seen while a
/// process has it open; one that is only mapped, or on its way from one process to another, is not: nobody is told what
/// lies in the queue of a socket, and what is free on a disk changes by what others do.
final class RoomWatchdog {
    private let limit: ByteCount
    private let trees: [RoomMeasure.Tree]
    private let loop: EventLoop
    private let nameless: (inout RoomMeasure) -> Void
    private let exceeded: (WrittenRoom) -> Void
    private var timer: Int?
    private var isRunning = false
    private var work: Work?
    private var last: Measured?

    private struct Measured {
        var room: FileSystemRoom
        var written: WrittenRoom
        var ended: Double, seconds: Double
    }

    /// A process that measures, with what it has said so far.
    private final class Work {
        let process: ProcessHandle
        let report: OwnedFileDescriptor
        let began: Double
        let room: FileSystemRoom
        var words: [UInt8] = []

        init(_ process: consuming ProcessHandle, _ report: consuming OwnedFileDescriptor, _ room: FileSystemRoom) {
            self.process = process
            self.report = report
            self.room = room
            began = Syscall.monotonicSeconds()
        }
    }

    /// Seconds between two looks at the file system, and between two measurements at most while something is written.
    private static let interval = 0.25, patience = 2.0
    /// So many times as long as it took, nothing is measured: that bounds what it costs.
    private static let restFactor = 10.0

    /// Prepares for trees of one file system.
    ///
    /// `nameless` adds files without a name; it is called in the process that measures. `exceeded` is called each time that
    /// more is found than the limit allows.
    init(
        _ limit: ByteCount, _ trees: [RoomMeasure.Tree], loop: EventLoop,
        nameless: @escaping (inout RoomMeasure) -> Void, exceeded: @escaping (WrittenRoom) -> Void
    ) {
        self.limit = limit
        self.trees = trees
        self.loop = loop
        self.nameless = nameless
        self.exceeded = exceeded
    }

    /// Looks from now on, until `stop`.
    func start() {
        guard !isRunning else { return }
        isRunning = true
        lookLater()
    }

    /// Looks no more.
    func stop() {
        isRunning = false
        loop.cancelTimer(timer)
        timer = nil
        guard let work else { return }
        self.work = nil
        loop.unwatch(work.report.number)
        // Our own child, not yet waited for; it holds nothing that would outlive it.
        try? work.process.signal(SIGKILL)
        _ = try? work.process.wait()
    }

    private func lookLater() { timer = loop.after(Self.interval) { self.look() } }

    private func look() {
        timer = nil
        guard isRunning else { return }
        // A disk that cannot be asked is not known to hold anything.
        guard let first = trees.first, let place = try? Syscall.openLocation(FilePath(first.path)),
            let room = try? Syscall.fileSystem(of: place.number), isWorthMeasuring(room), measure(room)
        else { return lookLater() }
    }

    private func isWorthMeasuring(_ room: FileSystemRoom) -> Bool {
        guard let last else { return true }
        guard room.freeBytes != last.room.freeBytes || room.freeFiles != last.room.freeFiles else { return false }
        let rest = Syscall.monotonicSeconds() - last.ended
        guard rest > Self.restFactor * last.seconds else { return false }
        let bytes = last.room.freeBytes - room.freeBytes, files = last.room.freeFiles - room.freeFiles
        return rest > Self.patience || bytes > (limit.bytes - last.written.bytes) / 4
            || files > (limit.files - last.written.files) / 4
    }

    /// Starts a process that measures; says whether it could.
    private func measure(_ room: FileSystemRoom) -> Bool {
        do throws(SyscallError) {
            let pipe = try Syscall.pipe(extra: O_NONBLOCK)
            let own = getpid()
            let number = try Syscall.fork()
            if number == 0 { report(to: pipe.writing.number, parent: own) }
            let work = Work(try ProcessHandle(opening: number), pipe.takeReading(), room)
            self.work = work
            loop.watch(work.report.number) { self.read(work) }
            return true
        } catch {
            // Of processes or descriptors there are none left just now.
            return false
        }
    }

    private func words() throws(SyscallError) -> [UInt8] {
        var measure = RoomMeasure(limit: limit)
        for tree in trees where !measure.isOver { try measure.add(tree) }
        if !measure.isOver { nameless(&measure) }
        return measure.written.words
    }

    /// The whole life of the process that measures: it does not return.
    private func report(to report: CInt, parent: Int32) {
        do throws(SyscallError) {
            try Syscall.endWithParent(parent)
            try Syscall.writeAll(report, try words())
            _exit(0)
        } catch {
            _exit(1)
        }
    }

    private func read(_ work: Work) {
        guard let bytes = try? Syscall.read(work.report.number, upTo: 65536), !bytes.isEmpty else { return end(work) }
        work.words += bytes
    }

    private func end(_ work: Work) {
        loop.unwatch(work.report.number)
        self.work = nil
        _ = try? work.process.wait()
        let now = Syscall.monotonicSeconds()
        if let written = WrittenRoom(words: work.words) {
            last = Measured(room: work.room, written: written, ended: now, seconds: now - work.began)
            if written.exceeds(limit) { exceeded(written) }
        }
        if isRunning { lookLater() }
    }
}

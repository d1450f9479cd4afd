import LinuxSystem

/// The room on the disk of a run that its steps may not take.
///
/// Nothing limits what steps write to shared data, and limits of the project can be wide, so steps end before there is no
/// room for the verdict on them, and for other runs.
final class DiskReserve {
    private let directory: CInt
    private let loop: EventLoop
    private let reached: () -> Void

    private static let bytes: Int64 = 128 << 20

    /// Of the disk of an open directory, which is lent; `reached` is called as long as there is less.
    init(of directory: CInt, loop: EventLoop, reached: @escaping () -> Void) {
        self.directory = directory
        self.loop = loop
        self.reached = reached
    }

    /// Looks now, and again for as long as the loop runs.
    func watch() {
        var wait = 1.0
        // A disk that cannot be asked is not known to be full; a step that fills it fails by itself.
        if let room = try? Syscall.fileSystem(of: directory), room.bytes > 0 {
            if room.freeBytes < min(Self.bytes, room.bytes / 4) { reached() }
            // Fast disks take some hundred megabytes between two looks.
            if room.freeBytes < 8 << 30 { wait = 0.05 }
        }
        loop.after(wait) { self.watch() }
    }
}

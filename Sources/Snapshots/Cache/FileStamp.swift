import LinuxSystem

/// What the kernel tells of the state of a file: as long as none of it changes, the content has not.
///
/// The time of the last change of the inode is what makes it hold: a program sets the others as it likes, that one moves
/// with every change, and with every attempt to hide one.
struct FileStamp: Sendable, Hashable {
    let device: UInt64
    let inode: UInt64
    let size: Int64
    let modified: FileTime
    let changed: FileTime
    /// Type and permission bits.
    let mode: UInt32

    init(_ status: FileStatus) {
        self.init(
            device: status.device, inode: status.inode, size: status.size, modified: status.modified,
            changed: status.changed, mode: status.mode)
    }

    init(device: UInt64, inode: UInt64, size: Int64, modified: FileTime, changed: FileTime, mode: UInt32) {
        self.device = device
        self.inode = inode
        self.size = size
        self.modified = modified
        self.changed = changed
        self.mode = mode
    }

    /// Permission bits as a snapshot holds them.
    var storedMode: UInt32 { mode & 0o777 }
}

/// Whether a change after a moment would show in a file's time of change.
///
/// Clocks of file systems advance in steps: what was read in the same step as the last change could have been changed
/// again without a trace. So a stamp is believed later only if its change was clearly over when reading began.
struct SettledClock: Sendable {
    private let start: FileTime
    private let isLocal: Bool

    /// Where the kernel itself stamps changes, with the wall clock of this machine.
    private static let localTypes: Set<Int64> = [
        0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x8584_58F6, 0xF2F5_2010, 0x794C_7630, 0x2FC1_2FC1, 0xCA45_1A4E,
    ]

    /// Margins in nanoseconds: for steps of the kernel's tick, for file systems that keep whole or even seconds, and for
    /// those whose server has a clock of its own.
    private static let tick: Int64 = 100_000_000
    private static let wholeSeconds: Int64 = 3_000_000_000
    private static let foreign: Int64 = 3_600_000_000_000

    /// Notes the moment before anything is read of the open `project`.
    init(project: CInt) throws(SyscallError) {
        let type = try Syscall.fileSystem(of: project).type
        self.init(start: Syscall.wallClock(), isLocal: Self.localTypes.contains(type))
    }

    init(start: FileTime, isLocal: Bool) {
        self.start = start
        self.isLocal = isLocal
    }

    /// Whether the last change of a directory was over, where the kernel itself stamps changes and tells of them at once.
    func isOver(directory changed: FileTime) -> Bool { isLocal && isOver(changed) }

    /// Whether a change was over.
    func isOver(_ changed: FileTime) -> Bool {
        let margin = !isLocal ? Self.foreign : changed.nanoseconds == 0 ? Self.wholeSeconds : Self.tick
        let seconds = start.seconds.subtractingReportingOverflow(changed.seconds)
        // Centuries apart in either direction are nothing that a clock says.
        guard !seconds.overflow, seconds.partialValue.magnitude < 9_000_000_000 else { return false }
        return seconds.partialValue * 1_000_000_000 + start.nanoseconds - changed.nanoseconds > margin
    }
}

import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Where snapshots are built and taken apart: directories that no identity names.
///
/// Each is locked as long as its process works on it. A crash releases the lock, and the next capture removes what
/// it left.
struct StagingArea {
    /// A directory that this process works in.
    final class Directory: Sendable {
        let name: TerminatedName
        let descriptor: HeldDescriptor

        fileprivate init(name: TerminatedName, descriptor: HeldDescriptor) {
            self.name = name
            self.descriptor = descriptor
        }
    }

    static let directoryName: FilePath = "staging"
    private static let lockName: FilePath = "lock"

    /// The open directory of all snapshots.
    let snapshots: HeldDescriptor
    /// The open directory of all staging directories.
    let descriptor: HeldDescriptor
    private let lock: HeldDescriptor

    /// Opens, and makes if need be, the staging area of a directory of snapshots.
    init(snapshots directory: FilePath) throws(SyscallError) {
        snapshots = HeldDescriptor(try Syscall.open(directory, O_RDONLY | O_DIRECTORY))
        do throws(SyscallError) {
            try Syscall.makeDirectory(Self.directoryName, at: snapshots.number, mode: 0o700)
        } catch  where error.errno == .fileExists {}
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        descriptor = HeldDescriptor(
            try Syscall.open(Self.directoryName, at: snapshots.number, flags, resolve: .withinTree))
        let lockFlags = O_RDWR | O_CREAT | O_NOFOLLOW
        lock = HeldDescriptor(
            try Syscall.open(
                Self.lockName, at: snapshots.number, lockFlags, mode: 0o600, resolve: .withinTree))
    }

    /// Makes an empty directory with a random name, and locks it.
    func make() throws(SyscallError) -> Directory {
        let name = try Self.randomName()
        return try withLock { () throws(SyscallError) in
            try Syscall.makeDirectory(name, at: descriptor.number, mode: 0o700)
            return try open(name)
        }
    }

    /// Locks a snapshot that nobody has leased, so that nobody can; EAGAIN when someone has.
    func claim(_ name: TerminatedName) throws(SyscallError) -> HeldDescriptor {
        try lock(name, at: snapshots.number)
    }

    /// Moves a claimed snapshot here to take it apart.
    func receive(_ name: TerminatedName, claim: HeldDescriptor) throws(SyscallError) -> Directory {
        let newName = try Self.randomName()
        try Syscall.move(name, at: snapshots.number, to: newName, at: descriptor.number)
        return Directory(name: newName, descriptor: claim)
    }

    /// Gives a finished directory its final name; false when there is one of that name.
    func publish(_ directory: Directory, as name: TerminatedName) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            try Syscall.move(directory.name, at: descriptor.number, to: name, at: snapshots.number)
        } catch  where error.errno == .fileExists {
            return false
        }
        try Syscall.fsync(snapshots.number)
        return true
    }

    /// Removes a directory with all that it holds.
    func remove(_ directory: Directory) throws(SyscallError) {
        try TreeRemoval.remove(directory: descriptor.number, name: FilePath(bytes: directory.name.bytes))
    }

    /// Removes the directories whose process is gone.
    func removeStale() throws(SyscallError) {
        let stale = try withLock { () throws(SyscallError) in
            _ = try Syscall.seek(descriptor.number, to: 0)
            var stale: [Directory] = []
            for entry in try Syscall.directoryEntries(descriptor.number) {
                do throws(SyscallError) {
                    stale.append(try open(TerminatedName(entry.name)))
                } catch {
                    // Someone works in it, or just removed it.
                    guard error.errno == .resourceTemporarilyUnavailable || error.errno == .noSuchFileOrDirectory
                    else { throw error }
                }
            }
            return stale
        }
        for directory in stale { try remove(directory) }
    }

    private func open(_ name: TerminatedName) throws(SyscallError) -> Directory {
        Directory(name: name, descriptor: try lock(name, at: descriptor.number))
    }

    private func lock(_ name: TerminatedName, at place: CInt) throws(SyscallError) -> HeldDescriptor {
        let opened = HeldDescriptor(
            try Syscall.open(name, at: place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: .withinTree))
        try Syscall.flock(opened.number, LOCK_EX | LOCK_NB)
        return opened
    }

    /// No directory appears unlocked, because making and locking it, and looking for unlocked ones, exclude each other.
    private func withLock<Value>(_ body: () throws(SyscallError) -> Value) throws(SyscallError) -> Value {
        try Syscall.flock(lock.number, LOCK_EX)
        let result: Result<Value, SyscallError>
        do throws(SyscallError) { result = .success(try body()) } catch { result = .failure(error) }
        try Syscall.flock(lock.number, LOCK_UN)
        return try result.get()
    }

    private static func randomName() throws(SyscallError) -> TerminatedName {
        TerminatedName(hexadecimalBytes(try Syscall.randomBytes(16)))
    }
}

import LinuxSystem
import SystemPackage

extension SnapshotStore {
    /// Makes a snapshot safe from a loss of power; nothing happens to one that already is.
    package func settle(_ identity: SnapshotIdentity) throws(SnapshotError) {
        let mark = path(of: identity).appending(Self.unsettledName.string)
        guard Syscall.exists(mark) else { return }
        do throws(SyscallError) {
            let staging = try StagingArea(snapshots: directory)
            try Syscall.syncFileSystem(of: staging.snapshots.number)
        } catch {
            throw .writing(identity.description.utf8, error)
        }
        try removeMark(of: identity)
    }

    /// Verifies a snapshot that was not yet settled when the machine went down.
    func recover(_ identity: SnapshotIdentity) throws(SnapshotError) {
        let mark = path(of: identity).appending(Self.unsettledName.string)
        guard Syscall.exists(mark) else { return }
        do throws(SyscallError) {
            let current = try Self.bootIdentity()
            if try Syscall.readFile(mark, limit: 4096) == current { return }
        } catch  where error.errno == .noSuchFileOrDirectory {
            return
        } catch {
            throw .reading(identity.description.utf8, error)
        }
        let differences = try verify(identity)
        if let first = differences.first {
            throw SnapshotError(
                identity.description.utf8,
                .damaged("the machine went down before it was on the disk, and \(first)"))
        }
        try removeMark(of: identity)
    }

    private func removeMark(of identity: SnapshotIdentity) throws(SnapshotError) {
        do throws(SyscallError) {
            try Syscall.unlink(path(of: identity).appending(Self.unsettledName.string))
        } catch  where error.errno == .noSuchFileOrDirectory {
            // Someone else settled it meanwhile.
        } catch {
            throw .writing(identity.description.utf8, error)
        }
    }

    /// Differs from one start of the machine to the next.
    static func bootIdentity() throws(SyscallError) -> [UInt8] {
        try Syscall.readFile("/proc/sys/kernel/random/boot_id", limit: 4096)
    }
}

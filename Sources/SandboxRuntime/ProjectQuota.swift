package import Isolation
import LinuxSystem
package import SandboxLaunch
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A limit of the file system itself for what a run writes to its project (quotactl(2), project quotas).
///
/// ext4 and XFS have it, where they are made and mounted for it, and only root outside of every user namespace may set
/// it. Directories of a run are put into a project of the file system before the run can write to them; what is made in
/// them belongs to it, and a process in a user namespace cannot take it out again.
package struct ProjectQuota: Sendable {
    private let directory: FilePath
    private let project: UInt32

    /// Makes the directories of an attempt that steps write to, with a limit for all of them together; nil where the file
    /// system, or the caller, cannot.
    ///
    /// - Parameters:
    ///   - limit: The most bytes; files as ``ByteCount/files`` says.
    ///   - attempt: The directory of the attempt, which is the caller's own so far.
    ///   - names: The directories; they get the author's id.
    package static func make(
        _ limit: ByteCount, in attempt: FilePath, _ names: [String], _ identity: IdentityMap
    ) throws(LaunchError) -> ProjectQuota? {
        guard geteuid() == 0, let user = identity.outsideUser(IdentityMap.user),
            let group = identity.outsideGroup(IdentityMap.user)
        else { return nil }
        return try LaunchError.during("limit the room of the run's project") { () throws(SyscallError) in
            let directory = try Syscall.open(attempt, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            guard Syscall.holdsProjectLimits(directory.number), let project = try unused(directory.number) else {
                return nil
            }
            do throws(SyscallError) {
                try Syscall.setProjectLimits(project, bytes: limit.bytes, files: limit.files, at: directory.number)
            } catch let error where error.errno == .notPermitted || error.errno == .permissionDenied {
                return nil
            }
            for name in names {
                try Syscall.makeDirectory(FilePath(name), at: directory.number, mode: 0o755)
                let made = try Syscall.open(FilePath(name), at: directory.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                try Syscall.setProject(project, of: made.number)
                try Syscall.changeOwner(of: made.number, user: user, group: group)
            }
            return ProjectQuota(directory: attempt, project: project)
        }
    }

    /// A number of the file system that nothing has: that of the directory's own inode, or one near it.
    private static func unused(_ directory: CInt) throws(SyscallError) -> UInt32? {
        // Numbers that administrators give are small ones (projid(5)).
        let base = UInt32(truncatingIfNeeded: try Syscall.fstat(directory).inode) | 1 << 30
        for step in UInt32(0)..<16 {
            let project = base &+ step
            do throws(SyscallError) {
                let usage = try Syscall.projectUsage(project, at: directory)
                if usage.bytes == 0, usage.files == 0 { return project }
            } catch let error where error.errno == .noSuchFileOrDirectory || error.errno == .noSuchProcess {
                // Nothing has ever been counted for it.
                return project
            }
        }
        return nil
    }

    /// Gives up the limit, not what has been written: the files are read only from now on.
    package func release() {
        // A limit that stays is one that nobody will reach.
        guard let opened = try? Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return }
        try? Syscall.setProjectLimits(project, bytes: 0, files: 0, at: opened.number)
    }
}

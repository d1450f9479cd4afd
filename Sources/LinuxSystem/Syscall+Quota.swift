import CLinux

extension Syscall {
    /// Whether the file system of an open file holds limits of projects (quotactl_fd(2)): ext4 and XFS that are mounted with
    /// `prjquota` do.
    package static func holdsProjectLimits(_ descriptor: CInt) -> Bool { CLinux_project_limits_held(descriptor) == 1 }

    /// Puts an open directory into a project, with all that is made in it from now on (FS_IOC_FSSETXATTR).
    package static func setProject(_ project: UInt32, of directory: CInt) throws(SyscallError) {
        _ = try check("ioctl(FS_IOC_FSSETXATTR)") { CLinux_set_project(directory, project) }
    }

    /// Sets the most bytes and files that a project may have on the file system of an open file; 0 is no limit.
    ///
    /// Needs CAP_SYS_ADMIN outside of every user namespace.
    package static func setProjectLimits(
        _ project: UInt32, bytes: Int64, files: Int64, at descriptor: CInt
    ) throws(SyscallError) {
        _ = try check("quotactl") {
            CLinux_set_project_limits(descriptor, project, UInt64(max(0, bytes)), UInt64(max(0, files)))
        }
    }

    /// The bytes and files of a project on the file system of an open file.
    package static func projectUsage(
        _ project: UInt32, at descriptor: CInt
    ) throws(SyscallError) -> (bytes: Int64, files: Int64) {
        var bytes: UInt64 = 0
        var files: UInt64 = 0
        _ = try check("quotactl") { CLinux_project_usage(descriptor, project, &bytes, &files) }
        return (Int64(clamping: bytes), Int64(clamping: files))
    }
}

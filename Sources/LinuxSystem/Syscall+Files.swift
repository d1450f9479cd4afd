import CLinux
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// How openat2(2) may resolve a path; see its manual page.
package struct PathResolution: OptionSet, Sendable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Stay below the directory descriptor; absolute paths and escapes fail.
    package static let beneath = PathResolution(rawValue: 8)
    /// Take the directory descriptor as the root.
    package static let inRoot = PathResolution(rawValue: 16)
    /// Follow no symbolic link in any component.
    package static let noSymlinks = PathResolution(rawValue: 4)
    /// Follow no magic link of procfs.
    package static let noMagicLinks = PathResolution(rawValue: 2)
    /// Stay on one mount.
    package static let sameMount = PathResolution(rawValue: 1)
    /// Stay in a tree that others may change: below, following nothing, on one mount.
    package static let withinTree: PathResolution = [.beneath, .noSymlinks, .sameMount]
}

extension Syscall {
    /// Descriptor that stands for the current directory in the `at` calls.
    package static let workingDirectory: CInt = AT_FDCWD

    /// openat2(2), close-on-exec.
    ///
    /// `mode` counts only when a file is created.
    package static func open(
        _ path: FilePath, at directory: CInt = AT_FDCWD, _ flags: CInt, mode: UInt32 = 0,
        resolve: PathResolution = []
    ) throws(SyscallError) -> OwnedFileDescriptor {
        let raw = try check("open", path.string) {
            path.withPlatformString {
                CLinux_openat2(
                    directory, $0, UInt64(UInt32(bitPattern: flags | O_CLOEXEC)), UInt64(mode), resolve.rawValue)
            }
        }
        return OwnedFileDescriptor(adopting: raw)
    }

    /// Opens a path only as a location (O_PATH); a link in the final component is followed unless
    /// `following` is false.
    package static func openLocation(
        _ path: FilePath, at directory: CInt = AT_FDCWD, following: Bool = true, resolve: PathResolution = []
    ) throws(SyscallError) -> OwnedFileDescriptor {
        try open(path, at: directory, CInt(CLinux_O_PATH) | (following ? 0 : O_NOFOLLOW), resolve: resolve)
    }

    /// Reads a whole regular file of at most `limit` bytes without following a link in its last component.
    package static func readFile(
        _ path: FilePath, at directory: CInt = AT_FDCWD, limit: Int, resolve: PathResolution = []
    ) throws(SyscallError) -> [UInt8] {
        let file = try open(path, at: directory, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, resolve: resolve)
        let status = try fstat(file.number)
        guard status.isRegular else { throw SyscallError("open", path.string, errno: .invalidArgument) }
        do throws(SyscallError) {
            return try readAll(file.number, limit: limit, expecting: Int(clamping: status.size))
        } catch {
            throw SyscallError(error.call, path.string, errno: error.errno)
        }
    }

    /// Writes a file in place: created with `mode` or truncated.
    package static func writeFile(
        _ path: FilePath, at directory: CInt = AT_FDCWD, _ bytes: some Sequence<UInt8>, mode: UInt32 = 0o644
    ) throws(SyscallError) {
        let file = try open(path, at: directory, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
        try writeAll(file.number, bytes)
    }

    /// Replaces a file so that after a crash either the old or the new one is there: write, fsync, rename, fsync.
    ///
    /// Without `syncsName` it can still be the old one after a crash that comes later.
    package static func replaceFile(
        _ name: FilePath, at directory: CInt, _ bytes: some Sequence<UInt8>, mode: UInt32 = 0o644,
        syncsName: Bool = true
    ) throws(SyscallError) {
        let temporary = FilePath(name.string + ".new")
        let file = try open(temporary, at: directory, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: mode)
        try writeAll(file.number, bytes)
        try fsync(file.number)
        try rename(temporary, at: directory, to: name, at: directory)
        if syncsName { try fsync(directory) }
    }

    /// faccessat(2): fails where this process may not write to a file, or make files in a directory.
    package static func requireWriting(_ path: FilePath) throws(SyscallError) {
        _ = try check("write to", path.string) {
            path.withPlatformString { Glibc.faccessat(AT_FDCWD, $0, W_OK, AT_EACCESS) }
        }
    }

    /// mkfifo(3), with exactly this mode where the umask lets it be.
    package static func makeFIFO(
        _ path: FilePath, at directory: CInt = AT_FDCWD, mode: UInt32
    ) throws(SyscallError) {
        _ = try check("mkfifo", path.string) { path.withPlatformString { Glibc.mkfifoat(directory, $0, mode) } }
    }

    /// mknod(2) of a character device, with exactly this mode.
    package static func makeDevice(
        _ path: FilePath, major: UInt32, minor: UInt32, mode: UInt32
    ) throws(SyscallError) {
        let number = CLinux_makedev(major, minor)
        _ = try check("mknod", path.string) {
            path.withPlatformString { Glibc.mknod($0, S_IFCHR | mode, UInt(number)) }
        }
        _ = try check("chmod", path.string) { path.withPlatformString { Glibc.chmod($0, mode) } }
    }

    /// unlinkat(2); `directory: true` removes an empty directory.
    package static func unlink(
        _ path: FilePath, at parent: CInt = AT_FDCWD, directory: Bool = false
    ) throws(SyscallError) {
        _ = try check("unlink", path.string) {
            path.withPlatformString { Glibc.unlinkat(parent, $0, directory ? AT_REMOVEDIR : 0) }
        }
    }

    /// renameat2(2); `replacing: false` fails with EEXIST instead of replacing.
    package static func rename(
        _ path: FilePath, at directory: CInt = AT_FDCWD, to newPath: FilePath, at newDirectory: CInt = AT_FDCWD,
        replacing: Bool = true
    ) throws(SyscallError) {
        let flags = replacing ? 0 : CUnsignedInt(CLinux_RENAME_NOREPLACE)
        _ = try check("rename", path.string) {
            path.withPlatformString { old in
                newPath.withPlatformString { CLinux_renameat2(directory, old, newDirectory, $0, flags) }
            }
        }
    }

    /// symlinkat(2).
    package static func symlink(
        _ target: FilePath, _ path: FilePath, at directory: CInt = AT_FDCWD
    ) throws(SyscallError) {
        _ = try check("symlink", path.string) {
            target.withPlatformString { target in
                path.withPlatformString { Glibc.symlinkat(target, directory, $0) }
            }
        }
    }

    /// readlinkat(2): the link's text, of any bytes.
    package static func readLink(_ path: FilePath, at directory: CInt = AT_FDCWD) throws(SyscallError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = try check("readlink", path.string) {
            path.withPlatformString { Glibc.readlinkat(directory, $0, &buffer, buffer.count) }
        }
        return buffer.prefix(count).map { UInt8(bitPattern: $0) }
    }

    /// fchownat(2) without following a link; -1 keeps an id.
    package static func changeOwner(
        _ path: FilePath, at directory: CInt = AT_FDCWD, user: UInt32, group: UInt32
    ) throws(SyscallError) {
        _ = try check("chown", path.string) {
            path.withPlatformString { Glibc.fchownat(directory, $0, user, group, AT_SYMLINK_NOFOLLOW) }
        }
    }

    /// fchown(2).
    package static func changeOwner(of descriptor: CInt, user: UInt32, group: UInt32) throws(SyscallError) {
        _ = try check("fchown") { Glibc.fchown(descriptor, user, group) }
    }

    /// fchmod(2).
    package static func changeMode(of descriptor: CInt, _ mode: UInt32) throws(SyscallError) {
        _ = try check("fchmod") { Glibc.fchmod(descriptor, mode) }
    }

    /// fstat(2).
    package static func fstat(_ descriptor: CInt) throws(SyscallError) -> FileStatus {
        var status = Glibc.stat()
        _ = try check("fstat") { Glibc.fstat(descriptor, &status) }
        return FileStatus(status)
    }

    /// fstatat(2) without following a link in the last component.
    package static func lstat(_ path: FilePath, at directory: CInt = AT_FDCWD) throws(SyscallError) -> FileStatus {
        var status = Glibc.stat()
        _ = try check("stat", path.string) {
            path.withPlatformString { Glibc.fstatat(directory, $0, &status, AT_SYMLINK_NOFOLLOW) }
        }
        return FileStatus(status)
    }

    /// Whether anything is at the path; a link counts as itself.
    ///
    /// Only what the kernel says is not there is absent: what cannot be looked at is left for the next call to fail at.
    package static func exists(_ path: FilePath, at directory: CInt = AT_FDCWD) -> Bool {
        do throws(SyscallError) {
            _ = try lstat(path, at: directory)
            return true
        } catch {
            return error.errno != .noSuchFileOrDirectory && error.errno != .notDirectory
        }
    }

    /// Whether a file has a list of further users and groups who may open it (acl(5)); a link is not followed.
    package static func hasAccessList(_ path: FilePath) -> Bool {
        var list = [CChar](repeating: 0, count: 4096)
        let size = list.count
        let used = path.withPlatformString { CLinux_llistxattr($0, &list, size) }
        guard used > 0 else { return false }
        return list.prefix(used).split(separator: 0).contains { name in
            name.elementsEqual("system.posix_acl_access".utf8.map { CChar(bitPattern: $0) })
        }
    }

    /// ftruncate(2).
    package static func truncate(_ descriptor: CInt, to size: Int64) throws(SyscallError) {
        _ = try check("ftruncate") { Glibc.ftruncate(descriptor, Int(size)) }
    }

    /// futimens(2) and utimensat(2): sets the modification time, of a link itself, and leaves the access time alone.
    package static func setModificationTime(
        _ path: FilePath, at directory: CInt = AT_FDCWD, seconds: Int64, nanoseconds: Int64
    ) throws(SyscallError) {
        let times = [
            timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2), timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)),
        ]
        _ = try check("utimensat", path.string) {
            path.withPlatformString { Glibc.utimensat(directory, $0, times, AT_SYMLINK_NOFOLLOW) }
        }
    }

    /// copy_file_range(2): up to `length` bytes at both descriptors' positions; 0 is the end.
    package static func copyRange(from: CInt, to: CInt, length: Int) throws(SyscallError) -> Int {
        try check("copy_file_range") { CLinux_copy_file_range(from, nil, to, nil, length) }
    }

    /// ioctl_ficlone(2): makes `to` share all data of `from`, where the file system can.
    package static func cloneFile(from: CInt, to: CInt) throws(SyscallError) {
        _ = try check("ioctl FICLONE") {
            CLinux_ioctl(to, CLinux_FICLONE, UnsafeMutableRawPointer(bitPattern: Int(from)))
        }
    }

    /// The names in an open directory but `.` and `..`, as raw bytes, in the kernel's order.
    package static func directoryEntries(_ directory: CInt) throws(SyscallError) -> [DirectoryEntry] {
        var entries: [DirectoryEntry] = []
        while let next = try nextDirectoryEntries(directory, bytes: 65536) { entries += next }
        return entries
    }

    /// Some more of the names in an open directory, as many as `bytes` of the kernel's records hold; nil at the end.
    package static func nextDirectoryEntries(
        _ directory: CInt, bytes: Int
    ) throws(SyscallError) -> [DirectoryEntry]? {
        var buffer = [UInt8](repeating: 0, count: bytes)
        let count = try check("getdents64") { CLinux_getdents64(directory, &buffer, bytes) }
        guard count > 0 else { return nil }
        var entries: [DirectoryEntry] = []
        var offset = 0
        while offset < count {
            // struct linux_dirent64: d_ino 8, d_off 8, d_reclen 2, d_type 1, d_name.
            let length = Int(buffer[offset + 16]) | Int(buffer[offset + 17]) << 8
            let name = buffer[(offset + 19)..<(offset + length)].prefix { $0 != 0 }
            if !(name.elementsEqual([0x2E]) || name.elementsEqual([0x2E, 0x2E])) {
                entries.append(DirectoryEntry(name: Array(name), type: buffer[offset + 18]))
            }
            offset += length
        }
        return entries
    }
}

/// A name in a directory.
package struct DirectoryEntry: Sendable, Hashable {
    /// The bytes of the name, without NUL.
    package let name: [UInt8]
    /// The type as getdents64(2) gives it (DT_DIR, ...); 0 where the file system does not tell.
    package let type: UInt8

    /// The name as a path of one component.
    package var path: FilePath { FilePath(bytes: name) }
}

extension FilePath {
    /// A path of any bytes but NUL.
    package init(bytes: some Collection<UInt8>) {
        var platform = bytes.map { CChar(bitPattern: $0) }
        platform.append(0)
        self = platform.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return FilePath() }
            return FilePath(platformString: base)
        }
    }

    /// The path's bytes without a terminator.
    package var bytes: [UInt8] {
        withPlatformString { pointer in
            Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer))).map { UInt8(bitPattern: $0) }
        }
    }
}

/// What stat(2) tells of a file.
package struct FileStatus: Sendable, Hashable {
    /// Device and inode: the identity of the file while it exists.
    package let device: UInt64, inode: UInt64
    /// Type and permission bits.
    package let mode: UInt32
    /// Owner, as seen in the caller's user namespace.
    package let user: UInt32, group: UInt32
    /// Number of hard links.
    package let links: UInt64
    /// Size in bytes, and space taken in bytes.
    package let size: Int64, allocated: Int64
    /// Device number of a device node.
    package let deviceNumber: UInt64
    /// Time of the last change of content and of the inode.
    package let modified: FileTime, changed: FileTime

    init(_ status: Glibc.stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        mode = status.st_mode
        user = status.st_uid
        group = status.st_gid
        links = UInt64(status.st_nlink)
        size = Int64(status.st_size)
        allocated = Int64(status.st_blocks) * 512
        deviceNumber = UInt64(status.st_rdev)
        modified = FileTime(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: Int64(status.st_mtim.tv_nsec))
        changed = FileTime(seconds: Int64(status.st_ctim.tv_sec), nanoseconds: Int64(status.st_ctim.tv_nsec))
    }

    /// Whether it is a regular file.
    package var isRegular: Bool { mode & S_IFMT == S_IFREG }
    /// Whether it is a directory.
    package var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
    /// Whether it is a symbolic link.
    package var isSymbolicLink: Bool { mode & S_IFMT == S_IFLNK }
    /// Whether it is a FIFO.
    package var isFIFO: Bool { mode & S_IFMT == S_IFIFO }
    /// Permission bits with setuid, setgid and sticky.
    package var permissions: UInt32 { mode & 0o7777 }
}

/// A point in time as file systems keep it.
package struct FileTime: Sendable, Hashable, Comparable {
    /// Seconds since 1970, and nanoseconds in that second.
    package let seconds: Int64, nanoseconds: Int64

    /// Makes a time from its two parts.
    package init(seconds: Int64, nanoseconds: Int64) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    package static func < (left: FileTime, right: FileTime) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }
}

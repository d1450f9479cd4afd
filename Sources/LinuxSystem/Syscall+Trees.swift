import CLinux
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One name or relative path for the `at` calls, borrowed from an array of names that each end in NUL.
///
/// Trees of many files keep the names of a directory in one array; passing them on costs no allocation.
package struct TerminatedName: Sendable {
    private let storage: [UInt8]
    private let start: Int

    /// Takes the name that begins at `start` of `storage`, which ends in NUL.
    package init(in storage: [UInt8], at start: Int) {
        precondition(storage.last == 0 && start >= 0 && start < storage.count, "names end in NUL")
        self.storage = storage
        self.start = start
    }

    /// Copies a name; bytes from a NUL on are left away.
    package init(_ bytes: some Collection<UInt8>) {
        storage = Array(bytes.prefix { $0 != 0 }) + [0]
        start = 0
    }

    /// The bytes without the terminator.
    package var bytes: [UInt8] { Array(storage[start...].prefix { $0 != 0 }) }

    /// The name for messages.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    @inline(__always)
    func withPointer<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        storage.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return body("") }
            return body((base + start).assumingMemoryBound(to: CChar.self))
        }
    }
}

extension Syscall {
    /// openat2(2), close-on-exec.
    ///
    /// `mode` counts only when a file is created.
    package static func open(
        _ name: TerminatedName, at directory: CInt, _ flags: CInt, mode: UInt32 = 0, resolve: PathResolution = []
    ) throws(SyscallError) -> OwnedFileDescriptor {
        let raw = try check("open", name.text) {
            name.withPointer {
                CLinux_openat2(
                    directory, $0, UInt64(UInt32(bitPattern: flags | O_CLOEXEC)), UInt64(mode), resolve.rawValue)
            }
        }
        return OwnedFileDescriptor(adopting: raw)
    }

    /// fstatat(2) without following a link in the last component.
    package static func lstat(_ name: TerminatedName, at directory: CInt) throws(SyscallError) -> FileStatus {
        var status = Glibc.stat()
        _ = try check("stat", name.text) {
            name.withPointer { Glibc.fstatat(directory, $0, &status, AT_SYMLINK_NOFOLLOW) }
        }
        return FileStatus(status)
    }

    /// fstatat(2), following a link in the last component.
    package static func fileStatus(_ name: TerminatedName, at directory: CInt) throws(SyscallError) -> FileStatus {
        var status = Glibc.stat()
        _ = try check("stat", name.text) { name.withPointer { Glibc.fstatat(directory, $0, &status, 0) } }
        return FileStatus(status)
    }

    /// mkdirat(2).
    package static func makeDirectory(
        _ name: TerminatedName, at directory: CInt, mode: UInt32
    ) throws(SyscallError) {
        _ = try check("mkdir", name.text) { name.withPointer { Glibc.mkdirat(directory, $0, mode) } }
    }

    /// unlinkat(2); `directory: true` removes an empty directory.
    package static func unlink(
        _ name: TerminatedName, at parent: CInt, directory: Bool = false
    ) throws(SyscallError) {
        _ = try check("unlink", name.text) {
            name.withPointer { Glibc.unlinkat(parent, $0, directory ? AT_REMOVEDIR : 0) }
        }
    }

    /// renameat2(2), which never replaces: EEXIST when the new name is taken.
    package static func move(
        _ name: TerminatedName, at directory: CInt, to newName: TerminatedName, at newDirectory: CInt
    ) throws(SyscallError) {
        _ = try check("rename", name.text) {
            name.withPointer { old in
                newName.withPointer {
                    CLinux_renameat2(directory, old, newDirectory, $0, CUnsignedInt(CLinux_RENAME_NOREPLACE))
                }
            }
        }
    }

    /// renameat2(2) with RENAME_EXCHANGE: the two take each other's place at once.
    package static func exchange(
        _ name: TerminatedName, at directory: CInt, with other: TerminatedName, at otherDirectory: CInt
    ) throws(SyscallError) {
        _ = try check("rename", name.text) {
            name.withPointer { one in
                other.withPointer {
                    CLinux_renameat2(directory, one, otherDirectory, $0, CUnsignedInt(CLinux_RENAME_EXCHANGE))
                }
            }
        }
    }

    /// mknodat(2) of the device 0/0 by which overlay mounts hide an entry of a layer below; needs no right but to write
    /// (Linux 5.8).
    package static func makeWhiteout(_ name: TerminatedName, at directory: CInt) throws(SyscallError) {
        _ = try check("mknod", name.text) { name.withPointer { Glibc.mknodat(directory, $0, S_IFCHR, 0) } }
    }

    /// readlinkat(2): the link's text, of any bytes.
    package static func readLink(_ name: TerminatedName, at directory: CInt) throws(SyscallError) -> [UInt8] {
        // A link's text is shorter than PATH_MAX on every Linux file system.
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = try check("readlink", name.text) {
            name.withPointer { Glibc.readlinkat(directory, $0, &buffer, buffer.count) }
        }
        return buffer.prefix(count).map { UInt8(bitPattern: $0) }
    }

    /// symlinkat(2).
    package static func symlink(
        to target: TerminatedName, _ name: TerminatedName, at directory: CInt
    ) throws(SyscallError) {
        _ = try check("symlink", name.text) {
            target.withPointer { text in name.withPointer { Glibc.symlinkat(text, directory, $0) } }
        }
    }

    /// linkat(2): a further name for a file; a symbolic link is never followed.
    package static func link(
        _ name: TerminatedName, at directory: CInt, to newName: TerminatedName, at newDirectory: CInt
    ) throws(SyscallError) {
        _ = try check("link", newName.text) {
            name.withPointer { old in newName.withPointer { Glibc.linkat(directory, old, newDirectory, $0, 0) } }
        }
    }

    /// fchownat(2) without following a link.
    package static func changeOwner(
        _ name: TerminatedName, at directory: CInt, user: UInt32, group: UInt32
    ) throws(SyscallError) {
        _ = try check("chown", name.text) {
            name.withPointer { Glibc.fchownat(directory, $0, user, group, AT_SYMLINK_NOFOLLOW) }
        }
    }

    /// fchmodat(2) of what is no symbolic link; ENOTSUP for one.
    package static func changeMode(
        _ name: TerminatedName, at directory: CInt, _ mode: UInt32
    ) throws(SyscallError) {
        _ = try check("chmod", name.text) {
            name.withPointer { Glibc.fchmodat(directory, $0, mode, AT_SYMLINK_NOFOLLOW) }
        }
    }

    /// futimens(2): sets the modification time and leaves the access time alone.
    package static func setModificationTime(of descriptor: CInt, _ time: FileTime) throws(SyscallError) {
        let times = modificationOnly(time)
        _ = try check("futimens") { Glibc.futimens(descriptor, times) }
    }

    /// utimensat(2) of the entry itself, also when it is a link.
    package static func setModificationTime(
        _ name: TerminatedName, at directory: CInt, _ time: FileTime
    ) throws(SyscallError) {
        let times = modificationOnly(time)
        _ = try check("utimensat", name.text) {
            name.withPointer { Glibc.utimensat(directory, $0, times, AT_SYMLINK_NOFOLLOW) }
        }
    }

    private static func modificationOnly(_ time: FileTime) -> [timespec] {
        // UTIME_OMIT: the value is a macro that Swift does not see.
        [
            timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2),
            timespec(tv_sec: Int(time.seconds), tv_nsec: Int(time.nanoseconds)),
        ]
    }

    /// read(2) once into the start of `buffer`; returns the number of bytes, 0 at the end of the file.
    package static func read(
        _ descriptor: CInt, into buffer: inout [UInt8], upTo limit: Int
    ) throws(SyscallError) -> Int {
        let count = min(limit, buffer.count)
        return try check("read") { buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, count) } }
    }

    /// write(2) until the bytes of `range` are out.
    package static func writeAll(
        _ descriptor: CInt, _ buffer: [UInt8], _ range: Range<Int>
    ) throws(SyscallError) {
        precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "the range lies in the buffer")
        var start = range.lowerBound
        while start < range.upperBound {
            start += try check("write") {
                buffer.withUnsafeBytes {
                    Glibc.write(descriptor, $0.baseAddress?.advanced(by: start), range.upperBound - start)
                }
            }
        }
    }

    /// lseek(2): moves to `offset`, or to the next data or hole at or after it, and returns the new position.
    ///
    /// Without data after `offset` the error is ENXIO.
    package static func seek(
        _ descriptor: CInt, to offset: Int64, _ target: SeekTarget = .offset
    ) throws(SyscallError) -> Int64 {
        try check("lseek") { Int64(Glibc.lseek(descriptor, Int(offset), target.rawValue)) }
    }

    /// Where ``seek(_:to:_:)`` goes.
    package enum SeekTarget: CInt, Sendable {
        /// The offset itself.
        case offset = 0
        /// The next data at or after the offset (SEEK_DATA).
        case data = 3
        /// The next hole, or the end, at or after the offset (SEEK_HOLE).
        case hole = 4
    }

    /// The names of the extended attributes of an open file; empty where the file system has none.
    package static func attributeNames(_ descriptor: CInt) throws(SyscallError) -> [[UInt8]] {
        do throws(SyscallError) {
            while true {
                let size = try check("flistxattr") { CLinux_flistxattr(descriptor, nil, 0) }
                if size == 0 { return [] }
                var list = [CChar](repeating: 0, count: size)
                let count = CLinux_flistxattr(descriptor, &list, size)
                if count < 0 && Glibc.errno == ERANGE { continue }
                let used = try check("flistxattr") { count }
                return list.prefix(used).split(separator: 0).map { $0.map { UInt8(bitPattern: $0) } }
            }
        } catch  where error.errno == .notSupported || error.errno == .notSupportedOnSocket {
            return []
        }
    }

    /// The value of an extended attribute (fgetxattr(2)).
    package static func attribute(_ name: TerminatedName, of descriptor: CInt) throws(SyscallError) -> [UInt8] {
        while true {
            let size = try check("fgetxattr", name.text) {
                name.withPointer { CLinux_fgetxattr(descriptor, $0, nil, 0) }
            }
            if size == 0 { return [] }
            var value = [UInt8](repeating: 0, count: size)
            let count = name.withPointer { CLinux_fgetxattr(descriptor, $0, &value, size) }
            if count < 0 && Glibc.errno == ERANGE { continue }
            return Array(value.prefix(try check("fgetxattr", name.text) { count }))
        }
    }

    /// fsetxattr(2).
    package static func setAttribute(
        _ name: TerminatedName, of descriptor: CInt, _ value: [UInt8]
    ) throws(SyscallError) {
        _ = try check("fsetxattr", name.text) {
            name.withPointer { CLinux_fsetxattr(descriptor, $0, value, value.count, 0) }
        }
    }

    /// getdents64(2) to the end: the names in an open directory but `.` and `..`, in the kernel's order.
    package static func directoryListing(_ directory: CInt) throws(SyscallError) -> DirectoryListing {
        var listing = DirectoryListing()
        var buffer = [UInt8](repeating: 0, count: 32768)
        while true {
            let count = try check("getdents64") { CLinux_getdents64(directory, &buffer, buffer.count) }
            if count == 0 { return listing }
            listing.append(records: buffer, count: count)
        }
    }

    /// syncfs(2): waits until what was written to the file system of `descriptor` is on its device.
    package static func syncFileSystem(of descriptor: CInt) throws(SyscallError) {
        _ = try check("syncfs") { CLinux_syncfs(descriptor) }
    }

    /// The wall clock (CLOCK_REALTIME), the one that file systems stamp changes with.
    package static func wallClock() -> FileTime {
        var time = timespec()
        Glibc.clock_gettime(CLOCK_REALTIME, &time)
        return FileTime(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    /// nanosleep(2), not repeated when a signal ends it early.
    package static func sleep(nanoseconds: Int64) {
        var time = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
        Glibc.nanosleep(&time, nil)
    }

    /// The effective user id of this process.
    package static var effectiveUser: UInt32 { Glibc.geteuid() }

    /// Gives the memory back that all threads have freed (malloc_trim(3)).
    package static func releaseFreedMemory() { _ = CLinux_malloc_trim() }
}

/// The names of one directory in one array.
package struct DirectoryListing: Sendable {
    /// All names, each followed by NUL.
    package private(set) var names: [UInt8] = []
    /// Where each name starts, how long it is, and its type as getdents64(2) gives it (0 where it does not tell).
    package private(set) var items: [Item] = []

    /// One name of the listing.
    package struct Item: Sendable {
        /// Where the name starts in ``DirectoryListing/names``.
        package let start: Int
        /// The length in bytes, terminator excluded.
        package let count: Int
        /// A `DT_` constant.
        package let type: UInt8
    }

    init() {}

    /// A listing of names that each have NUL behind them, of unknown types.
    package init(names: [UInt8]) {
        self.names = names
        var start = 0
        for (index, byte) in names.enumerated() where byte == 0 {
            items.append(Item(start: start, count: index - start, type: 0))
            start = index + 1
        }
    }

    mutating func append(records: [UInt8], count: Int) {
        records.withUnsafeBytes { bytes in
            var offset = 0
            while offset < count {
                // struct linux_dirent64: d_ino 8, d_off 8, d_reclen 2, d_type 1, d_name.
                let length = Int(bytes[offset + 16]) | Int(bytes[offset + 17]) << 8
                let name = UnsafeRawBufferPointer(rebasing: bytes[(offset + 19)..<(offset + length)])
                let end = name.firstIndex(of: 0) ?? name.count
                let isDots = end <= 2 && name[..<end].allSatisfy { $0 == 0x2E }
                if !isDots {
                    items.append(Item(start: names.count, count: end, type: bytes[offset + 18]))
                    names.append(contentsOf: name[..<end])
                    names.append(0)
                }
                offset += length
            }
        }
    }
}

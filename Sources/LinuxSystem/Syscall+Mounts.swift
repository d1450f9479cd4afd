import CLinux
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension Syscall {
    /// mount(2).
    ///
    /// `data` of nil is passed as NULL.
    package static func mount(
        source: String, target: FilePath, type: String?, flags: UInt = 0, data: String? = nil
    ) throws(SyscallError) {
        _ = try check("mount", target.string) {
            target.withPlatformString { target in
                Glibc.mount(source, target, type, flags, data)
            }
        }
    }

    /// open_tree(2): a descriptor of a detached copy of the mount at the place that `location` refers to.
    package static func cloneMount(of location: CInt, recursive: Bool) throws(SyscallError) -> OwnedFileDescriptor {
        let flags =
            UInt32(CLinux_OPEN_TREE_CLONE) | UInt32(O_CLOEXEC) | UInt32(CLinux_AT_EMPTY_PATH)
            | (recursive ? UInt32(CLinux_AT_RECURSIVE) : 0)
        return OwnedFileDescriptor(adopting: try check("open_tree") { CLinux_open_tree(location, "", flags) })
    }

    /// move_mount(2): attaches a detached mount at a path.
    package static func attachMount(_ mount: CInt, at target: FilePath) throws(SyscallError) {
        _ = try check("move_mount", target.string) {
            target.withPlatformString {
                CLinux_move_mount(mount, "", AT_FDCWD, $0, CUnsignedInt(CLinux_MOVE_MOUNT_F_EMPTY_PATH))
            }
        }
    }

    /// mount_setattr(2) on a detached or attached mount.
    package static func setMountAttributes(
        _ mount: CInt, _ set: MountAttributes, recursive: Bool
    ) throws(SyscallError) {
        let flags = CUnsignedInt(CLinux_AT_EMPTY_PATH) | (recursive ? CUnsignedInt(CLinux_AT_RECURSIVE) : 0)
        _ = try check("mount_setattr") { CLinux_mount_setattr(mount, "", flags, set.rawValue, 0) }
    }

    /// mount_setattr(2), MOUNT_ATTR_IDMAP: shows the files of a detached mount as those of other ids, by the map of an
    /// open user namespace.
    package static func mapIDs(of mount: CInt, by namespace: CInt) throws(SyscallError) {
        _ = try check("mount_setattr MOUNT_ATTR_IDMAP") { CLinux_mount_idmap(mount, namespace) }
    }

    /// A new file system in memory (tmpfs(5)) with that size and octal mode of its root, which is attached nowhere.
    package static func newMemory(size: String, mode: String) throws(SyscallError) -> OwnedFileDescriptor {
        OwnedFileDescriptor(adopting: try check("fsmount") { CLinux_new_tmpfs(size, mode) })
    }

    /// umount2(2) with MNT_DETACH.
    package static func detachMount(_ target: FilePath) throws(SyscallError) {
        _ = try check("umount2", target.string) { target.withPlatformString { Glibc.umount2($0, CInt(MNT_DETACH)) } }
    }

    /// umount2(2): fails with EBUSY where this mount namespace still uses the mount.
    package static func unmount(_ target: FilePath) throws(SyscallError) {
        _ = try check("umount2", target.string) {
            target.withPlatformString { Glibc.umount2($0, CInt(UMOUNT_NOFOLLOW)) }
        }
    }

    /// pivot_root(2).
    package static func pivotRoot(_ newRoot: FilePath, _ oldRoot: FilePath) throws(SyscallError) {
        _ = try check("pivot_root", newRoot.string) {
            newRoot.withPlatformString { new in oldRoot.withPlatformString { CLinux_pivot_root(new, $0) } }
        }
    }

    /// chdir(2).
    package static func changeDirectory(_ path: FilePath) throws(SyscallError) {
        _ = try check("chdir", path.string) { path.withPlatformString { Glibc.chdir($0) } }
    }
}

/// Attributes of a mount, as mount_setattr(2) numbers them.
package struct MountAttributes: OptionSet, Sendable, Hashable, Codable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Nothing can be written through it.
    package static let readOnly = MountAttributes(rawValue: 1)
    /// setuid bits and file capabilities have no effect.
    package static let noSetuid = MountAttributes(rawValue: 2)
    /// Device nodes cannot be opened.
    package static let noDevices = MountAttributes(rawValue: 4)
    /// Nothing can be executed.
    package static let noExecute = MountAttributes(rawValue: 8)
}

extension Syscall {
    /// Whether an open file takes an attribute of the `user` namespace (xattr(7)): tried, and taken back.
    package static func keepsUserAttributes(_ descriptor: CInt) -> Bool {
        guard CLinux_fsetxattr(descriptor, "user.cloche", "1", 1, 0) == 0 else { return false }
        return CLinux_fremovexattr(descriptor, "user.cloche") == 0
    }
}

/// What a file system has, and has left.
package struct FileSystemRoom: Sendable, Hashable {
    /// Its magic number (statfs(2)).
    package let type: Int64
    /// Bytes in all and free; 0 in all where it has no limit.
    package let bytes: Int64, freeBytes: Int64
    /// Files in all and free; 0 in all where they have no limit.
    package let files: Int64, freeFiles: Int64

    /// Whether no more can be written, or no more files made.
    package var isFull: Bool { (bytes > 0 && freeBytes == 0) || (files > 0 && freeFiles == 0) }
}

extension Syscall {
    /// fstatfs(2): the file system of an open file, which may be a mere location.
    package static func fileSystem(of descriptor: CInt) throws(SyscallError) -> FileSystemRoom {
        var room = CLinux_room()
        _ = try check("fstatfs") { CLinux_fstatfs(descriptor, &room) }
        func bytes(_ blocks: UInt64) -> Int64 {
            let (product, overflow) = Int64(clamping: blocks).multipliedReportingOverflow(by: room.blockSize)
            return overflow ? .max : product
        }
        return FileSystemRoom(
            type: room.type, bytes: bytes(room.blocks), freeBytes: bytes(room.freeBlocks),
            files: Int64(clamping: room.files), freeFiles: Int64(clamping: room.freeFiles))
    }
}

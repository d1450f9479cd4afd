package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Tells when a file system is gone: not merely from one mount namespace, but from all, with every file of it closed.
///
/// By inotify(7), whose IN_UNMOUNT comes when the kernel gives the file system up. The watch itself keeps nothing in use.
package struct UnmountWatch: ~Copyable {
    private let descriptor: OwnedFileDescriptor

    /// Watches the file system of the directory at that path.
    package init(_ path: FilePath) throws(SyscallError) {
        let raw = try Syscall.check("inotify_init1") { inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK)) }
        let owned = OwnedFileDescriptor(adopting: raw)
        _ = try Syscall.check("inotify_add_watch", path.string) {
            path.withPlatformString { inotify_add_watch(raw, $0, UInt32(IN_DELETE_SELF) | UInt32(IN_ONLYDIR)) }
        }
        descriptor = owned
    }

    /// Waits until the file system is gone; false when it is not within so many milliseconds.
    package borrowing func wait(milliseconds: Int32) throws(SyscallError) -> Bool {
        let deadline = Syscall.monotonicSeconds() + Double(milliseconds) / 1000
        while true {
            let left = deadline - Syscall.monotonicSeconds()
            guard try !Syscall.poll([descriptor.number], milliseconds: Int32(max(0, left * 1000))).isEmpty else {
                return false
            }
            if Self.tellsUnmount(try Syscall.read(descriptor.number, upTo: 4096)) { return true }
        }
    }

    /// Whether one of the records of `struct inotify_event` has IN_UNMOUNT.
    private static func tellsUnmount(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset + 16 <= bytes.count {
            let mask = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self) }
            if mask & UInt32(IN_UNMOUNT) != 0 { return true }
            let name = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self) }
            offset += 16 + Int(name)
        }
        return false
    }
}

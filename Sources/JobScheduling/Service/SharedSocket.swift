import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The socket at which a service listens for other users of the host.
package enum SharedSocket {
    /// Where root's service listens unless it is told otherwise; a user's has no directory that others may enter.
    package static let standard: FilePath? = geteuid() == 0 ? "/run/cloche.sock" : nil

    /// Listens at `path`, for everybody or for the members of a group alone; replaces what a service left that was killed.
    static func listen(at path: FilePath, group: UInt32?) throws -> OwnedFileDescriptor {
        func unusable(_ reason: String, _ hint: String) -> ServiceError {
            ServiceError(.unusable, "listen at `\(path)`: \(reason)", hint: hint)
        }
        do throws(SyscallError) {
            let directory = try Syscall.open(path.removingLastComponent(), O_RDONLY | O_DIRECTORY)
            let status = try Syscall.fstat(directory.number)
            guard [geteuid(), 0].contains(status.user), status.permissions & 0o022 == 0 else {
                throw SyscallError("trust", path.removingLastComponent().string, errno: .notPermitted)
            }
        } catch {
            throw unusable("\(error)", "name a socket in a directory of your own that nobody else may write to")
        }
        if let present = try? Syscall.lstat(path) {
            guard present.mode & S_IFMT == S_IFSOCK else {
                throw unusable("something else is there", "name another path with --socket")
            }
            if answers(at: path) {
                throw ServiceError(
                    .occupied, "listen at `\(path)`: somebody listens there already",
                    hint: "name another path with --socket")
            }
            try Syscall.unlink(path)
        }
        do throws(SyscallError) {
            let listener = try Syscall.listen(at: path)
            try Syscall.share(socket: path, group: group)
            return listener
        } catch {
            throw unusable("\(error)", "name another path, of fewer than 108 bytes, with --socket")
        }
    }

    private static func answers(at path: FilePath) -> Bool {
        do throws(SyscallError) {
            let socket = try Syscall.connect(to: path)
            return socket.number >= 0
        } catch {
            // One at which too many wait is served as well.
            return error.errno == .resourceTemporarilyUnavailable
        }
    }
}

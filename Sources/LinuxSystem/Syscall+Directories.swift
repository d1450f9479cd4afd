package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension Syscall {
    /// mkdirat(2).
    package static func makeDirectory(
        _ path: FilePath, at directory: CInt = AT_FDCWD, mode: UInt32
    ) throws(SyscallError) {
        _ = try check("mkdir", path.string) { path.withPlatformString { Glibc.mkdirat(directory, $0, mode) } }
    }

    /// Makes a directory below one that is there; tells whether it was missing.
    private static func makeMissing(_ path: FilePath, mode: UInt32) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            try makeDirectory(path, mode: mode)
            return true
        } catch  where error.errno == .fileExists {
            return false
        }
    }

    /// Makes a directory and the missing ones above it; existing ones are fine.
    package static func makeDirectories(_ path: FilePath, mode: UInt32) throws(SyscallError) {
        do throws(SyscallError) {
            _ = try makeMissing(path, mode: mode)
        } catch  where error.errno == .noSuchFileOrDirectory && !path.removingLastComponent().isEmpty {
            try makeDirectories(path.removingLastComponent(), mode: mode)
            // Once: procfs says the same of what cannot be made below a directory that is there.
            _ = try makeMissing(path, mode: mode)
        }
    }

    /// Makes a directory and the missing ones above it, each of which is then there also after a loss of power.
    package static func makeLastingDirectories(_ path: FilePath, mode: UInt32) throws(SyscallError) {
        let above = path.removingLastComponent()
        var isNew = false
        do throws(SyscallError) {
            isNew = try makeMissing(path, mode: mode)
        } catch  where error.errno == .noSuchFileOrDirectory && !above.isEmpty {
            try makeLastingDirectories(above, mode: mode)
            // As above.
            isNew = try makeMissing(path, mode: mode)
        }
        guard isNew else { return }
        let directory = try open(above.isEmpty ? "." : above, O_RDONLY | O_DIRECTORY)
        try fsync(directory.number)
    }
}

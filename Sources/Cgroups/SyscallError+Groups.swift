import LinuxSystem
import SystemPackage

extension SyscallError {
    /// Whether the group is not there, or was removed while it was held open.
    var isOfMissingGroup: Bool { errno == .noSuchFileOrDirectory || errno == .operationNotSupportedByDevice }

    /// Puts the full path into the error of a call on a descriptor.
    static func naming<Result: ~Copyable>(
        _ path: FilePath, _ body: () throws(SyscallError) -> Result
    ) throws(SyscallError) -> Result {
        do throws(SyscallError) {
            return try body()
        } catch {
            throw SyscallError(error.call, path.string, errno: error.errno)
        }
    }
}

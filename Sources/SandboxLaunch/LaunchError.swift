package import LinuxSystem
package import SystemPackage

/// A failure to set up a sandbox: nothing of the command ran.
package struct LaunchError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was to be done, to come after "failed to".
    package let step: String
    /// Why it failed.
    package let reason: String
    /// The system call that failed, and what it acted on, where it was one.
    package let call: String?, object: String?
    /// The number behind the reason, where the kernel gave one.
    package let errno: Errno?
    /// What to do, where the one who noticed knows it.
    package var remedy: String?
    /// Whether what was asked for cannot be, on any host.
    package var isRequestWrong = false

    /// Records a failure.
    package init(
        step: String, reason: String, errno: Errno? = nil, call: String? = nil, object: String? = nil,
        remedy: String? = nil
    ) {
        self.step = step
        self.reason = reason
        self.errno = errno
        self.call = call
        self.object = object
        self.remedy = remedy
    }

    /// A failed system call as the reason.
    package init(step: String, _ error: SyscallError) {
        self.init(
            step: step, reason: error.description, errno: error.errno, call: error.call, object: error.object)
    }

    /// Does something whose failing call becomes the reason why `step` failed.
    package static func during<Result: ~Copyable>(
        _ step: String, _ body: () throws(SyscallError) -> Result
    ) throws(LaunchError) -> Result {
        do throws(SyscallError) {
            return try body()
        } catch {
            throw LaunchError(step: step, error)
        }
    }

    /// One line.
    package var description: String { "failed to \(step): \(reason)" }
}

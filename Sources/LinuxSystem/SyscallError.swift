package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A system call that failed: which one, on what, and with which errno.
package struct SyscallError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The manual's name of the call, such as `openat`.
    package let call: String
    /// What the call acted on, for the message; usually a path.
    package let object: String?
    /// The reason as the kernel gave it.
    package let errno: Errno

    /// Records a failure that is already known.
    package init(_ call: String, _ object: String? = nil, errno: Errno) {
        self.call = call
        self.object = object
        self.errno = errno
    }

    /// Takes errno of the calling thread: only on the line after the call.
    package static func last(_ call: String, _ object: String? = nil) -> SyscallError {
        SyscallError(call, object, errno: Errno(rawValue: Glibc.errno))
    }

    /// One line: the call, its object and the reason.
    package var description: String {
        guard let object else { return "\(call): \(errno)" }
        return "\(call) `\(object)`: \(errno)"
    }
}

extension Syscall {
    /// Repeats an interrupted call, and turns a negative result into an error.
    @inline(__always)
    static func check<Result: SignedInteger & FixedWidthInteger>(
        _ call: String, _ object: @autoclosure () -> String? = nil, _ body: () -> Result
    ) throws(SyscallError) -> Result {
        while true {
            let result = body()
            if result >= 0 { return result }
            let error = Errno(rawValue: Glibc.errno)
            if error == .interrupted { continue }
            throw SyscallError(call, object(), errno: error)
        }
    }
}

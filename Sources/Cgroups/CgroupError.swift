package import SystemPackage

/// A failed operation on a control group.
package struct CgroupError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was tried, such as `make control group`.
    package let operation: String
    /// On what: usually a path.
    package let object: String
    /// Why it failed.
    package let reason: String
    /// The errno behind it, where there is one.
    package let errno: Errno?
    /// What to do, where it is known.
    package let hint: String?

    init(_ operation: String, _ object: String, reason: String, errno: Errno? = nil, hint: String? = nil) {
        self.operation = operation
        self.object = object
        self.reason = reason
        self.errno = errno
        self.hint = hint
    }

    /// One line: the operation, its object and the reason.
    package var description: String { "\(operation) `\(object)`: \(reason)" }
}

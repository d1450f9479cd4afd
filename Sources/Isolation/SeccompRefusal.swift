package import SystemPackage

/// What a refused system call is answered with, and where the reason is told.
package struct SeccompRefusal: Sendable, Hashable {
    /// Whether the supervisor hears of a refusal.
    package enum Reporting: String, Sendable, Hashable {
        /// The supervisor is told, records the call, and gives the answer.
        case notify
        /// The kernel answers at once: for probes that programs make before they fall back on something else.
        case silent
    }

    /// The error the caller sees.
    package var errno: Errno

    /// Whether the supervisor hears of it.
    package var reporting: Reporting

    /// The group that explains it.
    package var group: SeccompGroup.ID

    /// Refuses with `errno`, for the reason that `group` gives.
    package init(_ errno: Errno, _ reporting: Reporting, group: SeccompGroup.ID) {
        self.errno = errno
        self.reporting = reporting
        self.group = group
    }
}

/// What becomes of a system call.
package enum SeccompVerdict: Sendable, Hashable {
    case allow
    case refuse(SeccompRefusal)
}

import CSeccomp
import Glibc
package import Isolation

/// What libseccomp knows of system calls: a second opinion on our table, and names of calls that are newer than it.
package enum LibseccompNames {
    /// The name of `number`, or nil where this version of libseccomp has none.
    package static func name(of number: UInt32, architecture: SystemCallArchitecture) -> String? {
        guard let number = CInt(exactly: number),
            let text = unsafe seccomp_syscall_resolve_num_arch(architecture.auditToken, number)
        else { return nil }
        defer { unsafe free(text) }
        return unsafe String(cString: text)
    }

    /// The number of the call `name`, or nil where this version of libseccomp has none for `architecture`.
    package static func number(of name: String, architecture: SystemCallArchitecture) -> UInt32? {
        // Negative answers are errors, or stand for calls that only other machines have.
        UInt32(exactly: unsafe seccomp_syscall_resolve_name_arch(architecture.auditToken, name))
    }
}

package import Isolation

/// A policy that no filter can be made of.
package enum FilterCompilerError: Error, Sendable, Hashable {
    /// The policy itself is wrong.
    case policy(SeccompPolicyError)
    /// The filter would have this many instructions, more than the kernel takes.
    case tooLong(Int)
}

extension FilterCompilerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .policy(let error): error.description
        case .tooLong(let length):
            "compile seccomp filter: \(length) instructions, and the kernel takes \(FilterProgram.greatestLength)"
        }
    }

    /// What to change.
    package var hint: String? {
        switch self {
        case .policy(let error): error.hint
        case .tooLong: "use fewer conditions, or decide over whole calls"
        }
    }
}

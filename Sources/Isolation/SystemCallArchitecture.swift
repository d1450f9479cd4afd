/// A machine whose system calls a filter may name; a filter is always for one of them alone.
package enum SystemCallArchitecture: String, Sendable, Hashable, Codable, CaseIterable {
    case x86_64
    case aarch64

    /// The machine this program was built for.
    package static var native: SystemCallArchitecture {
        #if arch(arm64)
            .aarch64
        #else
            .x86_64
        #endif
    }

    /// The value that the kernel puts into the `arch` field of `struct seccomp_data` (audit(7) numbering).
    package var auditToken: UInt32 {
        switch self {
        case .x86_64: 0xC000_003E
        case .aarch64: 0xC000_00B7
        }
    }

    /// The first number of a second call table that shares the audit token, as x32 does on x86_64.
    package var secondTableStart: UInt32? {
        switch self {
        case .x86_64: 0x4000_0000
        case .aarch64: nil
        }
    }
}

package import SystemPackage

/// What a filter tells the kernel to do with a call.
package enum FilterAction: Sendable, Hashable {
    case allow
    /// The call fails with this error, without anybody being told.
    case errno(Errno)
    /// The listener of the filter is asked; without one the call fails with ENOSYS.
    case notify
    /// The process ends by SIGSYS.
    case killProcess

    /// The value that a filter returns for it (SECCOMP_RET_…).
    package var code: UInt32 {
        switch self {
        case .allow: 0x7FFF_0000
        case .errno(let errno): 0x0005_0000 | UInt32(truncatingIfNeeded: errno.rawValue) & 0xFFFF
        case .notify: 0x7FC0_0000
        case .killProcess: 0x8000_0000
        }
    }

    /// Reads the value that a filter returned; nil where it is none that this program makes.
    init?(code: UInt32) {
        switch code {
        case 0x7FFF_0000: self = .allow
        case 0x7FC0_0000: self = .notify
        case 0x8000_0000: self = .killProcess
        case 0x0005_0001...0x0005_0FFF: self = .errno(Errno(rawValue: CInt(code & 0xFFFF)))
        default: return nil
        }
    }
}

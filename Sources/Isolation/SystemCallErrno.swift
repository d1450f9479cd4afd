package import SystemPackage

/// The symbols of the error numbers that a policy may name and a report shows.
package enum SystemCallErrno {
    private static let symbols: [(symbol: String, errno: Errno)] = [
        ("EPERM", .notPermitted), ("ENOENT", .noSuchFileOrDirectory), ("ESRCH", .noSuchProcess),
        ("EINTR", .interrupted), ("EIO", .ioError), ("ENXIO", .noSuchAddressOrDevice),
        ("EBADF", .badFileDescriptor), ("EAGAIN", .resourceTemporarilyUnavailable), ("ENOMEM", .noMemory),
        ("EACCES", .permissionDenied), ("EFAULT", .badAddress), ("EBUSY", .resourceBusy),
        ("EEXIST", .fileExists), ("EXDEV", .improperLink), ("ENODEV", .operationNotSupportedByDevice),
        ("EINVAL", .invalidArgument), ("EMFILE", .tooManyOpenFiles), ("ENOTTY", .inappropriateIOCTLForDevice),
        ("ENOSPC", .noSpace), ("EROFS", .readOnlyFileSystem), ("ENOLCK", .noLocks), ("ENOSYS", .noFunction),
        ("ELOOP", .tooManySymbolicLinkLevels), ("ENOPROTOOPT", .protocolNotAvailable),
        ("EPROTONOSUPPORT", .protocolNotSupported), ("ESOCKTNOSUPPORT", .socketTypeNotSupported),
        ("EOPNOTSUPP", .notSupportedOnSocket), ("EPFNOSUPPORT", .protocolFamilyNotSupported),
        ("EAFNOSUPPORT", .addressFamilyNotSupported), ("ENETUNREACH", .networkUnreachable),
        ("ECONNREFUSED", .connectionRefused), ("EHOSTUNREACH", .noRouteToHost),
    ]

    /// The symbol of `errno`, as in `EPERM`; one that has none here is shown as its number.
    package static func symbol(of errno: Errno) -> String {
        symbols.first { $0.errno == errno }?.symbol ?? "errno \(errno.rawValue)"
    }

    /// The error number that `symbol` names, or nil where it is none that a policy may use.
    package static func errno(named symbol: String) -> Errno? {
        symbols.first { $0.symbol == symbol }?.errno
    }

    /// Every symbol that a policy may use.
    package static var allSymbols: [String] { symbols.map(\.symbol) }
}

import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// What a process takes over from whoever started it, and no sandbox may depend on.
enum CallerSettings {
    /// Leaves it behind, for this process and all that it starts.
    ///
    /// To be called as long as it has the caller's rights.
    static func leave() {
        // The caller's own would close to the command what is made for it.
        umask(0o022)
        // Control groups refuse processes of a real-time class. What stays as it was is told by the step that it hinders.
        try? Syscall.leaveRealTime()
        try? Syscall.leaveRaisedPriority()
        _ = forbidCoreHandlers()
    }

    /// Makes it possible to limit core files to 1 byte, which alone keeps the host's handlers behind a pipe from being
    /// started (core(5)); tells whether it is.
    ///
    /// A hard limit of 0, as hardened hosts and services have it, keeps only files from being written.
    static func forbidCoreHandlers() -> Bool {
        let limit = Int32(RLIMIT_CORE.rawValue)
        if Syscall.hardLimit(of: limit) > 0 { return true }
        return (try? Syscall.setLimit(limit, 1)) != nil
    }
}

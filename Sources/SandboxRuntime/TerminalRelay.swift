import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// Makes the caller's terminal the screen and keyboard of the sandbox's own terminal.
///
/// Keys go through as they are, so the line discipline inside makes signals of them, for the process group that is in
/// the foreground there.
final class TerminalRelay {
    private let mode: TerminalMode
    private var inside: CInt?

    /// Remembers how the caller's terminal, standard input, behaves.
    init() throws(SyscallError) { mode = try TerminalMode(of: 0) }

    /// Takes the near side of the sandbox's terminal, lent as long as the sandbox runs.
    func start(_ inside: CInt) throws(SyscallError) {
        self.inside = inside
        try passSize()
        try mode.raw.apply(to: 0)
    }

    /// Tells the inside how large the caller's terminal is now.
    func passSize() throws(SyscallError) {
        guard let inside else { return }
        try Syscall.setWindowSize(inside, Syscall.windowSize(0))
    }

    /// Gives the caller the terminal back as it was.
    func restore() {
        // A terminal that has gone needs nothing any more.
        try? mode.apply(to: 0)
    }
}

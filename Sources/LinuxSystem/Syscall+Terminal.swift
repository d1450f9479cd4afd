import CLinux
import Glibc
import SystemPackage

extension Syscall {
    /// isatty(3): whether the descriptor is a terminal; false for every failure.
    package static func isTerminal(_ descriptor: CInt) -> Bool {
        Glibc.isatty(descriptor) == 1
    }

    /// ioctl_tty(2), TIOCGWINSZ: the size of a terminal, of which either part may be 0 when it is not known.
    package static func windowSize(_ descriptor: CInt) throws(SyscallError) -> WindowSize {
        var size = winsize()
        _ = try check("ioctl TIOCGWINSZ") { CLinux_ioctl(descriptor, UInt(TIOCGWINSZ), &size) }
        return WindowSize(columns: Int(size.ws_col), rows: Int(size.ws_row))
    }

    /// ioctl_tty(2), TIOCSWINSZ: tells a terminal its size; its foreground processes get SIGWINCH.
    package static func setWindowSize(_ descriptor: CInt, _ size: WindowSize) throws(SyscallError) {
        var raw = winsize()
        raw.ws_col = UInt16(clamping: size.columns)
        raw.ws_row = UInt16(clamping: size.rows)
        _ = try check("ioctl TIOCSWINSZ") { CLinux_ioctl(descriptor, UInt(TIOCSWINSZ), &raw) }
    }

    /// Opens the terminal that controls this process; fails with ENXIO where there is none (tty(4)).
    package static func openControllingTerminal() throws(SyscallError) -> OwnedFileDescriptor {
        try open("/dev/tty", O_RDWR | O_NOCTTY)
    }

    /// A new pseudo-terminal (pty(7)), whose near end is what a terminal's user types into and looks at.
    ///
    /// The far end comes from the near one itself (TIOCGPTPEER), whatever is mounted on `/dev/pts`.
    package static func openPseudoTerminal() throws(SyscallError) -> PseudoTerminal {
        // _IOW('T', 0x31, int) and _IO('T', 0x41): Swift does not see macros that compute.
        let (setLock, getPeer): (UInt, UInt) = (0x4004_5431, 0x5441)
        let near = try open("/dev/ptmx", O_RDWR | O_NOCTTY)
        var lock: CInt = 0
        _ = try check("ioctl TIOCSPTLCK") { CLinux_ioctl(near.number, setLock, &lock) }
        let flags = UnsafeMutableRawPointer(bitPattern: Int(O_RDWR | O_NOCTTY | O_CLOEXEC))
        let far = try check("ioctl TIOCGPTPEER") { CLinux_ioctl(near.number, getPeer, flags) }
        return PseudoTerminal(near: near, far: OwnedFileDescriptor(adopting: far))
    }

    /// write(2) until all bytes are out, waiting also on a descriptor that somebody else made non-blocking.
    ///
    /// A terminal is shared by everyone who has it open, and so is its O_NONBLOCK.
    package static func writeWaiting(_ descriptor: CInt, _ bytes: [UInt8]) throws(SyscallError) {
        var offset = 0
        while offset < bytes.count {
            let start = offset
            do throws(SyscallError) {
                offset += try check("write") {
                    bytes.withUnsafeBytes { buffer in
                        Glibc.write(descriptor, buffer.baseAddress?.advanced(by: start), buffer.count - start)
                    }
                }
            } catch  where error.errno == .wouldBlock {
                var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = try check("poll") { Glibc.poll(&waiting, 1, -1) }
            }
        }
    }
}

extension SyscallError {
    /// Whether the reader of a pipe or socket is gone, which ends output quietly.
    package var isBrokenPipe: Bool { errno == .brokenPipe }
}

/// The two ends of a pseudo-terminal.
package struct PseudoTerminal: ~Copyable {
    /// The end of the one who types and looks.
    package var near: OwnedFileDescriptor
    /// The end of the program, to which it is a terminal.
    package var far: OwnedFileDescriptor
}

/// The size of a terminal in character cells.
package struct WindowSize: Sendable, Hashable {
    /// Cells in a line.
    package let columns: Int
    /// Lines.
    package let rows: Int

    /// A size that is already known.
    package init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }
}

/// How a terminal treats its input and output (termios(3)), as a value that can be put back later.
package struct TerminalMode: Sendable {
    private var settings = termios()

    /// Reads the present mode of a terminal (tcgetattr(3)).
    package init(of descriptor: CInt) throws(SyscallError) {
        var settings = termios()
        _ = try Syscall.check("tcgetattr") { Glibc.tcgetattr(descriptor, &settings) }
        self.settings = settings
    }

    /// The same terminal with every byte passed on as it is: no echo, no lines, no signals from keys (cfmakeraw(3)).
    package var raw: TerminalMode {
        var copy = self
        Glibc.cfmakeraw(&copy.settings)
        return copy
    }

    /// The same terminal not showing what is typed, but for the ends of lines that the program writes itself.
    package var silent: TerminalMode {
        var copy = self
        copy.settings.c_lflag &= ~tcflag_t(ECHO)
        return copy
    }

    /// Whether the terminal shows what is typed.
    package var echoes: Bool { settings.c_lflag & tcflag_t(ECHO) != 0 }

    /// Puts this mode in force once what was written before is out (tcsetattr(3), TCSADRAIN).
    package func apply(to descriptor: CInt) throws(SyscallError) {
        var settings = settings
        _ = try Syscall.check("tcsetattr") { Glibc.tcsetattr(descriptor, TCSADRAIN, &settings) }
    }
}

import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// The service manager that has started this process, as sd_notify(3) and sd_watchdog_enabled(3) define it.
package struct ServiceManager: Sendable {
    private let socket: [UInt8]?
    /// How often it wants to hear of this process, in seconds; nil when it does not.
    package let interval: Double?

    /// Reads what it has told in the environment, and takes that away from the programs that this process will start.
    package static func fromEnvironment() -> ServiceManager {
        func take(_ name: String) -> String? {
            defer { unsetenv(name) }
            return getenv(name).map { String(cString: $0) }
        }
        let socket = take("NOTIFY_SOCKET")
        let microseconds = take("WATCHDOG_USEC").flatMap(Double.init)
        let process = take("WATCHDOG_PID").flatMap { Int32($0) }
        let isMeant = process == nil || process == getpid()
        return ServiceManager(
            socket: socket, interval: isMeant ? microseconds.flatMap { $0 > 0 ? $0 / 2e6 : nil } : nil)
    }

    /// A manager that listens at a path, or at an abstract name that begins with `@`; nil is none.
    package init(socket: String?, interval: Double?) {
        self.interval = interval
        var name = socket.map { Array($0.utf8) }
        if name?.first == UInt8(ascii: "@") { name?[0] = 0 }
        self.socket = name?.first == 0 || name?.first == UInt8(ascii: "/") ? name : nil
    }

    /// Tells the manager; one that does not listen is not missed.
    package func tell(_ state: String) {
        guard let socket else { return }
        try? Syscall.sendDatagram(Array(state.utf8), to: socket)
    }
}

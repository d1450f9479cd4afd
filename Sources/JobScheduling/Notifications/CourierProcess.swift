import Isolation
import JobStorage
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The process that delivers a store's notifications, from the side of those who make them: started when one is due, and
/// ended with its starter.
package final class CourierProcess {
    private static let pause = 1.0

    private final class Child {
        let handle: ProcessHandle

        init(_ handle: consuming ProcessHandle) { self.handle = handle }
    }

    private let store: Store
    private var child: Child?
    private var lastStart = -CourierProcess.pause

    /// Starts none yet.
    package init(_ store: Store) { self.store = store }

    /// Starts it when something is due and it does not run already; costs a look at an index.
    ///
    /// Whatever fails here is tried again at the next call: runs do not depend on it.
    package func look() {
        if let child {
            guard (try? child.handle.wait(block: false)) != nil else { return }
            self.child = nil
        }
        let now = Syscall.monotonicSeconds()
        guard lastStart + Self.pause <= now,
            let due = try? store.database.nextNotificationTime(), due.seconds <= Syscall.wallClockSeconds()
        else { return }
        lastStart = now
        child = try? Self.start(store.path)
    }

    private static func start(_ store: FilePath) throws(SyscallError) -> Child {
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let number = try HostProcess.spawn(own, ["cloche", "notify", "deliver", String(getpid()), store.string])
        return Child(try ProcessHandle(opening: number))
    }

    /// Lets it deliver what is due, and waits for that for so many seconds at most; gives how much still waits.
    package func flush(within seconds: Double) -> Int {
        let deadline = Syscall.monotonicSeconds() + seconds
        while Syscall.monotonicSeconds() < deadline {
            lastStart = -Self.pause
            look()
            if child == nil { break }
            wait(until: deadline)
        }
        end()
        return ((try? store.database.waitingNotifications()) ?? [:]).values.reduce(0, +)
    }

    /// Waits for its end, where it runs, until that time of the monotonic clock.
    func wait(until deadline: Double) {
        while let child, Syscall.monotonicSeconds() < deadline {
            let left = max(0, deadline - Syscall.monotonicSeconds())
            guard let ready = try? Syscall.poll([child.handle.number], milliseconds: CInt(left * 1000 + 1)),
                !ready.isEmpty
            else { continue }
            _ = try? child.handle.wait()
            self.child = nil
        }
    }

    /// Ends it; what it was delivering is delivered again.
    package func end() {
        guard let child else { return }
        try? child.handle.signal(SIGKILL)
        _ = try? child.handle.wait()
        self.child = nil
    }
}

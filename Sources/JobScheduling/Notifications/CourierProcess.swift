import Isolation
import JobStorage
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The processes that deliver a store's notifications, from the side of those who make them: one for each notifier to whom
/// something is due, some at once, and ended with their starter.
package final class CourierProcess {
    private static let pause = 1.0
    /// A notifier that answers slowly holds up those beyond these, and no others.
    private static let mostAtOnce = 8

    private final class Child {
        let handle: ProcessHandle

        init(_ handle: consuming ProcessHandle) { self.handle = handle }
    }

    private let store: Store
    /// By the name of the notifier.
    private var children: [String: Child] = [:]
    private var lastStart = -CourierProcess.pause

    /// Starts none yet.
    package init(_ store: Store) { self.store = store }

    /// Starts them where something is due and they do not run already; costs a look at an index.
    ///
    /// Whatever fails here is tried again at the next call: runs do not depend on it.
    package func look() {
        for (notifier, child) in children where (try? child.handle.wait(block: false)) != nil {
            children[notifier] = nil
        }
        let now = Syscall.monotonicSeconds()
        guard children.count < Self.mostAtOnce, lastStart + Self.pause <= now,
            let due = try? store.database.nextNotificationTime(), due.seconds <= Syscall.wallClockSeconds(),
            let notifiers = try? store.database.dueNotifiers(at: JobEngine.now())
        else { return }
        lastStart = now
        for notifier in notifiers.filter({ children[$0] == nil }).prefix(Self.mostAtOnce - children.count) {
            children[notifier] = try? Self.start(store.path, notifier)
        }
    }

    private static func start(_ store: FilePath, _ notifier: String) throws(SyscallError) -> Child {
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let number = try HostProcess.spawn(
            own, ["cloche", "notify", "deliver", String(getpid()), store.string, notifier])
        return Child(try ProcessHandle(opening: number))
    }

    /// Lets them deliver what is due, and waits for that for so many seconds at most; gives how much still waits.
    package func flush(within seconds: Double) -> Int {
        let deadline = Syscall.monotonicSeconds() + seconds
        while Syscall.monotonicSeconds() < deadline {
            lastStart = -Self.pause
            look()
            if children.isEmpty { break }
            waitForOne(until: deadline)
        }
        end()
        return ((try? store.database.waitingNotifications()) ?? [:]).values.reduce(0, +)
    }

    /// Waits for the end of all that run, until that time of the monotonic clock.
    func wait(until deadline: Double) {
        while !children.isEmpty, Syscall.monotonicSeconds() < deadline { waitForOne(until: deadline) }
    }

    private func waitForOne(until deadline: Double) {
        let left = max(0, deadline - Syscall.monotonicSeconds())
        let numbers = children.values.map { $0.handle.number }
        // A wait that is cut short is begun again by whoever has time left.
        guard let ready = try? Syscall.poll(numbers, milliseconds: CInt(left * 1000 + 1)) else { return }
        for (notifier, child) in children where ready.contains(where: { $0.number == child.handle.number }) {
            _ = try? child.handle.wait()
            children[notifier] = nil
        }
    }

    /// Ends them; what they were delivering is delivered again.
    package func end() {
        for child in children.values {
            // It is ours and not yet reaped, so this cannot fail but by its having ended.
            try? child.handle.signal(SIGKILL)
            _ = try? child.handle.wait()
        }
        children = [:]
    }
}

/// One thread's waiting: descriptors that become readable, and points in time.
///
/// For a supervisor's single thread; it is not handed to others.
package final class EventLoop {
    private var readers: [CInt: Watch] = [:]
    private var writers: [CInt: Watch] = [:]
    private var watches = 0
    private var timers: [Int: (time: Double, action: () -> Void)] = [:]
    private var nextTimer = 0
    private var stopped = false

    /// An empty loop.
    package init() {}

    /// Calls `action` whenever `descriptor` is readable or its other end is gone.
    package func watch(_ descriptor: CInt, _ action: @escaping () -> Void) { readers[descriptor] = watch(action) }

    /// Forgets a descriptor; to be called before it is closed.
    package func unwatch(_ descriptor: CInt) { readers[descriptor] = nil }

    /// Calls `action` whenever `descriptor` takes bytes.
    package func watchWriting(_ descriptor: CInt, _ action: @escaping () -> Void) {
        writers[descriptor] = watch(action)
    }

    /// Forgets a descriptor of `watchWriting`.
    package func unwatchWriting(_ descriptor: CInt) { writers[descriptor] = nil }

    /// Calls `action` once, `seconds` from now; the number cancels it.
    @discardableResult
    package func after(_ seconds: Double, _ action: @escaping () -> Void) -> Int {
        nextTimer += 1
        timers[nextTimer] = (Syscall.monotonicSeconds() + seconds, action)
        return nextTimer
    }

    /// Forgets a timer; one that has fired already is no error.
    package func cancelTimer(_ number: Int?) {
        if let number { timers[number] = nil }
    }

    /// Ends `run` after the present action.
    package func stop() { stopped = true }

    /// Waits and calls until `stop`.
    package func run() throws(SyscallError) {
        stopped = false
        while !stopped {
            let ready = try Syscall.poll(Array(readers.keys), writable: Array(writers.keys), milliseconds: timeout())
            let known = watches
            for descriptor in ready where !stopped {
                // An action may have taken the descriptor away from a later one, or given its number to another file.
                guard let watch = (descriptor.writing ? writers : readers)[descriptor.number], watch.number <= known
                else { continue }
                watch.action()
            }
            fireTimers()
        }
    }

    private typealias Watch = (number: Int, action: () -> Void)

    private func watch(_ action: @escaping () -> Void) -> Watch {
        watches += 1
        return (watches, action)
    }

    private func timeout() -> Int32 {
        guard let next = timers.values.map(\.time).min() else { return -1 }
        return Int32(max(0, min((next - Syscall.monotonicSeconds()) * 1000, 3_600_000)).rounded(.up))
    }

    private func fireTimers() {
        let now = Syscall.monotonicSeconds()
        for (number, timer) in timers.filter({ $0.value.time <= now }).sorted(by: { $0.value.time < $1.value.time })
        where timers.removeValue(forKey: number) != nil {
            timer.action()
        }
    }
}

import CLinux
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A system call that a filter refused and that waits for its answer (seccomp_unotify(2)).
package struct RefusedCall: Sendable, Hashable {
    /// The kernel's number of this notification.
    package let identity: UInt64
    /// The calling thread, as the receiver sees it.
    package let process: UInt32
    /// Number of the call, and the architecture that it was made under.
    package let number: UInt32, architecture: UInt32
    /// The six arguments as registers.
    package let arguments: [UInt64]
}

extension Syscall {
    /// signalfd(2), non-blocking; the signals become blocked in this thread.
    package static func signalDescriptor(_ signals: [CInt]) throws(SyscallError) -> OwnedFileDescriptor {
        OwnedFileDescriptor(adopting: try check("signalfd") { CLinux_signalfd(signals, CInt(signals.count)) })
    }

    /// The next signal waiting at a signalfd.
    package static func nextSignal(_ descriptor: CInt) -> CInt? {
        nextSignalWithOrigin(descriptor)?.signal
    }

    /// The next signal waiting at a signalfd, and whether a process sent it rather than the kernel.
    package static func nextSignalWithOrigin(_ descriptor: CInt) -> (signal: CInt, sent: Bool)? {
        var sent: CInt = 0
        let signal = CLinux_next_signal(descriptor, &sent)
        return signal > 0 ? (signal, sent != 0) : nil
    }

    /// Takes the next refused call from a listener; nil when the caller of it has meanwhile gone.
    package static func receiveRefusedCall(_ listener: CInt) throws(SyscallError) -> RefusedCall? {
        var identity: UInt64 = 0
        var process: UInt32 = 0
        var number: UInt32 = 0
        var architecture: UInt32 = 0
        var arguments = [UInt64](repeating: 0, count: 6)
        do throws(SyscallError) {
            _ = try check("seccomp receive") {
                CLinux_seccomp_receive(listener, &identity, &process, &number, &architecture, &arguments)
            }
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        }
        return RefusedCall(
            identity: identity, process: process, number: number, architecture: architecture, arguments: arguments)
    }

    /// Lets a refused call fail with `error`; that its caller has gone is no failure.
    package static func refuse(_ call: RefusedCall, at listener: CInt, _ error: Errno) throws(SyscallError) {
        do throws(SyscallError) {
            _ = try check("seccomp answer") { CLinux_seccomp_refuse(listener, call.identity, error.rawValue) }
        } catch  where error.errno == .noSuchFileOrDirectory {}
    }

    /// Lets a call that waits be carried out after all (SECCOMP_USER_NOTIF_FLAG_CONTINUE); that its caller has gone is
    /// no failure.
    ///
    /// The registers are those that were shown; what they point to may have changed meanwhile.
    package static func letContinue(_ call: RefusedCall, at listener: CInt) throws(SyscallError) {
        do throws(SyscallError) {
            _ = try check("seccomp answer") { CLinux_seccomp_continue(listener, call.identity) }
        } catch  where error.errno == .noSuchFileOrDirectory {}
    }

    /// Answers a sysinfo(2) that waits: the host with nothing to do and this many bytes of memory, nil for its own; that its
    /// caller has gone is no failure.
    ///
    /// `memory` is the file of procfs of the caller's memory. False where that cannot be opened: the call still waits.
    package static func answerSystemInformation(
        _ call: RefusedCall, at listener: CInt, memory: FilePath, bytes: Int64?
    ) throws(SyscallError) -> Bool {
        guard let opened = try? open(memory, O_WRONLY) else { return false }
        do throws(SyscallError) {
            _ = try check("seccomp answer") {
                CLinux_seccomp_answer_sysinfo(
                    listener, call.identity, opened.number, call.arguments[0], UInt64(bytes ?? 0))
            }
        } catch  where error.errno == .noSuchFileOrDirectory {}
        return true
    }

    /// poll(2): waits until a descriptor is ready; a negative time-out waits for ever.
    ///
    /// Returns the ready ones.
    package static func poll(_ descriptors: [CInt], writable: [CInt] = [], milliseconds: Int32) throws(SyscallError)
        -> [ReadyDescriptor]
    {
        // Not an array: the first one of a type of C costs a supervisor a tenth of a millisecond.
        try withUnsafeTemporaryAllocation(of: pollfd.self, capacity: descriptors.count + writable.count) {
            polls throws(SyscallError) -> [ReadyDescriptor] in
            for (index, descriptor) in descriptors.enumerated() {
                polls.initializeElement(at: index, to: pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
            }
            for (index, descriptor) in writable.enumerated() {
                let entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                polls.initializeElement(at: descriptors.count + index, to: entry)
            }
            // An interruption is reported as nothing ready, so that the caller looks at its clock again.
            guard Glibc.poll(polls.baseAddress, nfds_t(polls.count), milliseconds) >= 0 else {
                let error = SyscallError.last("poll")
                if error.errno == .interrupted { return [] }
                throw error
            }
            var ready: [ReadyDescriptor] = []
            for (index, entry) in polls.enumerated() where entry.revents != 0 {
                ready.append(ReadyDescriptor(number: entry.fd, writing: index >= descriptors.count))
            }
            return ready
        }
    }

    /// Whether the other end of a descriptor is gone (POLLHUP of poll(2)).
    package static func isHungUp(_ descriptor: CInt) throws(SyscallError) -> Bool {
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        _ = try check("poll") { Glibc.poll(&entry, 1, 0) }
        return entry.revents & Int16(POLLHUP) != 0
    }

    /// clock_gettime(2), CLOCK_MONOTONIC, in seconds.
    package static func monotonicSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// clock_gettime(2), CLOCK_BOOTTIME, in seconds.
    package static func secondsSinceBoot() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// clock_gettime(2), CLOCK_REALTIME, in seconds since 1970.
    package static func wallClockSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// A descriptor that poll(2) reported.
package struct ReadyDescriptor: Sendable, Hashable {
    /// Its number.
    package let number: CInt
    /// Whether it was waited for in order to write.
    package let writing: Bool
}

import Isolation
package import LinuxSystem
import Runs
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A supervisor from the engine's side: its process, its events, and the line on which it listens.
package struct SupervisorProcess: ~Copyable {
    /// The keeper's process; it ends when the run has its verdict and nothing of the run is left.
    package let process: ProcessHandle
    /// Lines of events as they are recorded.
    package let events: OwnedFileDescriptor
    private let lifeline: OwnedFileDescriptor

    /// Starts a supervisor for the run in a directory.
    ///
    /// When the caller ends, the run is interrupted.
    package static func start(_ run: FilePath) throws(SyscallError) -> SupervisorProcess {
        let events = try Syscall.pipe()
        let lifeline = try Syscall.pipe()
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let program = own.removingLastComponent().appending("cloche-supervisor")
        let process = try HostProcess.spawn(
            program, ["cloche-supervisor", "run", run.string],
            descriptors: [(lifeline.reading.number, 3), (events.writing.number, 4)])
        let reading = events.takeReading()
        try Syscall.fcntl(reading.number, F_SETFL, Int(O_NONBLOCK))
        return SupervisorProcess(
            process: try ProcessHandle(opening: process), events: reading, lifeline: lifeline.takeWriting())
    }

    /// Asks the supervisor to end the run: its commands get a few seconds, or none when `force` is set.
    package borrowing func cancel(force: Bool) {
        // A supervisor that has ended meanwhile needs no asking.
        try? Syscall.writeAll(lifeline.number, Array((force ? "k" : "c").utf8))
    }

    /// Asks the supervisor to give the run up: it will be pending again.
    package borrowing func interrupt() {
        // As for `cancel`: one that has ended needs no asking.
        try? Syscall.writeAll(lifeline.number, Array("i".utf8))
    }
}

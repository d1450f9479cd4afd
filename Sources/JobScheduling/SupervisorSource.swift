import LinuxSystem
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A supervisor that has been started, and the engine's ends of its pipes.
struct StartedSupervisor: ~Copyable {
    let process: ProcessHandle
    /// Where its events come from.
    let events: OwnedFileDescriptor
    /// What it gets orders by.
    let lifeline: OwnedFileDescriptor
}

/// Starts the supervisors of an engine.
///
/// The first comes from the program's file: it may be the only one. All others are forks of a template.
final class SupervisorSource {
    private var template: SupervisorTemplate?
    private var isFirst = true

    /// The program `cloche-supervisor`, beside the running one.
    static func program() throws(SyscallError) -> FilePath {
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        return own.removingLastComponent().appending("cloche-supervisor")
    }

    /// Starts a supervisor with the lock of its attempt and the values of its secrets.
    func start(_ request: SupervisorRequest, lock: CInt, values: CInt) throws(SyscallError) -> StartedSupervisor {
        defer { isFirst = false }
        if isFirst { return try execute(request, lock, values) }
        // Somebody may have killed it.
        for _ in 0..<2 {
            let template = if let known = template { known } else { try SupervisorTemplate() }
            self.template = template
            if let started = try fork(request, lock, values, template) { return started }
            self.template = nil
        }
        return try execute(request, lock, values)
    }

    /// Lets go of what only serves the start of supervisors: none may be needed for long.
    func rest() { template = nil }

    private func execute(
        _ request: SupervisorRequest, _ lock: CInt, _ values: CInt
    ) throws(SyscallError) -> StartedSupervisor {
        let events = try Syscall.pipe()
        let lifeline = try Syscall.pipe()
        let descriptors = [lifeline.reading.number, events.writing.number, lock, values]
        let number = try HostProcess.spawn(
            try Self.program(), ["cloche-supervisor"] + request.words,
            descriptors: zip(descriptors, SupervisorRequest.descriptors).map { (here: $0, there: $1) },
            ownSession: request.outlivesEngine)
        return try Self.started(try ProcessHandle(opening: number), events.takeReading(), lifeline.takeWriting())
    }

    /// With pipes of its own: a fork of which the template could not tell any more hears nothing on them, and ends.
    private func fork(
        _ request: SupervisorRequest, _ lock: CInt, _ values: CInt, _ template: SupervisorTemplate
    ) throws(SyscallError) -> StartedSupervisor? {
        let events = try Syscall.pipe()
        let lifeline = try Syscall.pipe()
        guard
            let process = try template.fork(
                request, [lifeline.reading.number, events.writing.number, lock, values])
        else { return nil }
        // One that has been killed already is seen to have ended.
        try? Syscall.writeAll(lifeline.writing.number, [SupervisorRequest.begin])
        return try Self.started(process, events.takeReading(), lifeline.takeWriting())
    }

    private static func started(
        _ process: consuming ProcessHandle, _ events: consuming OwnedFileDescriptor,
        _ lifeline: consuming OwnedFileDescriptor
    ) throws(SyscallError) -> StartedSupervisor {
        try Syscall.fcntl(events.number, F_SETFL, Int(O_NONBLOCK))
        return StartedSupervisor(process: process, events: events, lifeline: lifeline)
    }
}

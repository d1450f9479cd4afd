import LinuxSystem
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The process from which the supervisors of an engine are forked.
///
/// A start from the program's file does anew what a fork has from its template. Nothing of a run depends on this process
/// once the run's supervisor has been started.
final class SupervisorTemplate {
    private let process: ProcessHandle
    private let socket: OwnedFileDescriptor
    /// What a host under load may need for a fork; one that is stopped must not stop the engine.
    private static let patience: Int32 = 10_000

    init() throws(SyscallError) {
        let pair = try Syscall.packetSocketPair()
        let number = try HostProcess.spawn(
            try SupervisorSource.program(),
            ["cloche-supervisor", "template", String(repeating: " ", count: SupervisorMain.longestTitle)],
            descriptors: [(pair.second.number, SupervisorMain.requests)])
        process = try ProcessHandle(opening: number)
        socket = pair.takeFirst()
    }

    deinit {
        // It is not at work, and has nothing to lose.
        try? process.signal(SIGKILL)
        _ = try? process.wait()
    }

    /// Starts a supervisor; nil when this process does not answer any more.
    ///
    /// `descriptors` are what it finds at those of `SupervisorRequest`. It begins when it is told so.
    func fork(_ request: SupervisorRequest, _ descriptors: [CInt]) throws(SyscallError) -> ProcessHandle? {
        do throws(SyscallError) {
            try Syscall.send(socket.number, request.bytes, descriptors: descriptors)
        } catch  where error.errno == .brokenPipe || error.errno == .connectionReset {
            return nil
        }
        guard let ready = try? Syscall.poll([socket.number], milliseconds: Self.patience), !ready.isEmpty,
            let packet = try? Syscall.receive(socket.number, upTo: 64), let answer = SupervisorAnswer(packet.bytes)
        else { return nil }
        // A child of this process: its number is its own until it is waited for.
        return try ProcessHandle(opening: try answer.result.get())
    }
}

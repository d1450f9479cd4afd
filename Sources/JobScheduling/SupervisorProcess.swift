import Isolation
import LinuxSystem
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A supervisor from the engine's side: what it tells, and how it is asked to end its run.
protocol Supervisor: AnyObject {
    /// Ready when the supervisor has ended, and nothing of the run is left.
    var end: CInt { get }
    /// Ready when there are events to read; nil where nothing tells of them.
    var news: CInt? { get }
    /// The next bytes of its lines of events; empty when there are none, nil when there will be none.
    func nextBytes() -> [UInt8]?
    /// How it ended; nil while it goes on.
    func outcome() -> String?
    /// Passes an order on; a supervisor that has ended needs none.
    func order(_ order: SupervisorOrder)
}

/// A supervisor that this process has started.
final class SupervisorProcess: Supervisor {
    private let started: StartedSupervisor

    /// Starts a supervisor for an attempt that has been claimed.
    ///
    /// When this process ends, the run is interrupted, unless it `outlives` this process.
    init(
        _ run: RunDirectory, _ claim: borrowing AttemptClaim, outlives: Bool, secrets: SecretValues,
        from source: SupervisorSource
    ) throws(SyscallError) {
        let values = try secrets.memory()
        started = try source.start(
            SupervisorRequest(run.path, attempt: claim.number, outlivesEngine: outlives), lock: claim.lock.number,
            values: values.number)
    }

    var end: CInt { started.process.number }
    var news: CInt? { started.events.number }

    func nextBytes() -> [UInt8]? {
        do throws(SyscallError) {
            let bytes = try Syscall.read(started.events.number, upTo: 65536)
            return bytes.isEmpty ? nil : bytes
        } catch {
            return error.errno == .resourceTemporarilyUnavailable ? [] : nil
        }
    }

    func outcome() -> String? {
        guard let result = try? started.process.wait(block: false) else { return nil }
        return "\(result.end)"
    }

    func order(_ order: SupervisorOrder) { try? Syscall.writeAll(started.lifeline.number, order.bytes) }
}

/// A supervisor that an engine has left which has ended.
final class AdoptedSupervisor: Supervisor {
    private let attempt: AttemptDirectory
    private let control: OwnedFileDescriptor
    private var offset: Int64 = 0

    /// Finds the supervisor of an attempt; nil where none lives.
    init?(_ attempt: AttemptDirectory) {
        guard let control = attempt.openControl() else { return nil }
        self.attempt = attempt
        self.control = control
    }

    var end: CInt { control.number }
    var news: CInt? { nil }

    func nextBytes() -> [UInt8]? {
        let bytes = attempt.eventBytes(from: offset, upTo: 65536)
        offset += Int64(bytes.count)
        return bytes
    }

    func outcome() -> String? {
        // A pipe that nobody reads any more is in error.
        guard let ready = try? Syscall.poll([control.number], milliseconds: 0), !ready.isEmpty else { return nil }
        return "ended after the engine that had started it"
    }

    func order(_ order: SupervisorOrder) { try? Syscall.writeAll(control.number, order.bytes) }
}

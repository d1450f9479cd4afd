import Isolation
import JobScheduling
import LinuxSystem
import PlainText
import Runs
import SandboxRuntime
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// A command that is run in a sandbox by a supervisor of its own, and what was recorded of it.
///
/// A process that becomes the supervisor itself sees the host's files no more, and could write no document.
struct RecordedCommand {
    private let request: OneSandbox
    private let store: SandboxStore
    private let context: CommandContext

    private static let most = 16 << 20

    init(_ request: OneSandbox, _ store: SandboxStore, _ context: CommandContext) {
        self.request = request
        self.store = store
        self.context = context
    }

    /// Runs it to its end.
    ///
    /// Its output goes to standard error: standard output is for the document.
    func run() throws -> RecordedSandbox {
        let name = request.name
        for warning in try store.register(sandbox: name) { context.say("warning: \(printable(warning))") }
        let signals = try Syscall.signalDescriptor([SIGINT, SIGTERM, SIGHUP])
        let report = try Syscall.pipe()
        let process = try start(report.writing.number)
        let reading = report.takeReading()
        var bytes: [UInt8] = []
        reading: while true {
            for ready in try Syscall.poll([signals.number, reading.number], milliseconds: -1) {
                guard ready.number == reading.number else {
                    // It ends the command, and then itself.
                    while let signal = Syscall.nextSignal(signals.number) { try? process.signal(signal) }
                    continue
                }
                let more = try Syscall.read(reading.number, upTo: 65536)
                bytes += more
                if more.isEmpty || bytes.count > Self.most { break reading }
            }
        }
        let end = try process.wait()?.end
        store.abandon(sandbox: name)
        guard let recorded = JSONFile.decode(RecordedSandbox.self, bytes) else {
            let code: Int32 = if case .exited(let status)? = end { status } else { 125 }
            throw CommandFailure(
                .sandboxSetup, "record the command: its sandbox ended with \(code) and without a report",
                hint: "what was the matter is told above; try `cloche exec` with the same policy")
        }
        return recorded
    }

    private func start(_ report: CInt) throws -> ProcessHandle {
        let memory = try Syscall.sealedMemory(
            name: "request", bytes: JSONFile.encode(request) ?? [], executable: false)
        _ = lseek(memory.number, 0, SEEK_SET)
        var descriptors: [(here: CInt, there: CInt)] = [
            (memory.number, SupervisorMain.requestDescriptor), (report, SupervisorMain.recordingDescriptor), (2, 1),
            (2, 2),
        ]
        // A supervisor in the background may not read from a terminal.
        if !Syscall.isTerminal(0) { descriptors.append((0, 0)) }
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let number = try HostProcess.spawn(
            own.removingLastComponent().appending("cloche-supervisor"), ["cloche-supervisor", "command"],
            descriptors: descriptors)
        return try ProcessHandle(opening: number)
    }
}

import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The standard streams of a single command: pipes, or a terminal of the sandbox, tied to the caller's own.
final class SandboxStreams {
    /// Numbers lent to the launch: standard input, output, error.
    let inside: [CInt]
    /// What is read from until it ends.
    private(set) var outputs: [CInt] = []
    private let loop: EventLoop
    private let relay: OutputRelay
    /// Ends that are the command's, closed here once it has them.
    private var lent: [OwnedEnd] = []
    private var input: OwnedEnd?

    /// Prepares the streams; those in `terminal` will come from the sandbox.
    init(_ terminal: StandardStreams, loop: EventLoop) throws(LaunchError) {
        self.loop = loop
        let relay = OutputRelay(loop: loop)
        var outputs: [CInt] = [], lent: [OwnedEnd] = []
        var inside: [CInt] = []
        if terminal.contains(.input) {
            lent.append(try Self.null())
        } else {
            let pipe = try Self.pipe()
            lent.append(OwnedEnd(pipe.reading))
            input = OwnedEnd(pipe.writing)
        }
        for (stream, number) in [(StandardStreams.output, CInt(1)), (.errors, 2)] {
            if terminal.contains(stream) {
                lent.append(try Self.null())
            } else {
                let pipe = try Self.pipe()
                lent.append(OwnedEnd(pipe.writing))
                outputs.append(relay.connect(OwnedFileDescriptor(adopting: pipe.reading), to: number))
            }
        }
        inside = lent.map(\.number)
        self.inside = inside
        self.outputs = outputs
        self.lent = lent
        self.relay = relay
    }

    /// Why output did not reach the caller.
    var failure: SyscallError? { relay.failure }

    /// Takes what the command wrote.
    func pass(_ source: CInt, _ bytes: [UInt8]) { relay.pass(source, bytes) }

    /// Ties a sandbox that has just been launched to the caller's streams.
    func serve(_ running: RunningSandbox, _ terminal: TerminalRelay?) {
        lent = []
        relay.serve(running)
        if let end = input?.take() { InputRelay(from: 0, to: end, loop: loop).start() }
        guard let terminal else { return }
        running.onTerminal = { [loop, relay] near in
            do throws(SyscallError) {
                let writing = try near.duplicate()
                try terminal.start(near.number)
                running.add(output: relay.connect(near, to: 1))
                InputRelay(from: 0, to: writing, loop: loop).start()
            } catch {
                // Without the caller's terminal nobody can talk to the command.
                running.end(.cancelled, grace: 0)
            }
        }
    }

    private static func pipe() throws(LaunchError) -> (reading: CInt, writing: CInt) {
        try LaunchError.during("make a pipe") { () throws(SyscallError) in try Syscall.pipe().release() }
    }

    private static func null() throws(LaunchError) -> OwnedEnd {
        let number = try LaunchError.during("open /dev/null") { () throws(SyscallError) in
            try Syscall.open("/dev/null", O_RDWR).release()
        }
        return OwnedEnd(number)
    }
}

/// A descriptor that can be an element.
private final class OwnedEnd {
    private var descriptor: OwnedFileDescriptor?
    let number: CInt

    init(_ number: CInt) {
        self.number = number
        descriptor = OwnedFileDescriptor(adopting: number)
    }

    /// Hands the descriptor over, once.
    func take() -> OwnedFileDescriptor? { descriptor.take() }
}

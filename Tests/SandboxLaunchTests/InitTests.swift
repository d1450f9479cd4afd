import Foundation
import Glibc
import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage
import Testing

/// What the real init does for its supervisor, of which this process takes the place.
@Suite(
    .enabled(if: TrialLauncher.isAllowed, "\(TrialLauncher.reason)"),
    .enabled(if: TrialInit.isBuilt, "cloche-init is not built"))
struct InitTests {
    @Test func `a working directory outside of the root is refused, however it is reached`() throws {
        let outside = try Syscall.open("/usr", O_RDONLY | O_DIRECTORY)
        // A root in memory with nothing but the host's procfs, by which the descriptor of a directory leads outside.
        let root: [LaunchPlan.Operation] = [
            .mount(source: "none", target: "/tmp", type: "tmpfs", flags: 0, data: "size=64k"),
            .makeDirectory("/tmp/proc", mode: 0o755),
            .mount(source: "/proc", target: "/tmp/proc", type: nil, flags: UInt64(MS_BIND | MS_REC), data: nil),
            .pivotRoot("/tmp"),
        ]
        for (directory, errno) in [
            ("/proc/self/fd/0", Errno.noSuchFileOrDirectory), ("/proc/self/fd/0/lib", .noSuchFileOrDirectory),
            ("/proc/version", .notDirectory), ("/absent", .noSuchFileOrDirectory),
        ] {
            let trial = try TrialInit(root, "true", input: outside.number) { $0.directory = directory }
            guard case .failed(let step, "chdir", errno, execution: false) = try trial.message() else {
                Issue.record("\(directory) was entered")
                continue
            }
            #expect(step == "enter the working directory")
            #expect(try trial.end() == .exited(125))
        }
        // Inside, the next failure is that there is no program.
        let trial = try TrialInit(root, "true", input: outside.number) { $0.directory = "/proc/self/fd" }
        guard case .failed(_, _, _, execution: true) = try trial.message() else {
            Issue.record("the directory was refused")
            return
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `init keeps no stream of the command, no listener, and no way to the command`() throws {
        let null = try Syscall.open("/dev/null", O_RDWR)
        let trial = try TrialInit([], "sleep 600", input: null.number, listening: true)
        let started = try trial.started()
        let directory = "/proc/\(trial.number)/fd"
        let own = ["/proc/\(trial.number)/io", "/proc/\(trial.number)/net/snmp", "anon_inode:[signalfd]", "socket"]
        var kept: [String] = []
        // It has told of the command, and is about to close them.
        for _ in 0..<200 where kept != own {
            usleep(10_000)
            kept = try FileManager.default.contentsOfDirectory(atPath: directory).map {
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: directory + "/" + $0)
                return target.map { $0.hasPrefix("socket:") ? "socket" : $0 } ?? "closed meanwhile"
            }.sorted()
        }
        #expect(kept == own)
        try started.command.signal(SIGKILL)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a signal during a refused call does not make the call be asked again`() throws {
        let null = try Syscall.open("/dev/null", O_RDWR)
        // times(2) is the call that is asked about. The shell knows of the signal after the call only.
        let script = "trap 'kill -9 $$' USR1; times; sleep 600"
        let trial = try TrialInit([], script, input: null.number, listening: true)
        let started = try trial.started()
        let number = started.listener
        let listener = try #require(number)
        _ = try Syscall.poll([listener], milliseconds: 20_000)
        let call = try #require(try Syscall.receiveRefusedCall(listener))
        // As a profiler's timer does it while the answer is on its way.
        try started.command.signal(SIGUSR1)
        #expect(try Syscall.poll([listener], milliseconds: 300) == [])
        try Syscall.refuse(call, at: listener, .notPermitted)
        guard case .ended(.signalled(SIGKILL), _, _) = try trial.message() else {
            Issue.record("the signal was lost")
            return
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `of a terminal init keeps no side, so that its end is seen`() throws {
        let null = try Syscall.open("/dev/null", O_RDWR)
        let devices: [LaunchPlan.Operation] = [
            .mount(source: "devpts", target: "/dev/pts", type: "devpts", flags: 0, data: "newinstance,ptmxmode=0666")
        ]
        // The controlling terminal is its own: whatever is opened by that name is it.
        let script = "tty; test -c /dev/tty && : > /dev/tty && exec < /dev/null > /dev/null 2> /dev/null; sleep 600"
        let trial = try TrialInit(devices, script, input: null.number) { $0.terminal = [.input, .output, .errors] }
        guard case .terminal(let number) = try trial.message() else {
            Issue.record("there is no terminal")
            return
        }
        let terminal = OwnedFileDescriptor(adopting: number)
        let started = try trial.started()
        var told: [UInt8] = []
        // With the last open side the reading ends, by EIO, though the command goes on.
        while let more = try? Syscall.read(terminal.number, upTo: 4096), !more.isEmpty { told += more }
        #expect(String(decoding: told, as: UTF8.self) == "/dev/pts/0\r\n")
        #expect(try trial.isRunning())
        let kept = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(trial.number)/fd").compactMap {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(trial.number)/fd/" + $0)
        }
        #expect(!kept.isEmpty && !kept.contains { $0.contains("ptmx") || $0.contains("/pts") }, "\(kept)")
        try started.command.signal(SIGKILL)
    }

    @Test func `of several files that cannot be executed the first that is there gives the reason`() throws {
        let null = try Syscall.open("/dev/null", O_RDWR)
        let loop: [LaunchPlan.Operation] = [
            .mount(source: "none", target: "/tmp", type: "tmpfs", flags: 0, data: "size=64k"),
            .linkSymbolic(target: "loop", path: "/tmp/loop"),
        ]
        for (candidates, errno) in [
            (["/absent", "/etc/passwd", "/tmp/loop", "/absent"], Errno.permissionDenied),
            (["/tmp/loop", "/etc/passwd"], .tooManySymbolicLinkLevels),
            (["/absent", "/etc/passwd/a"], .noSuchFileOrDirectory),
        ] {
            let trial = try TrialInit(loop, "true", input: null.number) { $0.candidates = candidates }
            guard case .failed(_, "execve", errno, execution: true) = try trial.message() else {
                Issue.record("another reason than \(errno)")
                continue
            }
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `the end of the supervisor's socket is the end of the sandbox`() throws {
        let null = try Syscall.open("/dev/null", O_RDWR)
        let trial = try TrialInit([], "sleep 600", input: null.number)
        _ = try trial.started()
        trial.hangUp()
        #expect(try trial.end() == .exited(125))
    }
}

/// A launcher, and a sandbox in it with the real init, a shell as its command, and little more.
struct TrialInit: ~Copyable {
    private let launcher: Launcher
    private let sandbox: LaunchedSandbox
    /// Of process 1, outside.
    let number: Int32

    static let path = FilePath(
        URL(filePath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? "/")
            .deletingLastPathComponent().path + "/cloche-init")

    static let isBuilt = Syscall.exists(path)

    /// CLONE_NEWNS and CLONE_NEWPID.
    private static let namespaces: UInt32 = 0x2002_0000

    /// `struct sock_filter`s: code, jumps, operand.
    static func instruction(_ code: UInt16, _ jumps: (UInt8, UInt8), _ operand: UInt32) -> [UInt8] {
        [UInt8(code & 0xFF), UInt8(code >> 8), jumps.0, jumps.1]
            + (0..<4).map { UInt8((operand >> ($0 * 8)) & 0xFF) }
    }

    /// Allows everything.
    static let open = instruction(0x06, (0, 0), 0x7FFF_0000)

    /// Loads the number of the call, and asks the listener about times(2), which is 100 on x86-64.
    private static let asking =
        instruction(0x20, (0, 0), 0) + instruction(0x15, (0, 1), 100) + instruction(0x06, (0, 0), 0x7FC0_0000)
        + open

    init(
        _ operations: [LaunchPlan.Operation], _ script: String, input: CInt, listening: Bool = false,
        change: (inout CommandPlan) -> Void = { _ in }
    ) throws {
        let keepMounts = LaunchPlan.Operation.mount(
            source: "none", target: "/", type: nil, flags: UInt64(MS_REC | MS_PRIVATE), data: nil)
        var command = CommandPlan(
            arguments: ["sh", "-c", script], candidates: ["/bin/sh"], variables: ["PATH=/usr/bin:/bin"], directory: "/")
        command.changesIdentity = false
        command.filter = listening ? Self.asking : Self.open
        command.filterListens = listening
        command.initFilter = Self.open
        change(&command)
        let program = try Syscall.open(Self.path, O_RDONLY)
        let null = try Syscall.open("/dev/null", O_RDWR)
        let launcher = try Launcher(lists: [], unifiedDirectory: nil, unifiedList: nil, user: nil)
        let sandbox = try launcher.launch(
            LaunchPlan(namespaces: Self.namespaces, operations: [keepMounts] + operations), command: command,
            initProgram: program.number, streams: [input, null.number, null.number])
        number = sandbox.number
        self.launcher = launcher
        self.sandbox = sandbox
    }

    deinit {
        // Its end is the end of all that runs in it; it may have ended already.
        try? sandbox.process.signal(SIGKILL)
        _ = try? sandbox.process.wait()
        launcher.end()
    }

    /// The next word of init; waits for it.
    func message() throws -> InitMessage? {
        guard try !Syscall.poll([sandbox.control.number], milliseconds: 20_000).isEmpty else { return nil }
        return try InitMessage.receive(sandbox.control.number)
    }

    /// Waits until the command executes.
    func started() throws -> Started {
        guard case .started(_, let pidfd, let segments, let listener) = try message() else {
            throw SyscallError("start", "the command", errno: .noSuchProcess)
        }
        close(segments)
        return Started(
            command: ProcessHandle(adopting: OwnedFileDescriptor(adopting: pidfd)),
            listener: listener)
    }

    /// The command, and the listener where there is one.
    struct Started: ~Copyable {
        let command: ProcessHandle
        let listener: CInt?

        deinit { if let listener { close(listener) } }
    }

    /// Whether process 1 goes on.
    func isRunning() throws -> Bool { try sandbox.process.wait(block: false) == nil }

    /// Leaves init alone.
    func hangUp() { _ = shutdown(sandbox.control.number, CInt(SHUT_RDWR)) }

    /// Waits for the end; nil where it does not come.
    func end() throws -> ProcessEnd? {
        _ = try Syscall.poll([sandbox.process.number], milliseconds: 20_000)
        return try sandbox.process.wait(block: false)?.end
    }
}

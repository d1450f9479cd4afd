import Foundation
import Glibc
import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage
import Testing

/// Sandboxes that are there before their command.
@Suite(
    .enabled(if: TrialLauncher.isAllowed, "\(TrialLauncher.reason)"),
    .enabled(if: TrialInit.isBuilt, "cloche-init is not built"))
struct CommandOrderTests {
    @Test(.timeLimit(.minutes(1)))
    func `nothing of the command happens before it is ordered`() throws {
        try withSandbox { sandbox, output in
            let early = try Syscall.poll([sandbox.control.number, output], milliseconds: 200)
            #expect(early.isEmpty)
            try CommandOrder(Self.command("echo here")).send(to: sandbox.control.number)
            let told = try Syscall.read(output, upTo: 100)
            #expect(told == Array("here\n".utf8))
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `a sandbox that gets no command ends with its supervisor's socket`() throws {
        try withSandbox { sandbox, _ in
            _ = shutdown(sandbox.control.number, CInt(SHUT_RDWR))
            let end = try sandbox.process.wait()?.end
            #expect(end == .exited(125))
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `what is attached with the order is seen by the command`() throws {
        let overlay = try Self.tree(type: "overlay", UInt(MS_NOSUID | MS_NODEV), data: "lowerdir=/etc:/usr")
        try withSandbox { sandbox, output in
            var command = Self.command("test -e /mnt/bin && test -e /mnt/passwd && echo seen")
            command.attachment = "/mnt"
            try CommandOrder(command).send(to: sandbox.control.number, with: overlay.number)
            let told = try Syscall.read(output, upTo: 100)
            #expect(told == Array("seen\n".utf8))
        }
    }

    @Test(
        .timeLimit(.minutes(1)),
        arguments: [
            ("overlay", UInt(MS_NODEV), "lowerdir=/etc:/usr"), ("overlay", UInt(MS_NOSUID), "lowerdir=/etc:/usr"),
            ("tmpfs", UInt(MS_NOSUID | MS_NODEV), "size=64k"),
        ])
    func `what is attached has to be what it should be`(type: String, flags: UInt, data: String) throws {
        let tree = try Self.tree(type: type, flags, data: data)
        try withSandbox { sandbox, output in
            var command = Self.command("echo executed")
            command.attachment = "/mnt"
            try CommandOrder(command).send(to: sandbox.control.number, with: tree.number)
            try Self.expectFailure(of: "attach the project", sandbox, output)
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func `a mount and a place for it come together or not at all`(hasPlace: Bool) throws {
        let overlay = try Self.tree(type: "overlay", UInt(MS_NOSUID | MS_NODEV), data: "lowerdir=/etc:/usr")
        try withSandbox { sandbox, output in
            var command = Self.command("echo executed")
            if hasPlace { command.attachment = "/mnt" }
            try CommandOrder(command).send(to: sandbox.control.number, with: hasPlace ? nil : overlay.number)
            try Self.expectFailure(of: "read the command", sandbox, output)
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [true, false])
    func `without filters that were settled a command has to bring its own`(hasOne: Bool) throws {
        try withSandbox { sandbox, output in
            var command = Self.command("echo executed")
            if hasOne { command.initFilter = [] } else { command.filter = [] }
            try CommandOrder(command).send(to: sandbox.control.number)
            try Self.expectFailure(of: "read the command", sandbox, output)
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func `what has been settled holds, whatever the command says`() throws {
        // Allows everything but getppid(2), which is 110 on x86-64, and ends who calls that.
        let deadly =
            TrialInit.instruction(0x20, (0, 0), 0) + TrialInit.instruction(0x15, (0, 1), 110)
            + TrialInit.instruction(0x06, (0, 0), 0x8000_0000) + TrialInit.open
        let overlay = try Self.tree(type: "overlay", UInt(MS_NOSUID | MS_NODEV), data: "lowerdir=/etc:/usr")
        try withSandbox { sandbox, output in
            var settled = Self.command("")
            settled.filter = deadly
            settled.socketless = ["tmp"]
            settled.attachment = "/mnt"
            try CommandOrder(settling: settled).send(to: sandbox.control.number)
            let early = try Syscall.poll([sandbox.control.number, output], milliseconds: 200)
            #expect(early.isEmpty)
            // The shell asks for its parent's number when it begins.
            try CommandOrder(Self.command("echo executed")).send(to: sandbox.control.number, with: overlay.number)
            let told = try Syscall.read(output, upTo: 100)
            #expect(told == [])
            let end = try sandbox.process.wait()?.end
            #expect(end == .exited(128 + SIGSYS))
        }
    }

    @Test(.timeLimit(.minutes(1)), arguments: [nil, "/mnt"])
    func `rules about sockets hold that were begun before the command, and for what came with it`(place: String?) throws
    {
        try #require(Syscall.landlockVersion() >= 2, "the kernel has no Landlock")
        let overlay = try Self.writableOverlay()
        let name = "cloche-order.\(UUID().uuidString)"
        try withSandbox { sandbox, output in
            var settled = Self.command("")
            settled.socketless = ["tmp"]
            settled.attachment = place
            try CommandOrder(settling: settled).send(to: sandbox.control.number)
            let make = "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
            let script = """
                for place in /run \(place ?? "") /tmp; do
                /usr/bin/python3 -c '\(make)' $place/\(name) 2>/dev/null && rm $place/\(name) && echo $place
                done
                """
            try CommandOrder(Self.command(script)).send(
                to: sandbox.control.number, with: place == nil ? nil : overlay.number)
            _ = try sandbox.process.wait()
            let told = try Syscall.read(output, upTo: 100)
            #expect(told == Array("/run\n\(place.map { $0 + "\n" } ?? "")".utf8))
        }
    }

    /// Expects that init refuses its order, and that nothing of the command happens.
    private static func expectFailure(
        of step: String, _ sandbox: borrowing LaunchedSandbox, _ output: CInt
    ) throws {
        guard case .failed(step, _, _, execution: false) = try InitMessage.receive(sandbox.control.number) else {
            Issue.record("it was carried out")
            return
        }
        let told = try Syscall.read(output, upTo: 100)
        #expect(told == [])
    }

    private static func command(_ script: String) -> CommandPlan {
        var command = CommandPlan(
            arguments: ["sh", "-c", script], candidates: ["/bin/sh"], variables: ["PATH=/usr/bin:/bin"], directory: "/")
        command.changesIdentity = false
        command.filter = TrialInit.open
        command.initFilter = TrialInit.open
        return command
    }

    private static func writableOverlay() throws -> OwnedFileDescriptor {
        var name = Array("/tmp/cloche-order.XXXXXX".utf8CString)
        let path = FilePath(String(cString: try #require(mkdtemp(&name))))
        defer { rmdir(path.string) }
        let flags = UInt(MS_NOSUID | MS_NODEV)
        try Syscall.mount(source: "none", target: path, type: "tmpfs", flags: flags)
        defer { try? Syscall.detachMount(path) }
        for name in ["upper", "work", "place"] { try Syscall.makeDirectory(path.appending(name), mode: 0o755) }
        let place = path.appending("place")
        try Syscall.mount(
            source: "none", target: place, type: "overlay", flags: flags,
            data: "lowerdir=/etc,upperdir=\(path)/upper,workdir=\(path)/work")
        defer { try? Syscall.detachMount(place) }
        let location = try Syscall.openLocation(place)
        return try Syscall.cloneMount(of: location.number, recursive: false)
    }

    /// A mount that is attached nowhere.
    private static func tree(type: String, _ flags: UInt, data: String) throws -> OwnedFileDescriptor {
        // In a directory of this process alone, for the shortest time.
        var name = Array("/tmp/cloche-order.XXXXXX".utf8CString)
        let path = FilePath(String(cString: try #require(mkdtemp(&name))))
        defer { rmdir(path.string) }
        try Syscall.mount(source: "none", target: path, type: type, flags: flags, data: data)
        defer { try? Syscall.detachMount(path) }
        let place = try Syscall.openLocation(path)
        return try Syscall.cloneMount(of: place.number, recursive: false)
    }

    /// Lends a sandbox with the real init, and the reading end of its output.
    private func withSandbox(_ body: (borrowing LaunchedSandbox, CInt) throws -> Void) throws {
        let null = try Syscall.open("/dev/null", O_RDWR)
        let program = try Syscall.open(TrialInit.path, O_RDONLY)
        let pipe = try Syscall.pipe().release()
        let reading = OwnedFileDescriptor(adopting: pipe.reading)
        let writing = OwnedFileDescriptor(adopting: pipe.writing)
        let launcher = try Launcher(lists: [], unifiedDirectory: nil, unifiedList: nil, user: nil)
        defer { launcher.end() }
        let keepMounts = LaunchPlan.Operation.mount(
            source: "none", target: "/", type: nil, flags: UInt64(MS_REC | MS_PRIVATE), data: nil)
        // CLONE_NEWNS and CLONE_NEWPID.
        let plan = LaunchPlan(namespaces: 0x2002_0000, operations: [keepMounts])
        let begun = try launcher.begin(
            plan, initProgram: program.number, streams: [null.number, writing.number, null.number])
        let sandbox = try launcher.finish(begun)
        try writing.close()
        defer {
            try? sandbox.process.signal(SIGKILL)
            _ = try? sandbox.process.wait()
        }
        try body(sandbox, reading.number)
    }
}

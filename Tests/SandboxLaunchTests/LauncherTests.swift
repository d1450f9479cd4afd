import Glibc
import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage
import Testing

/// What operations of a plan do in the kernel, seen by a shell in place of init.
@Suite(.enabled(if: TrialLauncher.isAllowed, "\(TrialLauncher.reason)"))
struct LauncherTests {
    private func output(
        _ operations: [LaunchPlan.Operation], namespaces: UInt32 = 0, _ script: String
    ) throws -> String {
        try TrialLauncher.run(operations, namespaces: namespaces, script).output
    }

    @Test func `the end of process 1 is the end of the sandbox`() throws {
        #expect(try TrialLauncher.run([], "exit 7").end == .exited(7))
        #expect(try TrialLauncher.run([], "kill -9 $$").end == .signalled(9))
    }

    @Test func `init gets its streams, its socket, and nothing else`() throws {
        let numbers = (0..<80).map(String.init).joined(separator: " ")
        let script = "for number in \(numbers); do test -e /proc/$$/fd/$number && echo $number; done"
        #expect(try output([], script) == "0\n1\n2\n3\n")
        #expect(try output([], "case $(readlink /proc/$$/fd/3) in socket:*) echo yes;; esac") == "yes\n")
    }

    @Test func `init gets no variables of ours and no way to new privileges`() throws {
        #expect(try output([], "tr '\\0' '\\n' < /proc/$$/environ") == "")
        #expect(try output([], "grep NoNewPrivs /proc/self/status") == "NoNewPrivs:\t1\n")
        #expect(try output([], "grep SigBlk /proc/self/status") == "SigBlk:\t0000000000000000\n")
    }

    @Test func `what its caller blocks and ignores is no matter of a sandbox`() throws {
        var mask = sigset_t(), old = sigset_t()
        sigemptyset(&mask)
        sigaddset(&mask, SIGUSR1)
        pthread_sigmask(SIG_BLOCK, &mask, &old)
        let before = signal(SIGUSR2, SIG_IGN)
        defer {
            pthread_sigmask(SIG_SETMASK, &old, nil)
            signal(SIGUSR2, before)
        }
        let seen = try output([], "grep -E '^Sig(Blk|Ign)' /proc/self/status").split(separator: "\n")
        let masks = seen.compactMap { $0.split(separator: "\t").last.flatMap { UInt64($0, radix: 16) } }
        // Signals 32 and 33 are the C library's own. SIGINT and SIGTERM are the supervisor's to handle; init takes all of
        // them up again for the command.
        #expect(masks.map { $0 & ~(3 << 31) } == [0, 0x4002])
    }

    @Test func `limits, the mask and the processors are set`() throws {
        let allowed = try Syscall.allowedProcessors()
        let last = try #require(allowed.last)
        let operations: [LaunchPlan.Operation] = [
            .setLimit(resource: Int32(RLIMIT_CORE.rawValue), soft: 1, hard: 1),
            .setLimit(resource: Int32(RLIMIT_NOFILE.rawValue), soft: 40, hard: 41), .setUmask(0o027),
            .setAffinity([last]),
        ]
        let script = """
            ulimit -n; ulimit -Hn; umask
            grep -E '^Max core' /proc/self/limits | tr -s ' '
            grep Cpus_allowed_list /proc/self/status
            """
        #expect(
            try output(operations, script)
                == "40\n41\n0027\nMax core file size 1 1 bytes \nCpus_allowed_list:\t\(last)\n")
    }

    @Test func `a limit beyond what there is leaves that as it is`() throws {
        let files = Int32(RLIMIT_NOFILE.rawValue)
        let operations: [LaunchPlan.Operation] = [
            .setLimit(resource: files, soft: 40, hard: 41), .setLimit(resource: files, soft: 50, hard: 60),
            .setLimit(resource: Int32(RLIMIT_CORE.rawValue), soft: 0, hard: 0),
            .setLimit(resource: Int32(RLIMIT_CORE.rawValue), soft: 1, hard: 1),
        ]
        let script = "ulimit -n; ulimit -Hn; grep '^Max core' /proc/self/limits | tr -s ' '"
        #expect(try output(operations, script) == "41\n41\nMax core file size 0 0 bytes \n")
    }

    @Test func `names, files, links and directories are made`() throws {
        let operations: [LaunchPlan.Operation] = [
            .setHostName("trial"),
            .mount(source: "none", target: "/tmp", type: "tmpfs", flags: UInt64(MS_NOSUID), data: "size=64k"),
            .makeDirectory("/tmp/own", mode: 0o700), .changeOwner("/tmp/own", user: 7, group: 8),
            .linkSymbolic(target: "own", path: "/tmp/link"), .loopbackUp,
        ]
        // CLONE_NEWUTS and CLONE_NEWNET.
        let seen = try output(
            operations, namespaces: 0x4400_0000,
            "uname -n; stat -c '%u %g %a' /tmp/own; readlink /tmp/link; cat /sys/class/net/lo/flags || true")
        #expect(seen.hasPrefix("trial\n7 8 700\nown\n"))
    }

    @Test func `a mount is private to the sandbox, and read-only where that was asked for`() throws {
        let operations: [LaunchPlan.Operation] = [
            .mount(source: "none", target: "/tmp", type: "tmpfs", flags: UInt64(MS_NOEXEC), data: nil),
            .remount(target: "/tmp", flags: UInt64(MS_RDONLY)),
        ]
        let seen = try output(operations, "grep -o ' /tmp [a-z,]*' /proc/self/mountinfo | tail -n 1; : > /tmp/a")
        // What was there before is kept.
        #expect(seen.hasPrefix(" /tmp ro,noexec"))
        #expect(seen.contains("Read-only"))
        let own = try Syscall.readFile("/proc/self/mountinfo", limit: 16 << 20)
        #expect(!String(decoding: own, as: UTF8.self).contains(" /tmp ro,noexec"))
    }

    @Test func `a change of user keeps the capabilities`() throws {
        let seen = try output(
            [.becomeUser(user: 4321, group: 4322), .keepCapabilities],
            "grep -E '^(Uid|Gid|Groups):' /proc/self/status; grep CapEff /proc/self/status")
        #expect(seen.hasPrefix("Uid:\t4321\t4321\t4321\t4321\nGid:\t4322\t4322\t4322\t4322\nGroups:\t \nCapEff:\t0000"))
        #expect(!seen.contains("CapEff:\t0000000000000000"))
    }

    @Test(
        "the operation that fails is named, with its call, its object and the reason",
        arguments: [
            (
                LaunchPlan.Operation.mount(source: "a", target: "/absent/a", type: "tmpfs", flags: 0, data: nil),
                "mount", Errno.noSuchFileOrDirectory
            ),
            (
                .mount(source: "a", target: "/tmp", type: "nosuchfs", flags: 0, data: nil), "mount",
                .operationNotSupportedByDevice
            ),
            (.mount(source: "a", target: "/tmp", type: "tmpfs", flags: 0, data: "no=1"), "mount", .invalidArgument),
            (.remount(target: "/absent", flags: 1), "mount", .noSuchFileOrDirectory),
            (.makeDirectory("/proc", mode: 0o755), "mkdir", .fileExists),
            (.pivotRoot("/absent"), "pivot_root", .noSuchFileOrDirectory),
            (.changeOwner("/absent", user: 0, group: 0), "lchown", .noSuchFileOrDirectory),
            (.writeFile("/proc/self/absent", text: "0"), "write", .noSuchFileOrDirectory),
            (.linkSymbolic(target: "a", path: "/absent/a"), "symlink", .noSuchFileOrDirectory),
        ])
    func failures(operation: LaunchPlan.Operation, call: String, errno: Errno) throws {
        let error = try #require(try TrialLauncher.failure(of: [.setUmask(0o022), operation, .setUmask(0o022)]))
        #expect(error.step == operation.description)
        #expect(error.call == call)
        #expect(error.object == operation.path)
        #expect(error.errno == errno)
        #expect(error.reason == "\(call): \(errno)")
    }

    @Test(
        "operations without an object fail by name as well",
        arguments: [
            (LaunchPlan.Operation.setLimit(resource: 99, soft: 1, hard: 1), "prlimit", Errno.invalidArgument),
            (.setAffinity([1023]), "sched_setaffinity", .invalidArgument),
            (.setAffinity([5000]), "sched_setaffinity", .overflow),
            (.joinNamespace(descriptor: 15, kind: 0x4000_0000), "setns", .badFileDescriptor),
            (.joinNamespace(descriptor: 0, kind: 0x4000_0000), "setns", .invalidArgument),
            (.setHostName(String(repeating: "a", count: 65)), "sethostname", .invalidArgument),
        ])
    func failuresWithoutObject(operation: LaunchPlan.Operation, call: String, errno: Errno) throws {
        let error = try #require(try TrialLauncher.failure(of: [operation], namespaces: 0x0400_0000))
        #expect(error.step == operation.description)
        #expect(error.call == call)
        #expect(error.object == nil)
        #expect(error.errno == errno)
    }

    @Test func `namespaces that cannot be made are told as such`() throws {
        // CLONE_NEWUSER is not allowed together with CLONE_FS.
        let error = try #require(try TrialLauncher.failure(of: [], namespaces: 0x0000_0200))
        #expect(error.step == "make the namespaces")
        #expect(error.call == "clone")
        #expect(error.errno == .invalidArgument)
    }

    @Test func `a launcher goes on after a failure`() throws {
        let launcher = try Launcher(lists: [], unifiedDirectory: nil, unifiedList: nil, user: nil)
        defer { launcher.end() }
        let null = try Syscall.open("/dev/null", O_RDWR)
        let program = try Syscall.open("/bin/true", O_RDONLY)
        let command = CommandPlan(arguments: ["true"], candidates: [], variables: [], directory: "/")
        for path in ["/absent/a", nil, "/absent/b", nil] {
            let operations = path.map { [LaunchPlan.Operation.makeDirectory($0, mode: 0o755)] } ?? []
            let plan = LaunchPlan(namespaces: 0, operations: operations)
            do {
                let sandbox = try launcher.launch(
                    plan, command: command, initProgram: program.number,
                    streams: [null.number, null.number, null.number])
                #expect(path == nil)
                #expect(try sandbox.process.wait()?.end == .exited(0))
            } catch let error as LaunchError {
                #expect(error.object == path)
            }
        }
    }

    @Test func `a launcher that has left its supervisor's network starts nothing that is to be in that`() throws {
        let launcher = try Launcher(
            lists: [], unifiedDirectory: nil, unifiedList: nil, user: nil, makesNetwork: true)
        defer { launcher.end() }
        let null = try Syscall.open("/dev/null", O_RDWR)
        let program = try Syscall.open("/bin/true", O_RDONLY)
        let command = CommandPlan(arguments: ["true"], candidates: [], variables: [], directory: "/")
        // CLONE_NEWNET: that of the first is made already, that of the second is not.
        for namespaces in [0x4000_0000, 0, 0x4000_0000] as [UInt32] {
            var isStarted = false
            do {
                let sandbox = try launcher.launch(
                    LaunchPlan(namespaces: namespaces, operations: []), command: command,
                    initProgram: program.number, streams: [null.number, null.number, null.number])
                isStarted = try sandbox.process.wait()?.end == .exited(0)
            } catch is LaunchError {}
            #expect(isStarted == (namespaces != 0))
        }
    }

    @Test func `each sandbox has a network of its own, made ahead or not`() throws {
        let launcher = try Launcher(
            lists: [], unifiedDirectory: nil, unifiedList: nil, user: nil, makesNetwork: true)
        defer { launcher.end() }
        let null = try Syscall.open("/dev/null", O_RDWR)
        let program = try Syscall.open("/bin/cat", O_RDONLY)
        let command = CommandPlan(arguments: ["cat"], candidates: [], variables: [], directory: "/")
        let input = try Syscall.pipe()
        var networks = [try Syscall.readLink("/proc/self/ns/net")]
        var held: [CInt] = []
        defer { for namespace in held { close(namespace) } }
        for _ in 0..<3 {
            let sandbox = try launcher.launch(
                LaunchPlan(namespaces: 0x4000_0000, operations: []), command: command,
                initProgram: program.number, streams: [input.reading.number, null.number, null.number])
            let namespace = FilePath("/proc/\(sandbox.number)/ns/net")
            networks.append(try Syscall.readLink(namespace))
            // Of one that is gone the number could be used again.
            held.append(try Syscall.open(namespace, O_RDONLY).release())
            try sandbox.process.signal(SIGKILL)
            _ = try sandbox.process.wait()
        }
        #expect(Set(networks).count == 4)
    }

    @Test func `a launcher that makes no networks stays in its supervisor's`() throws {
        let launcher = try Launcher(lists: [], unifiedDirectory: nil, unifiedList: nil, user: nil)
        defer { launcher.end() }
        let null = try Syscall.open("/dev/null", O_RDWR)
        let program = try Syscall.open("/bin/cat", O_RDONLY)
        let command = CommandPlan(arguments: ["cat"], candidates: [], variables: [], directory: "/")
        let input = try Syscall.pipe()
        let sandbox = try launcher.launch(
            LaunchPlan(namespaces: 0, operations: []), command: command, initProgram: program.number,
            streams: [input.reading.number, null.number, null.number])
        let network = try Syscall.readLink(FilePath("/proc/\(sandbox.number)/ns/net"))
        #expect(try network == Syscall.readLink("/proc/self/ns/net"))
        try sandbox.process.signal(SIGKILL)
        _ = try sandbox.process.wait()
    }

    @Test func `what cannot be carried is refused before anything is started`() throws {
        let error = try #require(try TrialLauncher.failure(of: [.setHostName("a\0b")]))
        #expect("\(error)".contains("zero byte"))
        #expect(error.errno == nil)
    }
}

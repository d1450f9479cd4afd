import Foundation
import Testing

extension EndToEnd {
    @Suite("The sandbox", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Sandbox {
        /// Python that gives the name of a call's error, or `ok`.
        static let prelude = """
            import ctypes, errno, fcntl, os, socket
            libc = ctypes.CDLL(None, use_errno=True)
            def call(number, *arguments):
                ctypes.set_errno(0)
                result = libc.syscall(*[ctypes.c_long(x) for x in (number,) + arguments])
                return "ok" if result != -1 else errno.errorcode[ctypes.get_errno()]
            def attempt(f):
                try: f(); return "ok"
                except OSError as e: return errno.errorcode[e.errno]
            def text(s): return ctypes.addressof(keep.setdefault(s, ctypes.create_string_buffer(s.encode())))
            keep = {}

            """

        private func value(_ expression: String) throws -> String {
            let result = try Cloche.python(Self.prelude + "print(\(expression))")
            return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        @Test("files and processes of the host do not exist")
        func host() throws {
            let canary = "/root/cloche-canary-\(UUID().uuidString)"
            if Cloche.isRoot { try Data("secret".utf8).write(to: URL(filePath: canary)) }
            defer { try? FileManager.default.removeItem(atPath: canary) }
            let inside = try Cloche.run(
                "exec", "--", "sh", "-c", "cat \(canary); hostname; cat /etc/hostname; ls -d /proc/[0-9]* | wc -l")
            #expect(!inside.output.contains("secret"))
            #expect(!inside.output.contains(ProcessInfo.processInfo.hostName))
            #expect(inside.output.split(separator: "\n").last.flatMap { Int($0) } ?? 99 <= 5)
            #expect(try value("os.getpid()").count <= 2)
        }

        @Test("the command is uid 1000 without any right; pid 1 is another uid and filtered too")
        func identity() throws {
            let text = try Cloche.run(
                "exec", "--", "sh", "-c", "id -u; id -g; cat /proc/self/status; echo ---; cat /proc/1/status"
            ).output
            let parts = text.components(separatedBy: "---\n")
            #expect(text.hasPrefix("1000\n1000\n"))
            try #require(parts.count == 2)
            for part in parts {
                for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                    #expect(part.contains("\(set):\t0000000000000000\n"))
                }
                #expect(part.contains("NoNewPrivs:\t1\n"))
                #expect(part.contains("Seccomp:\t2\n"))
            }
            if Cloche.isRoot { #expect(!parts[1].contains("Uid:\t1000\t")) }
        }

        @Test("the root of a build has the rights that its policy names, and none to pass on")
        func rightsOfBuilds() throws {
            let result = try Cloche.run(
                "exec", "--policy", "build", "--", "sh", "-c", "grep -E '^(Cap|NoNewPrivs|Groups)' /proc/self/status")
            let own = "00000000000000fb", none = "0000000000000000"
            #expect(
                result.output.split(separator: "\n").map { $0.replacing(/\s+/, with: " ") } == [
                    "Groups: ", "CapInh: \(none)", "CapPrm: \(own)", "CapEff: \(own)", "CapBnd: \(own)",
                    "CapAmb: \(none)",
                    "NoNewPrivs: 1",
                ], "\(result.output) \(result.errors)")
        }

        @Test(
            "pid 1 gives nothing away",
            arguments: ["mem", "maps", "environ", "exe", "root", "root/etc", "cwd", "fd", "fd/0", "fd/3"])
        func initProcess(_ name: String) throws {
            #expect(["EACCES", "EPERM"].contains(try value("attempt(lambda: os.open('/proc/1/\(name)', 0))")))
        }

        @Test("pid 1 cannot be written, traced or killed")
        func initProcessUnreachable() throws {
            #expect(try value("attempt(lambda: os.open('/proc/1/mem', os.O_RDWR))") == "EACCES")
            #expect(try value("call(101, 16, 1, 0, 0)") == "EPERM")
            #expect(try value("attempt(lambda: os.kill(1, 9))") == "EPERM")
        }

        @Test("only descriptors 0 to 2 exist, and all are pipes", arguments: ["file", "socket", "null"])
        func descriptors(_ kind: String) throws {
            let directory = try TemporaryDirectory()
            try directory.write("original", to: "file")
            var sockets: [Int32] = [0, 0]
            try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &sockets) == 0)
            defer { sockets.forEach { _ = close($0) } }
            let stdin =
                switch kind {
                case "file":
                    FileHandle(fileDescriptor: open(directory.path + "/file", O_RDONLY), closeOnDealloc: true)
                case "socket": FileHandle(fileDescriptor: sockets[0], closeOnDealloc: false)
                default: FileHandle.nullDevice
                }
            if kind == "socket" { shutdown(sockets[1], Int32(SHUT_WR)) }
            let program = """
                import os, stat
                print([n for n in range(64) if os.path.exists(f"/proc/self/fd/{n}")])
                print([stat.S_ISFIFO(os.fstat(n).st_mode) for n in range(3)])
                for path in ("/proc/self/fd/0", "/proc/self/fd/0/..", "/proc/self/fd/0/file"):
                    try:
                        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
                        if stat.S_ISREG(os.fstat(fd).st_mode): os.write(fd, b"rewritten")
                    except OSError: pass
                """
            let result = try Cloche.python(program, stdin: stdin)
            #expect(result.output == "[0, 1, 2]\n[True, True, True]\n", "\(result.errors)")
            #expect(try directory.read("file") == "original")
        }

        @Test("what the kernel shows of the host is hidden or cannot be written")
        func kernelFiles() throws {
            for name in ["keys", "timer_list", "kallsyms", "interrupts", "vmallocinfo", "slabinfo"]
            where FileManager.default.fileExists(atPath: "/proc/" + name) {
                let open = "open('/proc/\(name)', 'rb')"
                let isHidden = try value("attempt(lambda: \(open)) == 'EACCES' or len(\(open).read(9)) == 0")
                #expect(isHidden == "True", "/proc/\(name)")
            }
            for name in ["kernel/core_pattern", "vm/overcommit_memory", "kernel/hostname", "fs/file-max"] {
                let refused = try value("attempt(lambda: os.open('/proc/sys/\(name)', os.O_WRONLY))")
                #expect(["EROFS", "EACCES", "EPERM"].contains(refused), "/proc/sys/\(name)")
            }
            #expect(try value("attempt(lambda: os.open('/dev/mem', 0)), os.listdir('/sys')") == "ENOENT []")
            let groups = try Cloche.run("exec", "--", "cat", "/proc/self/cgroup").output
            #expect(!groups.contains("cloche-"))
        }

        @Test(
            "system calls that leave a sandbox are refused",
            arguments: [
                ("mount", 165, "EPERM"), ("umount2", 166, "EPERM"), ("pivot_root", 155, "EPERM"),
                ("chroot", 161, "EPERM"),
                ("setns", 308, "EPERM"), ("bpf", 321, "EPERM"), ("perf_event_open", 298, "EPERM"),
                ("open_by_handle_at", 304, "EPERM"), ("process_vm_writev", 311, "EPERM"), ("init_module", 175, "EPERM"),
                ("kexec_load", 246, "EPERM"), ("reboot", 169, "EPERM"), ("syslog", 103, "EPERM"),
                ("keyctl", 250, "ENOSYS"), ("add_key", 248, "ENOSYS"), ("io_uring_setup", 425, "ENOSYS"),
                ("name_to_handle_at", 303, "ENOSYS"), ("clone3", 435, "ENOSYS"), ("userfaultfd", 323, "ENOSYS"),
                ("pidfd_getfd", 438, "ENOSYS"), ("fsopen", 430, "ENOSYS"), ("open_tree", 428, "ENOSYS"),
                ("move_mount", 429, "ENOSYS"), ("splice", 275, "ENOSYS"),
                ("a number that does not exist", 600, "ENOSYS"),
            ] as [(String, Int, String)])
        func systemCalls(_ name: String, _ number: Int, _ expected: String) throws {
            #expect(try value("call(\(number), 0, 0, 0, 0, 0, 0)") == expected, "\(name)")
        }

        @Test(
            "arguments that leave a sandbox are refused, high bits too",
            arguments: [
                ("unshare(CLONE_NEWUSER)", "call(272, 0x10000000)", "EPERM"),
                ("clone(CLONE_NEWUSER)", "call(56, 0x10000011, 0, 0, 0, 0)", "EPERM"),
                ("netlink audit", "call(41, 16, 3, 9)", "EAFNOSUPPORT"),
                ("netlink netfilter", "call(41, 16, 3, 12)", "EAFNOSUPPORT"),
                ("netlink netfilter, high bits", "call(41, (1 << 32) | 16, 3, (1 << 32) | 12)", "EAFNOSUPPORT"),
                ("vsock", "call(41, 40, 1, 0)", "EAFNOSUPPORT"),
                ("vsock, high bits", "call(41, (1 << 32) | 40, 1, 0)", "EAFNOSUPPORT"),
                ("packet", "call(41, 17, 3, 0)", "EAFNOSUPPORT"), ("alg", "call(41, 38, 5, 0)", "EAFNOSUPPORT"),
                ("mptcp", "call(41, 2, 1, 262)", "EPROTONOSUPPORT"),
                ("udplite", "call(41, 2, 2, 136)", "EPROTONOSUPPORT"),
                ("TIOCSTI", "call(16, os.openpty()[1], 0x5412, text('x'))", "EPERM"),
                ("TIOCSTI, high bits", "call(16, os.openpty()[1], (1 << 32) | 0x5412, text('x'))", "EPERM"),
                ("TIOCLINUX", "call(16, os.openpty()[1], 0x541c, text('x'))", "EPERM"),
                ("RLIMIT_CORE", "call(160, 4, ctypes.addressof((ctypes.c_ulong * 2)(0, 1)))", "EPERM"),
                ("personality", "call(135, 0x40000)", "EPERM"),
                ("a lease", "attempt(lambda: fcntl.fcntl(os.open('/etc/passwd', 0), fcntl.F_SETLEASE, 0))", "EPERM"),
            ])
        func argumentsRefused(_ name: String, _ expression: String, _ expected: String) throws {
            #expect(try value(expression) == expected, "\(name)")
        }

        @Test(
            "files for other users' rights cannot be made",
            arguments: [
                "attempt(lambda: (open('/tmp/f', 'w'), os.chmod('/tmp/f', 0o6755)))",
                "attempt(lambda: (open('/tmp/f', 'w'), os.chmod('/tmp/f', 0o2755)))",
                "(open('/tmp/f', 'w'), call(90, text('/tmp/f'), (1 << 32) | 0o4755))[1]",
                "(open('/tmp/f', 'w'), call(452, -100, text('/tmp/f'), 0o4755, 0))[1]",
                "attempt(lambda: os.fchmod(os.open('/tmp/f', os.O_CREAT | os.O_WRONLY), 0o4755))",
                "attempt(lambda: os.open('/tmp/g', os.O_CREAT | os.O_WRONLY, 0o4755))",
                "attempt(lambda: os.mkdir('/tmp/d', 0o2755))", "attempt(lambda: os.mknod('/tmp/n', 0o104755))",
                "attempt(lambda: os.mknod('/tmp/m', 0o20666, os.makedev(1, 3)))",
                "attempt(lambda: os.mknod('/tmp/b', 0o60666, os.makedev(8, 0)))",
            ])
        func setuidAndDevices(_ expression: String) throws {
            #expect(try value(expression) == "EPERM")
        }

        @Test("no user namespace can be made, even where a policy allows the calls")
        func userNamespaces() throws {
            let policy = try PolicyFile("extends: default\nseccomp: {allow: [unshare, clone]}\n")
            let program = Self.prelude + "print(call(272, 0x10000000), call(56, 0x10000011, 0, 0, 0, 0))"
            let result = try Cloche.python(program, policy: policy.name)
            #expect(result.output == "ENOSPC ENOSPC\n", "\(result.errors)")
        }

        @Test("ordinary work is not refused") func ordinaryWork() throws {
            let program = """
                import os, threading, multiprocessing, subprocess, socket, tempfile
                thread = threading.Thread(target=lambda: print("thread")); thread.start(); thread.join()
                with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(abs, [-1, -2]))
                print(subprocess.run(["sh", "-c", "echo child"], capture_output=True, text=True).stdout.strip())
                server = socket.create_server(("127.0.0.1", 0)); socket.create_connection(server.getsockname())
                with tempfile.NamedTemporaryFile() as file: os.chmod(file.name, 0o755)
                os.mkfifo("/tmp/fifo"); print("done")
                """
            let result = try Cloche.python(program)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output == "thread\n[1, 2]\nchild\ndone\n")
        }

        @Test("there is no network, at once, and the verdict says so")
        func network() throws {
            let started = Date()
            let result = try Cloche.python(
                "import socket, sys\ntry: socket.create_connection(('8.8.8.8', 53), 20)\nexcept OSError: sys.exit(9)")
            #expect(result.status == 9)
            #expect(Date().timeIntervalSince(started) < 10)
            #expect(result.errors.contains("network"), "\(result.errors)")
            let project = try TestProject([
                .init(file: "one.py", text: "import socket; socket.create_connection(('8.8.8.8', 53), 20)\n")
            ])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try shown.value("run", "verdict", "cause") as? String == "denied")
            #expect((try shown.value("run", "verdict", "summary") as? String)?.contains("network") == true)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("abstract sockets of the host are out of reach")
        func abstractSocket() throws {
            let name = "cloche-canary-\(UUID().uuidString)"
            let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(server) }
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { path in
                for (offset, byte) in name.utf8.enumerated() { path[offset + 1] = byte }
            }
            let length = socklen_t(MemoryLayout<sa_family_t>.size + 1 + name.utf8.count)
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(server, $0, length) }
            }
            try #require(bound == 0 && listen(server, 1) == 0)
            #expect(try value("attempt(lambda: socket.socket(1).connect('\\0\(name)'))") == "ECONNREFUSED")
        }

        @Test("what a command writes is thrown away", arguments: ["memory", "disk"])
        func throwAway(_ place: String) throws {
            let scratch = try Cloche.home.get() + "/scratch"
            func shell(_ text: String) throws -> CommandResult {
                try Cloche.start(["exec", "--", "sh", "-c", text], environment: ["CLOCHE_SCRATCH": place]).wait()
            }
            let first = try shell("echo x > /tmp/kept; echo y > ~/kept; mkdir -p ~/a; mv ~/a ~/b; ls /tmp ~")
            #expect(first.status == 0, "\(first.errors)")
            #expect(first.output.contains("kept"))
            let second = try shell("ls /tmp ~")
            #expect(!second.output.contains("kept"))
            #expect(!FileManager.default.fileExists(atPath: "/tmp/kept"))
            #expect((try? FileManager.default.contentsOfDirectory(atPath: scratch)) ?? [] == [])
        }

        @Test("a project can be changed inside, from its top down, and is not")
        func projectIsKept() throws {
            let project = try TemporaryDirectory()
            try project.write("old\n", to: "file")
            // Of whoever calls, and of nobody else.
            #expect(chmod(project.path + "/file", 0o600) == 0)
            for _ in 0..<2 {
                let result = try Cloche.run(
                    "exec", "--project", project.path, "--", "sh", "-c",
                    "touch new && mkdir d && touch d/e && ls -A && echo more >> file && cat file && stat -c %U file")
                #expect(result.output == "d\nfile\nnew\nold\nmore\njovyan\n", "\(result.errors)")
                #expect(try project.names == ["file"] && project.read("file") == "old\n")
                // Old enough to be kept as a prepared command.
                Thread.sleep(forTimeInterval: 0.3)
            }
        }

        @Test("pip may change the environment of a command, for that command")
        func pip() throws {
            let result = try Cloche.run(
                "exec", "--", "sh", "-ec", "pip uninstall -qy setuptools; cd /opt/venv/lib/python3*/site-packages; ls")
            #expect(result.status == 0, "\(result.errors)")
            #expect(!result.output.contains("setuptools"))
        }

        @Test("what a killed command wrote to the disk is removed by the next one")
        func throwAwayAfterKill() throws {
            let scratch = try Cloche.home.get() + "/scratch"
            // Not every directory can be looked into without privileges.
            func names() -> [String] {
                FileManager.default.enumerator(atPath: scratch)?.compactMap { $0 as? String } ?? []
            }
            let command = try Cloche.start(
                ["exec", "--", "sh", "-c", "echo x > /var/tmp/kept; sleep 600"], environment: ["CLOCHE_SCRATCH": "disk"]
            )
            defer { command.signal(SIGKILL) }
            try #require(eventually(within: 20) { names().contains { $0.hasSuffix("upper/var/tmp/kept") } })
            // It is in use: another command leaves it alone.
            #expect(try Cloche.run("exec", "--", "true").status == 0)
            #expect(names().contains { $0.hasSuffix("upper/var/tmp/kept") })
            command.signal(SIGKILL)
            _ = command.wait(timeout: 10)
            #expect(
                try eventually {
                    _ = try Cloche.run("exec", "--", "true")
                    return names().isEmpty
                })
        }

        @Test("a fork bomb ends at its limit, and the next command is well", .timeLimit(.minutes(1)))
        func forkBomb() throws {
            let program = """
                import os, sys, time
                count = 0
                try:
                    while count < 5000:
                        if os.fork() == 0: time.sleep(60); os._exit(0)
                        count += 1
                except OSError: pass
                print(count); sys.stdout.flush(); sys.exit(3)
                """
            let result = try Cloche.python(program)
            #expect(result.status == 3)
            #expect((900...1024).contains(Int(result.output.trimmingCharacters(in: .newlines)) ?? 0))
            // A control group counts refused processes; a resource limit only refuses them.
            let checks = try Cloche.run("system", "doctor", "--json").value("checks") as? [[String: Any]] ?? []
            if checks.contains(where: { $0["name"] as? String == "limit pids" && $0["state"] as? String == "ok" }) {
                #expect(result.errors.contains("process"), "\(result.errors)")
            }
            #expect(try Cloche.run("exec", "--", "true").status == 0)
        }

        @Test("programs see the memory that their limit gives them")
        func memoryView() throws {
            let inside = try Cloche.run("exec", "--", "head", "-1", "/proc/meminfo").output
            let words = inside.split(separator: " ")
            #expect(words.count == 3 && Int(words[1]).map { $0 <= 4 << 20 } == true, "\(inside)")
            #expect(try value("attempt(lambda: open('/proc/meminfo', 'r+'))") == "EACCES")
        }

        @Test("a run's share of inotify instances is its own")
        func inotify() throws {
            #expect(try value("[call(294, 0) for _ in range(40)].count('ok')") == "32")
        }

        @Test("directories of /dev are as open as ever, whatever the caller's umask")
        func umask() throws {
            let shell = ["-c", "umask 077 && exec \"$0\" exec -- stat -c %a /dev /dev/mqueue", try Cloche.program()]
            let result = try StartedCommand(
                "/bin/sh", shell, environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 60)
            #expect(result.output == "755\n755\n", "\(result.errors)")
        }

        @Test("nothing of a sandbox is left on the host")
        func nothingLeft() throws {
            let (groups, mounts) = (try HostFootprint.controlGroups, ProcessTable.mounts)
            let marker = "left-\(UUID().uuidString)"
            #expect(try Cloche.run("exec", "--", "sh", "-c", "sleep 600 \(marker) & exit 0").status == 0)
            #expect(eventually { ProcessTable.withMarker(marker).isEmpty })
            #expect(try eventually { try HostFootprint.controlGroups.subtracting(groups).isEmpty })
            #expect(ProcessTable.mounts.subtracting(mounts).isEmpty)
        }
    }
}

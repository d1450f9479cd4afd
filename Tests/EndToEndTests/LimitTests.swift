import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Limits", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Limits {
        /// Small enough that each is reached at once.
        private static let small = """
            extends: default
            limits: {memory: 160MiB, pids: 48, cpu_time: 2s, scratch: 16MiB, open_files: 64}
            """

        /// What a command under the small limits comes to, and what Cloche says of it.
        private struct Case: Sendable, CustomTestStringConvertible {
            var name: String
            var program: String
            var status: Int32
            var said: [String]
            var testDescription: String { name }
        }

        private static let cases = [
            Case(
                name: "memory of the command", program: "x = b'1' * (300 << 20)", status: 137,
                said: ["ran out of memory at 160MiB", "limits.memory"]),
            Case(
                name: "memory of a process whose name joins with what comes behind it",
                program: """
                    import ctypes, time
                    ctypes.CDLL(None).prctl(15, b"x\\xd8\\x80", 0, 0, 0)
                    x = b'1' * (300 << 20)
                    time.sleep(20)
                    """, status: 137, said: ["ran out of memory at 160MiB"]),
            Case(
                name: "memory of a child, which ends the rest as well",
                program: """
                    import subprocess, time
                    subprocess.run(["python3", "-c", "x = b'1' * (300 << 20); import time; time.sleep(30)"])
                    time.sleep(30)
                    """, status: 137, said: ["ran out of memory at 160MiB"]),
            Case(
                name: "processes",
                program: """
                    import os, sys, time
                    try:
                        while True:
                            if os.fork() == 0: time.sleep(2); os._exit(0)
                    except OSError: pass
                    time.sleep(0.6)
                    sys.exit(3)
                    """, status: 3, said: ["refused processes at the limit of 48", "limits.pids"]),
            Case(
                name: "processor time of all processes together",
                program: """
                    import os
                    for _ in range(4):
                        if os.fork() == 0:
                            while True: pass
                    for _ in range(4): os.wait()
                    """, status: 137, said: ["used up its processor time of 2 s", "limits.cpu_time"]),
            Case(
                name: "processor time of children that nobody waits for",
                program: """
                    import os, signal, time
                    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
                    while True:
                        if os.fork() == 0:
                            end = time.process_time() + 0.6
                            while time.process_time() < end: pass
                            os._exit(0)
                        try: os.wait()
                        except ChildProcessError: pass
                    """, status: 137, said: ["used up its processor time of 2 s", "limits.cpu_time"]),
            Case(
                name: "memory of the tables of pages that are not there",
                program: """
                    import mmap, time
                    space = mmap.mmap(-1, 128 << 30, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
                    space.madvise(15)
                    for place in range(0, 128 << 30, 2 << 20): space[place]
                    time.sleep(20)
                    """, status: 137, said: ["ran out of memory at 160MiB"]),
            Case(
                name: "memory of a process whose first thread has ended",
                program: """
                    import ctypes, os, threading, time
                    def grow():
                        time.sleep(0.5)
                        x = b'1' * (300 << 20)
                        time.sleep(20)
                        os._exit(0)
                    threading.Thread(target=grow).start()
                    ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
                    """, status: 137, said: ["ran out of memory at 160MiB"]),
            Case(
                name: "memory files that nobody has mapped",
                program: """
                    import os, time
                    for _ in range(8):
                        file = os.memfd_create("a")
                        for _ in range(40): os.write(file, b'1' * (1 << 20))
                    time.sleep(20)
                    """, status: 137, said: ["ran out of memory at 160MiB"]),
            Case(
                name: "shared memory that nobody has attached",
                program: """
                    import ctypes, time
                    libc = ctypes.CDLL(None)
                    libc.shmat.restype = ctypes.c_void_p
                    for _ in range(8):
                        place = libc.shmat(libc.shmget(0, 40 << 20, 0o600), None, 0)
                        ctypes.memset(place, 1, 40 << 20)
                        libc.shmdt(ctypes.c_void_p(place))
                    time.sleep(20)
                    """, status: 137, said: ["ran out of memory at 160MiB"]),
            Case(
                name: "size of throw-away changes", program: "open('/tmp/x', 'wb').write(b'1' * (30 << 20))", status: 1,
                said: ["had filled the file system of /tmp", "limits.scratch"]),
            Case(
                name: "number of throw-away files",
                program: """
                    import sys
                    try:
                        for n in range(100000): open(f"/tmp/{n}", "w").close()
                    except OSError: sys.exit(4)
                    """, status: 4, said: ["had filled the file system of /tmp"]),
            Case(
                name: "size of shared memory", program: "open('/dev/shm/x', 'wb').write(b'1' * (30 << 20))", status: 1,
                said: ["had filled /dev/shm"]),
            Case(
                name: "full, and cleared away again",
                program: """
                    import os, sys
                    try: open('/tmp/x', 'wb').write(b'1' * (30 << 20))
                    except OSError as e: os.unlink('/tmp/x'); sys.exit(str(e))
                    """, status: 1, said: ["for want of space", "No space left on device"]),
            Case(
                name: "a setting of the kernel", program: "open('/proc/sys/kernel/core_pattern', 'w')", status: 1,
                said: ["after a refusal", "Read-only file system"]),
        ]

        @Test("what reaches a limit ends with its name, its value and what to raise", arguments: cases)
        private func reached(_ one: Case) throws {
            let policy = try PolicyFile(Self.small)
            check(one, try policy.exec("--", "python3", "-c", one.program))
        }

        @Test(
            "the same limits hold without control groups", .enabled(if: Cloche.isRoot, "hiding them needs root"),
            arguments: cases)
        private func withoutControlGroups(_ one: Case) throws {
            let policy = try PolicyFile(Self.small)
            let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\""
            let result = try StartedCommand(
                "/usr/bin/unshare",
                [
                    "-m", "sh", "-c", script, "sh", try Cloche.program(), "exec", "--policy", policy.name, "--",
                    "python3", "-c", one.program,
                ], environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 60)
            check(one, result)
        }

        @Test(
            "a watchdog does not take the disk's content for memory of the sandbox",
            .enabled(if: Cloche.isRoot, "hiding control groups needs root"))
        func changesOnDisk() throws {
            let policy = try PolicyFile(Self.small)
            let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\""
            let result = try StartedCommand(
                "/usr/bin/unshare",
                [
                    "-m", "sh", "-c", script, "sh", try Cloche.program(), "exec", "--policy", policy.name, "--", "sh",
                    "-c",
                    "sleep 0.5; echo done",
                ], environment: ["CLOCHE_HOME": try Cloche.home.get(), "CLOCHE_SCRATCH": "disk"]
            ).wait(timeout: 60)
            #expect(result.output == "done\n", "\(result.errors)")
        }

        @Test(
            "memory that counts for the same pages twice is within the limit",
            .enabled(if: Cloche.isRoot, "hiding control groups needs root"))
        func mappedMemoryFile() throws {
            let policy = try PolicyFile(Self.small)
            let program = """
                import mmap, os, time
                file = os.memfd_create("a")
                for _ in range(90): os.write(file, b'1' * (1 << 20))
                space = mmap.mmap(file, 90 << 20)
                for place in range(0, 90 << 20, 4096): space[place] = 2
                if os.fork() == 0:
                    for place in range(0, 90 << 20, 4096): space[place] = 3
                    time.sleep(0.5); os._exit(0)
                os.wait(); print("done")
                """
            let script = "mount -t tmpfs none /sys/fs/cgroup && exec \"$@\""
            let result = try StartedCommand(
                "/usr/bin/unshare",
                [
                    "-m", "sh", "-c", script, "sh", try Cloche.program(), "exec", "--policy", policy.name, "--",
                    "python3", "-c", program,
                ], environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 60)
            #expect(result.output == "done\n", "\(result.errors)")
        }

        private func check(_ one: Case, _ result: CommandResult) {
            #expect(result.status == one.status, "\(result.errors)")
            for part in one.said { #expect(result.errors.contains(part), "\(result.errors)") }
        }

        @Test("open files and pending signals are the sandbox's own")
        func objects() throws {
            let policy = try PolicyFile(Self.small)
            let limits = try policy.exec("--", "sh", "-c", "ulimit -n; ulimit -c; ulimit -H -n; cat /proc/self/limits")
            #expect(limits.output.hasPrefix("64\n0\n64\n"), "\(limits.output)")
            #expect(limits.output.contains("Max pending signals       4096                 4096"))
        }

        @Test("what a step read, wrote and used is told")
        func usage() throws {
            let program = """
                import os
                data = os.urandom(1 << 20)
                with open("written", "wb") as file:
                    for _ in range(8): file.write(data)
                    os.fsync(file.fileno())
                """
            let project = try TestProject([.init(file: "one.py", text: program)])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            let steps = try Cloche.run("show", "\(project.name)/0", "--json").value("steps") as? [[String: Any]] ?? []
            let usage = steps.first?["usage"] as? [String: Any] ?? [:]
            #expect((usage["written_bytes"] as? Int ?? 0) >= 8 << 20, "\(usage)")
            #expect((usage["cpu_seconds"] as? Double ?? 0) > 0)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test(
            "the processor time of a step that was ended is told",
            .enabled(if: Cloche.isRoot, "it needs control groups"),
            arguments: [
                ("wall_time: 2s", "while True: pass\n", "timeout"),
                (
                    "memory: 1GiB",
                    "import time\nend = time.time() + 1\nwhile time.time() < end: pass\nx = b'1' * (2 << 30)\n",
                    "out-of-memory"
                ),
            ])
        func usageOfEnded(limit: String, program: String, cause: String) throws {
            let policy = try PolicyFile("extends: default\nlimits: {\(limit)}\n")
            let project = try TestProject([.init(file: "one.py", text: program)])
            _ = try project.cloche("run", "main.orchest", "--name", project.name, "--policy", policy.name)
            let step = try #require(
                try (Cloche.run("show", "\(project.name)/0", "--json").value("steps") as? [[String: Any]])?.first)
            #expect((step["verdict"] as? [String: Any])?["cause"] as? String == cause, "\(step)")
            #expect(((step["usage"] as? [String: Any])?["cpu_seconds"] as? Double ?? 0) > 0.5, "\(step)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }
    }
}

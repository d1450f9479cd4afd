import Foundation
import Testing

extension EndToEndBeside {
    /// Each key of a document, and what happens only because something enforces it.
    @Suite("Keys of policies", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct PolicyKeys {
        /// What a key does to a command: with the document it ends and prints one way, without it another.
        struct Trial: Sendable, CustomTestStringConvertible {
            var keys: [String]
            /// What the document says beside `extends: default`, unless it begins with that itself.
            var text: String
            /// A shell command.
            var script: String
            /// What the document without the key says; nil is nothing.
            var without: String?
            /// What the script ends with, and prints, under each of them; nil where it does not matter.
            var status: (with: Int32?, without: Int32?)
            var output: (with: String?, without: String?) = (nil, nil)
            /// What is said under the document.
            var said: String?
            var variables: [String: String] = [:]
            var testDescription: String { keys.joined(separator: ", ") + ": " + text }
        }

        private static func python(_ text: String) -> String { "python3 -c '\(text)'" }

        private static let tunnel = python(
            """
            import socket
            s = socket.create_connection(("127.0.0.1", 3128), 20)
            s.sendall(b"CONNECT 127.0.0.1:9 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            print(s.recv(99).split()[1].decode())
            """)

        static let trials = [
            Trial(
                keys: ["extends"], text: "extends: strict\nidentity: any",
                script: "grep -q ' /data ' /proc/self/mountinfo",
                without: "extends: default\nidentity: any", status: (1, 0)),
            Trial(
                keys: ["network.allow", "network.mode"], text: "network: {mode: filtered, allow: [\"127.0.0.1:9\"]}",
                script: tunnel, without: "network: {mode: filtered, allow: [\"127.0.0.1:10\"]}", status: (0, 0),
                output: ("502\n", "403\n")),
            Trial(keys: ["data", "data.access"], text: "data: ro", script: "touch /data", status: (1, 0)),
            Trial(
                keys: ["data.access"], text: "data: {access: none}", script: "grep -q ' /data ' /proc/self/mountinfo",
                status: (1, 0)),
            Trial(
                keys: ["limits", "limits.memory", "limits.memory.value"], text: "limits: {memory: {value: 96MiB}}",
                script: python("x = b\"1\" * (200 << 20)"), status: (137, 0), said: "ran out of memory at 96MiB"),
            Trial(
                keys: ["limits.pids", "limits.pids.value"], text: "limits: {pids: {value: 16}}",
                script: "for i in $(seq 40); do sleep 1 & done 2>/dev/null; jobs -p | wc -l; wait",
                status: (2, 0)),
            Trial(
                keys: ["limits.cpus", "limits.cpus.value"], text: "limits: {cpus: {value: 0.2}}",
                script: python(
                    """
                    import time
                    a, b = time.monotonic(), time.process_time()
                    while time.monotonic() - a < 1.5: pass
                    print("held" if (time.process_time() - b) / (time.monotonic() - a) < 0.5 else "free")
                    """), status: (0, 0), output: ("held\n", nil)),
            Trial(
                keys: ["limits.wall_time", "limits.wall_time.value"], text: "limits: {wall_time: {value: 1s}}",
                script: "sleep 3", status: (124, 0), said: "time limit of 1 s"),
            Trial(
                keys: ["limits.cpu_time", "limits.cpu_time.value"], text: "limits: {cpu_time: {value: 1s}}",
                // The kernel's signal, or the supervisor's, whichever is first.
                script: "exec " + python("import time\nwhile time.process_time() < 3: pass"),
                status: (nil, 0), said: "used up its processor time of 1 s"),
            Trial(
                keys: ["limits.open_files", "limits.open_files.value"], text: "limits: {open_files: {value: 32}}",
                script: python("f = [open(\"/dev/null\") for _ in range(60)]"), status: (1, 0)),
            Trial(
                keys: ["limits.scratch", "limits.scratch.value"], text: "limits: {scratch: {value: 8MiB}}",
                script: "head -c 12000000 /dev/zero > /tmp/x", status: (1, 0)),
            Trial(
                keys: ["limits.scratch.enforce"], text: "limits: {scratch: {enforce: hard}}", script: "true",
                without: "limits: {scratch: {enforce: best-effort}}", status: (125, 0), said: "`scratch`",
                variables: ["CLOCHE_SCRATCH": "disk"]),
            Trial(
                keys: ["seccomp", "seccomp.allow"], text: "seccomp: {allow: [ptrace]}",
                script: python("import ctypes; print(ctypes.CDLL(None).ptrace(0, 0, 0, 0))"), status: (0, 0),
                output: ("0\n", "-1\n")),
            Trial(
                keys: ["seccomp.deny"], text: "seccomp: {deny: [flock]}", script: "flock /tmp true 2>/dev/null",
                status: (65, 0)),
            Trial(
                keys: ["seccomp.only"], text: "seccomp: {only: [\(usual)]}",
                script: "flock /tmp true 2>/dev/null", without: "seccomp: {only: [\(usual), flock]}", status: (65, 0)),
        ]

        /// What a shell and a program like flock(1) call.
        private static let usual = """
            access, chdir, clone, dup, dup2, fcntl, fstat, getcwd, getegid, geteuid, getgid, getpid, getppid, getrandom, \
            getuid, ioctl, kill, lseek, pipe, pipe2, poll, prlimit64, readlink, rseq, set_robust_list, stat, statfs, sysinfo, \
            umask, uname, vfork, wait4, getpgrp, getrusage
            """

        @Test("what a key says is enforced: without it the same command comes to something else", arguments: trials)
        func key(trial: Trial) throws {
            func run(_ text: String) throws -> CommandResult {
                let policy = try PolicyFile((text.hasPrefix("extends:") ? "" : "extends: default\n") + text + "\n")
                return try Cloche.start(
                    ["exec", "--policy", policy.name, "--", "sh", "-c", trial.script], environment: trial.variables
                ).wait()
            }
            let with = try run(trial.text)
            if let status = trial.status.with { #expect(with.status == status, "\(with.errors)\(with.output)") }
            if let output = trial.output.with { #expect(with.output == output, "\(with.errors)") }
            if let said = trial.said { #expect(with.errors.contains(said), "\(with.errors)") }
            let without = try run(trial.without ?? "data: rw")
            if let status = trial.status.without { #expect(without.status == status, "\(without.errors)") }
            if let output = trial.output.without { #expect(without.output == output, "\(without.errors)") }
        }

        @Test(
            "the network of a policy is its own, or the host's",
            .enabled(if: Cloche.isRoot, "a single id has no host network"))
        func network() throws {
            let host = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
            for (mode, isHost) in [("none", false), ("host", true)] {
                let policy = try PolicyFile("extends: default\nnetwork: \(mode)\n")
                let seen = try policy.exec("--", "readlink", "/proc/self/ns/net").output
                #expect((seen == host + "\n") == isHost, "\(mode) \(seen)")
            }
            let none = try PolicyFile("extends: default\nnetwork: none\n")
            #expect(try none.exec("--", "sh", "-c", "grep -c : /proc/net/dev").output == "1\n")
        }

        @Test("output beyond its limit ends a step")
        func output() throws {
            let policy = try PolicyFile("extends: default\nlimits: {output: {value: 64KiB}}\n")
            let project = try TestProject([.init(file: "one.sh", text: "seq 100000\n")])
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            let made = try project.cloche("run", "main.orchest", "--name", project.name, "--policy", policy.name)
            #expect(made.status == 1 && made.errors.contains("64KiB of output"), "\(made.errors)")
            let other = project.name + "-free"
            defer { _ = try? Cloche.run("rm", other, "--yes") }
            #expect(try project.cloche("run", "main.orchest", "--name", other).status == 0)
        }

        /// Keys with tests of their own, and where these are.
        static let elsewhere = [
            "network": "network()", "limits.output": "output()", "limits.output.value": "output()",
            "users": "SharedServices.policies()", "data.scope": "OwnPolicies.projectData",
            "identity": "SandboxDemandsTests, Unprivileged",
            // What the supervisor measures cannot be demanded of the kernel: only one word is known.
            "limits.wall_time.enforce": "HostileDocumentTests", "limits.output.enforce": "HostileDocumentTests",
            "limits.memory.enforce": "SandboxDemandsTests", "limits.pids.enforce": "SandboxDemandsTests",
            "limits.cpus.enforce": "SandboxDemandsTests", "limits.cpu_time.enforce": "SandboxDemandsTests",
            "limits.open_files.enforce": "SandboxDemandsTests",
            "limits.project": "ProjectRoom", "limits.project.value": "ProjectRoom",
            "limits.project.enforce": "ProjectRoom", "devices": "Devices", "devices.allow": "Devices",
            "devices.need": "Devices",
        ]

        @Test("each key that there is has a test")
        func all() throws {
            let listed = try Cloche.run("policy", "keys", "--json")
            let keys = try (listed.value("keys") as? [[String: Any]] ?? []).compactMap { $0["key"] as? String }
            #expect(keys.count > 30)
            let tried = Set(Self.trials.flatMap(\.keys)).union(Self.elsewhere.keys)
            #expect(Set(keys).subtracting(tried).isEmpty, "\(Set(keys).subtracting(tried).sorted())")
            #expect(tried.subtracting(keys).isEmpty, "\(tried.subtracting(keys).sorted())")
        }
    }
}

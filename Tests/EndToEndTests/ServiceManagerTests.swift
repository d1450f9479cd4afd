import Foundation
import Testing

extension EndToEnd {
    /// What the service says to systemd, and what keeps others away from it.
    @Suite("Service manager", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Manager {
        /// A socket on which a service manager listens.
        private final class NotifySocket {
            let number: Int32

            /// Binds it to a path, or to an abstract name that begins with `@`.
            init(_ name: String) throws {
                number = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                var bytes = Array(name.utf8)
                if name.hasPrefix("@") { bytes[0] = 0 }
                withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
                let length = socklen_t(2 + bytes.count)
                let failed = withUnsafePointer(to: address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(number, $0, length) }
                }
                guard failed == 0 else { throw TestFailure("bind `\(name)`: \(String(cString: strerror(errno)))") }
            }

            deinit { close(number) }

            /// What has come so far.
            func messages() -> [String] {
                var found: [String] = []
                var buffer = [UInt8](repeating: 0, count: 4096)
                while true {
                    let count = recv(number, &buffer, buffer.count, Int32(MSG_DONTWAIT))
                    if count <= 0 { return found }
                    found.append(String(decoding: buffer[..<count], as: UTF8.self))
                }
            }
        }

        @Test("it tells the manager that it is ready, alive and stopping", arguments: [false, true])
        func notifies(_ isAbstract: Bool) throws {
            let directory = try TemporaryDirectory()
            let name = isAbstract ? "@cloche-test-\(UUID().uuidString)" : directory.path + "/notify"
            let manager = try NotifySocket(name)
            let service = try TestService(
                environment: ["NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"])
            var heard: [String] = []
            #expect(
                eventually {
                    heard += manager.messages()
                    return heard.filter { $0 == "WATCHDOG=1" }.count >= 3
                })
            #expect(heard.contains { $0.hasPrefix("READY=1\nMAINPID=\(service.pid)\n") }, "\(heard)")
            #expect(service.end().status == 0)
            #expect(manager.messages().contains("STOPPING=1"))
        }

        @Test("what the manager told the service does not reach the runs' supervisors")
        func environment() throws {
            let directory = try TemporaryDirectory()
            let manager = try NotifySocket(directory.path + "/notify")
            let service = try TestService(environment: ["NOTIFY_SOCKET": directory.path + "/notify"])
            let project = try TestProject([.init(file: "one.sh", text: "sleep 30\n")])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name, "--detach").status == 0)
            var supervisor: pid_t?
            #expect(
                eventually(within: 10) {
                    supervisor =
                        ProcessTable.descendants(of: service.pid)
                        .first { $0.value.hasPrefix("cloche-supervis") }?.key
                    return supervisor != nil
                })
            let variables = try Data(contentsOf: URL(filePath: "/proc/\(supervisor ?? 0)/environ"))
            #expect(!String(decoding: variables, as: UTF8.self).contains("NOTIFY_SOCKET"))
            #expect(try Cloche.run("cancel", project.name).status == 0)
            #expect(service.end().status == 0)
            withExtendedLifetime(manager) {}
            try project.remove()
        }

        @Test("the printed unit is one that systemd takes, whatever the store is called")
        func unit() throws {
            let directory = try TemporaryDirectory()
            let text = try Cloche.start(
                ["system", "unit", "--max-parallel", "3"], environment: ["CLOCHE_HOME": "/srv/a b%$\"\\x"]
            ).wait()
            #expect(text.status == 0)
            for line in ["Type=notify", "KillMode=process", "Delegate=yes", "WatchdogSec=60"] {
                #expect(text.output.contains(line + "\n"))
            }
            #expect(text.output.contains("RuntimeDirectory=cloche\n") == Cloche.isRoot)
            #expect(text.output.contains("cloche\" serve --max-parallel 3\n"))
            #expect(text.output.contains(#"Environment="CLOCHE_HOME=/srv/a b%%$\"\\x""# + "\n"))
            let analyze = "/usr/bin/systemd-analyze"
            guard FileManager.default.isExecutableFile(atPath: analyze) else {
                return print("skipped: the unit is not verified, for systemd-analyze(1) is not installed")
            }
            try directory.write(text.output, to: "cloche.service")
            let verified = try StartedCommand(
                analyze, ["verify", "--man=no", directory.path + "/cloche.service"],
                environment: ["SYSTEMD_LOG_LEVEL": "warning"]
            ).wait(timeout: 30)
            #expect(verified.status == 0, "\(verified.errors)")
            #expect(!verified.errors.contains("cloche.service"), "\(verified.errors)")
        }

        @Test("the unit takes the options of the service, and only what the service would take")
        func unitOptions() throws {
            let options = { (command: [String]) throws -> Set<String> in
                let help = try Cloche.start(command + ["--help"]).wait().output
                return Set(help.matches(of: /--[a-z-]+/).map { String($0.output) }.filter { help.contains("  " + $0) })
            }
            let known = try options(["serve"])
            #expect(known.contains("--max-disk") && known.contains("--max-pending"), "\(known)")
            #expect(try options(["system", "unit"]).isSuperset(of: known))

            let words = [
                "--max-parallel", "3", "--share", "--socket", "/srv/$a b/socket", "--group", "root",
                "--max-parallel-per-user", "2", "--max-pending", "50", "--max-connections", "7", "--max-project",
                "500M",
                "--max-disk", "5GiB", "--max-disk", "@root=none",
            ]
            let unit = try Cloche.start(["system", "unit"] + words).wait()
            let quoted = words.map { $0.contains(" ") ? #""/srv/$$a b/socket""# : $0 }.joined(separator: " ")
            #expect(unit.status == 0 && unit.output.contains("cloche\" serve \(quoted)\n"), "\(unit)")
            // What is so anyway is left out.
            let usual = ["--share", "--socket", "/srv/socket", "--max-pending", "100000", "--max-project", "20GiB"]
            #expect(
                try Cloche.start(["system", "unit"] + usual).wait().output.contains(
                    "serve --share --socket /srv/socket\n"))
            for (wrong, code) in [
                (["--max-disk", "5GiB"], 64), (["--share", "--socket", "here"], 64), (["--group", "root"], 64),
                (["--share", "--socket", "/srv/socket", "--group", "none-of-here"], 5), (["--max-parallel", "0"], 64),
            ] as [([String], Int32)] {
                let refused = try Cloche.start(["system", "unit"] + wrong).wait()
                #expect(refused.status == code && refused.output.isEmpty, "\(wrong): \(refused)")
            }
        }

        /// Runs a script as root where `/run` is empty; `$1` is the program.
        private func inEmptyRun(_ script: String) throws -> CommandResult {
            try StartedCommand(
                "/usr/bin/unshare",
                ["--mount", "sh", "-c", "mount -t tmpfs none /run && " + script, "sh", try Cloche.program()],
                environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 30)
        }

        @Test(
            "a run-time directory that others may write to is refused by service and commands",
            .enabled(if: Cloche.isRoot, "a private /run needs root"),
            arguments: ["mkdir -m 755 /run/cloche", "mkdir -m 700 /run/cloche; chown 65534 /run/cloche"])
        func openDirectory(_ directory: String) throws {
            let served = try inEmptyRun("{ \(directory); timeout 5 $1 serve; }")
            #expect(served.status == 78, "\(served.errors)")
            #expect(served.errors.contains("others may use it too"))
            #expect(served.errors.contains("hint: make it yours alone"))
            let asked = try inEmptyRun(
                """
                { $1 serve & service=$!
                while ! $1 system status >/dev/null 2>&1; do sleep 0.05; done
                mv /run/cloche /run/mine; \(directory); cp -a /run/mine/* /run/cloche
                timeout 5 $1 system status; code=$?
                kill $service; wait $service; exit $code; }
                """)
            #expect(asked.status == 78, "\(asked.errors)")
        }

        @Test(
            "the socket is the owner's alone, and somebody else is not answered even where it is reached",
            .enabled(if: Cloche.isRoot, "becoming somebody else needs root"),
            .enabled(
                if: FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv"), "setpriv(1) is not installed"),
            .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "python3 is not installed"))
        func stranger() throws {
            let ask = """
                import glob, socket, sys
                s = socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(glob.glob("/run/cloche/*.sock")[0])
                try:
                    s.sendall(b'{"request":"status"}\\n'); print("answer", len(s.recv(4096)))
                except (BrokenPipeError, ConnectionResetError):
                    print("answer 0")
                """
            let directory = try TemporaryDirectory()
            chmod(directory.path, 0o755)
            try directory.write(ask, to: "ask.py")
            let result = try inEmptyRun(
                """
                { $1 serve 2>/dev/null & service=$!
                while ! $1 system status >/dev/null 2>&1; do sleep 0.05; done
                stat -c '%a %n' /run/cloche /run/cloche/* | sed 's,/run/cloche/.*,socket,'
                /usr/bin/python3 \(directory.path)/ask.py
                chmod 755 /run/cloche; chmod 666 /run/cloche/*.sock
                setpriv --reuid 65534 --regid 65534 --clear-groups /usr/bin/python3 \(directory.path)/ask.py
                kill $service; wait $service; }
                """)
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(lines.count == 4 && lines[0] == "700 /run/cloche" && lines[1] == "600 socket", "\(result)")
            #expect(lines.count == 4 && lines[2] != "answer 0" && lines[3] == "answer 0", "\(result)")
        }

        @Test(
            "clients that send nonsense, too much, or read nothing do not disturb the service",
            .enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/python3"), "python3 is not installed"))
        func nonsense() throws {
            let service = try TestService()
            let path = try #require(
                service.log.split(separator: "\n").first?.components(separatedBy: " at ").last)
            let program = """
                import socket, sys, time
                def client():
                    s = socket.socket(socket.AF_UNIX); s.settimeout(5)
                    while True:
                        try:
                            s.connect(sys.argv[1]); return s
                        except BlockingIOError:
                            time.sleep(0.01)
                s = client(); s.sendall(b'no json\\n'); print(s.recv(4096).decode().strip())
                s.sendall(b'{"request":"follow","job":"../../etc"}\\n'); print(s.recv(4096).decode().strip())
                s = client()
                try:
                    s.sendall(b'x' * 1000000); print("closed" if s.recv(10) == b'' else "open")
                except (BrokenPipeError, ConnectionResetError):
                    print("closed")
                s = client(); s.setblocking(False); sent = 0
                try:
                    while sent < 60_000_000: sent += s.send(b'{"request":"status"}\\n' * 1000)
                except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                    pass
                rest = [client() for _ in range(200)]
                s = client(); s.sendall(b'{"request":"status"}\\n'); print("pid" in s.recv(4096).decode())
                """
            let asked = try StartedCommand("/usr/bin/python3", ["-c", program, path]).wait(timeout: 30)
            let lines = asked.output.split(separator: "\n").map(String.init)
            #expect(lines.count == 4, "\(asked)")
            #expect(lines.prefix(2).allSatisfy { $0.contains(#""message":"problem""#) }, "\(lines)")
            #expect(lines.dropFirst(2) == ["closed", "True"], "\(lines)")
            #expect(service.end().status == 0)
        }
    }
}

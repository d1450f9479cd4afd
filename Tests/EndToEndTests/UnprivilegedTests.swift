import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "Without privileges", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "making a user needs root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "builds need /dev/net/tun"))
    struct Unprivileged {
        /// A user who exists as long as this value, with a range of ids or without one.
        final class User {
            let name = "cloche" + UUID().uuidString.prefix(8).lowercased()
            let directory: TemporaryDirectory
            var home: String { directory.path + "/home" }
            var cloche: String { directory.path + "/bin/cloche" }

            init(hasRange: Bool) throws {
                directory = try TemporaryDirectory()
                chmod(directory.path, 0o755)
                let programs = try #require(Cloche.programs)
                try FileManager.default.createDirectory(
                    atPath: directory.path + "/bin", withIntermediateDirectories: true)
                var root = URL(filePath: programs)
                while root.path != "/", !FileManager.default.fileExists(atPath: root.path + "/Environments") {
                    root = root.deletingLastPathComponent()
                }
                try Self.command(
                    "/bin/cp",
                    ["-a"]
                        + [
                            "cloche", "cloche-commands", "cloche-supervisor", "cloche-init", "cloche-prove",
                            "cloche_Runs.resources",
                        ]
                        .map { programs + "/" + $0 } + [directory.path + "/bin"])
                let recipes = ProcessInfo.processInfo.environment["CLOCHE_ENVIRONMENTS"] ?? root.path + "/Environments"
                try Self.command("/bin/cp", ["-aL", recipes, directory.path + "/Environments"])
                try Self.command(
                    "/bin/chmod", ["-R", "a+rX", directory.path + "/bin", directory.path + "/Environments"])
                try Self.command("/bin/mknod", ["--mode", "0666", directory.path + "/tun", "c", "10", "200"])
                try Self.command(
                    "/usr/sbin/useradd",
                    ["--create-home", "--home-dir", home, "--shell", "/bin/sh"]
                        + (hasRange ? [] : ["--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"]) + [name])
            }

            deinit {
                try? Self.command("/usr/sbin/userdel", ["--force", name])
            }

            /// What the user sees as `/dev/net/tun`.
            var tunDevice: String { directory.path + "/tun" }

            /// Runs `cloche` as the user, who may open `/dev/net/tun` as users may where udev made it.
            func run(
                _ arguments: String..., in place: String? = nil, environment: [String: String] = [:],
                timeout: Double = 120
            ) throws -> CommandResult {
                try start(arguments, in: place, environment: environment).wait(timeout: timeout)
            }

            func start(
                _ arguments: [String], in place: String? = nil, environment: [String: String] = [:]
            ) throws -> StartedCommand {
                try StartedCommand(
                    "/usr/bin/unshare",
                    [
                        "--mount", "--propagation", "private", "/bin/sh", "-c",
                        "mount --bind \"$0\" /dev/net/tun && exec \"$@\"", directory.path + "/tun",
                        "/usr/bin/setpriv", "--reuid", name, "--regid", name, "--init-groups", "--inh-caps=-all",
                        cloche,
                    ] + arguments,
                    environment: [
                        "HOME": home, "CLOCHE_HOME": home + "/store",
                        "CLOCHE_ENVIRONMENTS": directory.path + "/Environments",
                    ].merging(environment) { $1 }, directory: place ?? home)
            }

            private static func command(_ program: String, _ arguments: [String]) throws {
                let result = try StartedCommand(program, arguments).wait()
                guard result.status == 0 else { throw TestFailure("`\(program)` failed: \(result.errors)") }
            }
        }

        @Test("a store of somebody else, and a host without the tun device, are told before anything is begun")
        func refusals() throws {
            let user = try User(hasRange: true)
            let foreign = try TemporaryDirectory()
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: foreign.path)
            let store = foreign.path + "/store"
            #expect(
                try StartedCommand(Cloche.program(), ["ls"], environment: ["CLOCHE_HOME": store]).wait(timeout: 30)
                    .status == 0)
            for words in [["ls"], ["exec", "--", "true"], ["policy", "ls"], ["secret", "ls"]] {
                let refused = try user.start(words, environment: ["CLOCHE_HOME": store]).wait(timeout: 30)
                #expect(refused.status == 78, "\(words): \(refused)")
                #expect(refused.errors.contains("Permission denied"), "\(words): \(refused.errors)")
                #expect(
                    refused.errors.contains("name a directory of your own in CLOCHE_HOME"),
                    "\(words): \(refused.errors)")
            }
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: user.tunDevice)
            let build = try user.run("env", "build", "python", timeout: 100)
            #expect(build.status == 78 && build.errors.contains("chmod 0666 /dev/net/tun"), "\(build.errors)")
            #expect(!build.errors.contains("[1/"), "\(build.errors)")
            #expect(build.errors.contains("build the environment `python`: "), "\(build.errors)")
            #expect(build.errors.contains("through a tun device: open `/dev/net/tun`"), "\(build.errors)")
        }

        @Test("a user with a range of ids builds, executes and runs jobs", .timeLimit(.minutes(4)))
        func withRange() throws {
            let user = try User(hasRange: true)
            let built = try user.run("env", "build", "python", timeout: 200)
            try #require(built.status == 0, "\(built.errors)\(built.output)")
            let inside = try user.run(
                "exec", "--", "sh", "-c", "id -u; grep -E 'CapEff|Seccomp:' /proc/self/status; stat -c %u /proc/1")
            #expect(inside.status == 0, "\(inside.errors)")
            #expect(inside.output.hasPrefix("1000\nCapEff:\t0000000000000000\nSeccomp:\t2\n"), "\(inside.output)")
            #expect(try user.run("exec", "--", "cat", "/proc/1/mem").status != 0)

            // A proxy needs no rights of its own.
            try FileManager.default.createDirectory(
                atPath: user.home + "/store/policies", withIntermediateDirectories: true)
            try Data("network: {mode: filtered, allow: ['127.0.0.1:9']}\n".utf8).write(
                to: URL(filePath: user.home + "/store/policies/few.yaml"))
            let refused = try user.run(
                "exec", "--policy", "few", "--", "python3", "-c",
                "import urllib.request; urllib.request.urlopen('http://evil.example.net/')")
            #expect(refused.status == 1 && refused.errors.contains("refused it a connection to"), "\(refused.errors)")

            let project = try TestProject(
                [
                    .init(
                        file: "one.py",
                        text: "import orchest; print(orchest.get_pipeline_param('x')); open('mine', 'w')\n")
                ],
                parameters: ["x": 1], grid: ["pipeline": ["x": [1, 2]]])
            let job = try user.run("job", "create", "main.orchest", "--name", project.name, "--json", in: project.path)
            #expect(job.status == 0, "\(job.errors)")
            #expect(try user.run("logs", "\(project.name)/1/one", "--raw").output == "2\n")
            try serves(user, project)
            #expect(try user.run("rm", project.name, "--yes").status == 0)
            #expect(!project.directory.names.contains("mine"))

            // Files of other ids of the range are removed as well, by the command itself or by the next one.
            let scratch = user.home + "/store/scratch"
            func left() -> [String] { (try? FileManager.default.subpathsOfDirectory(atPath: scratch)) ?? [] }
            let disk = ["CLOCHE_SCRATCH": "disk"]
            let kept = try user.run("exec", "--", "sh", "-c", "echo x > /var/tmp/kept", environment: disk)
            #expect(kept.status == 0, "\(kept.errors)")
            #expect(left() == [])
            let killed = try user.start(
                ["exec", "--", "sh", "-c", "echo x > /var/tmp/kept; sleep 600"], environment: disk)
            defer { killed.signal(SIGKILL) }
            try #require(eventually(within: 20) { left().contains { $0.hasSuffix("upper/var/tmp/kept") } })
            killed.signal(SIGKILL)
            _ = killed.wait(timeout: 10)
            #expect(
                try eventually {
                    _ = try user.run("exec", "--", "true")
                    return left().isEmpty
                }, "\(left())")
        }

        @Test(
            "every way out that is known is closed for users as well", .timeLimit(.minutes(1)),
            arguments: [true, false])
        func escapes(hasRange: Bool) throws {
            let result = try User(hasRange: hasRange).run("system", "doctor", "--prove", "--json")
            let escapes = try result.value("escapes") as? [[String: Any]] ?? []
            #expect(escapes.count > 120, "\(result.errors)")
            let open = escapes.filter { $0["result"] as? String == "open" }
            #expect(open.isEmpty, "\(open)")
        }

        @Test("a user with the own id alone has filtered networks", .timeLimit(.minutes(2)))
        func withSingleIdentity() throws {
            let user = try User(hasRange: false)
            // Who has one id builds nothing; an image of the directory of a program is enough.
            let image = user.directory.path + "/image"
            let make = """
                mkdir -p "$0/bin" && cp /bin/sh "$0/bin" && ldd /bin/sh /usr/bin/curl | grep -o '/[^ :]*' | sort -u \
                    | while read f; do [ -f "$f" ] && mkdir -p "$0$(dirname "$f")" && cp -L "$f" "$0$f"; done
                mkdir -p "$0/usr/bin" && cp /usr/bin/curl "$0/usr/bin" && chmod -R a+rX "$0"
                """
            try #require(FileManager.default.fileExists(atPath: "/usr/bin/curl"))
            _ = try StartedCommand("/bin/sh", ["-c", make, image]).wait()
            let imported = try user.run("env", "import", "tiny", image)
            try #require(imported.status == 0, "\(imported.errors)")
            try FileManager.default.createDirectory(
                atPath: user.home + "/store/policies", withIntermediateDirectories: true)
            let network = try TestNetwork()
            try Data("network: {mode: filtered, allow: ['data.example.org:80']}\n".utf8).write(
                to: URL(filePath: user.home + "/store/policies/few.yaml"))
            let result = try network.start(
                [
                    "/usr/bin/setpriv", "--reuid", user.name, "--regid", user.name, "--init-groups", "--inh-caps=-all",
                    user.cloche, "exec", "--policy", "few", "--environment", "tiny", "--", "/bin/sh", "-c",
                    "curl -sS http://data.example.org/proxy; curl -sS --noproxy '*' http://data.example.org/direct; "
                        + "curl -s -o /dev/null -w '%{http_code}' http://evil.example.net/; exit 3",
                ], environment: ["HOME": user.home, "CLOCHE_HOME": user.home + "/store"]
            ).wait()
            #expect(
                result.output
                    == "GET /proxy host=data.example.org body=0\nGET /direct host=data.example.org body=0\n403",
                "\(result.output)\(result.errors)")
            #expect(result.errors.contains("refused it a connection to `evil.example.net:80`"), "\(result.errors)")
        }

        /// A service of the user's, which commands find whether they have the run-time directory or not.
        private func serves(_ user: User, _ project: TestProject) throws {
            for directory in [nil, user.home + "/run"] {
                if let directory {
                    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
                    let owner = try FileManager.default.attributesOfItem(atPath: user.home)
                    try FileManager.default.setAttributes(
                        [.ownerAccountID: owner[.ownerAccountID] ?? 0, .posixPermissions: 0o700],
                        ofItemAtPath: directory)
                }
                let service = try user.start(
                    ["serve"], environment: directory.map { ["XDG_RUNTIME_DIR": $0] } ?? [:])
                defer { service.signal(SIGKILL) }
                #expect(
                    try eventually(within: 10) { try user.run("system", "status").status == 0 }, "\(service.errors)")
                let made = try user.run(
                    "job", "create", "main.orchest", "--name", "served", "--detach", in: project.path)
                #expect(made.status == 0, "\(made.errors)")
                #expect(try user.run("watch", "served").status == 0, "\(service.errors)")
                #expect(try user.run("rm", "served", "--yes").status == 0)
                #expect(try user.run("system", "stop").status == 0)
                #expect(service.wait(timeout: 10).status == 0)
            }
        }
    }
}

import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "Hostile environments", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "the trees need owners and devices that only root can make"))
    struct HostileEnvironments {
        /// An environment with a tree of the test's own above `python`, in force as long as this value exists.
        ///
        /// Made by hand as builds lay it down, for nothing that builds or imports would make such a tree.
        final class Environment {
            let name = "hostile-" + UUID().uuidString.prefix(8).lowercased()
            private let store: String
            private let owner: String
            private var build: String { "\(store)/builds/\(name)" }
            private var record: String { "\(store)/names/\(name).json" }

            /// `script` makes the tree, in an empty working directory; `after` runs when the tree has its owner.
            init(_ script: String, after: String = "") throws {
                let home = try Cloche.home.get()
                store = home + "/environments"
                let identity = try Self.object(home + "/identity.json")
                let users = identity["users"] as? [[String: Any]] ?? []
                let base = users.first { $0["inside"] as? Int == 0 }?["outside"] as? Int
                owner = "\(try #require(base)):\(try #require(base))"

                let current = try Self.object("\(store)/names/python.json")
                let python = try #require(current["build"] as? String)
                var description = try Self.object("\(store)/builds/\(python)/build.json")
                description["id"] = name
                description["name"] = name
                description["layers"] = [name] + (description["layers"] as? [String] ?? [])
                try FileManager.default.createDirectory(atPath: "\(build)/tree", withIntermediateDirectories: true)
                chmod("\(build)/tree", 0o755)
                try JSONSerialization.data(withJSONObject: description).write(to: URL(filePath: "\(build)/build.json"))
                try JSONSerialization.data(withJSONObject: ["build": name]).write(to: URL(filePath: record))
                try shell(script + "\nchown -hR \(owner) '\(build)'\n" + after)
            }

            deinit {
                try? FileManager.default.removeItem(atPath: record)
                try? FileManager.default.removeItem(atPath: build)
            }

            /// Runs a shell's commands in a sandbox of the environment.
            func run(_ text: String, _ options: String...) throws -> CommandResult {
                try Cloche.start(["exec", "--environment", name] + options + ["--", "sh", "-c", text]).wait(timeout: 30)
            }

            private func shell(_ text: String) throws {
                let result = try StartedCommand("/bin/sh", ["-euc", text], directory: "\(build)/tree").wait(timeout: 60)
                guard result.status == 0 else { throw TestFailure("the tree cannot be made: \(result.errors)") }
            }

            private static func object(_ path: String) throws -> [String: Any] {
                try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path))) as? [String: Any] ?? [:]
            }
        }

        /// A file of the host that no sandbox may see or change, with the directory in which it lies.
        private struct Bait {
            let directory: TemporaryDirectory
            let secret = "secret-" + UUID().uuidString

            init() throws {
                directory = try TemporaryDirectory()
                try directory.write(secret, to: "bait")
                chmod(directory.path, 0o777)
                chmod(directory.path + "/bait", 0o666)
            }

            /// Links that lead to the directory if they are followed outside: absolute, and up from wherever they are.
            var links: [String] { [directory.path, String(repeating: "../", count: 24) + directory.path.dropFirst()] }

            func expectUntouched(_ result: CommandResult, _ comment: Comment) throws {
                #expect(!result.output.contains(secret) && !result.errors.contains(secret), comment)
                #expect(directory.names == ["bait"], comment)
                #expect(try directory.read("bait") == secret, comment)
            }
        }

        @Test(
            "a link in place of a mount point leads nowhere outside, and the mount is where it belongs",
            arguments: ["proc", "dev", "tmp", "run", "data", "etc", "project-dir", "dev/shm", "run/lock"])
        func linkedMountPoint(_ place: String) throws {
            let bait = try Bait()
            let project = try TemporaryDirectory()
            try project.write("mine", to: "own")
            for link in bait.links + ["/etc", "/", "/proc/1/root", "/proc/self/fd/3"] {
                let environment = try Environment("mkdir -p \"$(dirname \(place))\"; ln -s '\(link)' \(place)")
                let result = try environment.run(
                    """
                    cat /\(place)/bait; echo changed > /\(place)/bait; echo new > /\(place)/new
                    [ -r /proc/self/status ] && [ -c /dev/null ] && [ -d /tmp ] && [ ! -L /\(place) ] && echo whole
                    echo x 2>/dev/null > /dev/shm/own && echo x > /tmp/own && cat /project-dir/own
                    stat -f -c %T /proc /dev /dev/shm
                    """, "--project", project.path)
                try bait.expectUntouched(result, "`\(place)` links to `\(link)`")
                // Refused is right as well, if it is said why.
                if result.status != 0 {
                    #expect(result.status == 125 && result.errors.contains("cloche: "), "\(result.errors)")
                } else {
                    #expect(result.output.hasSuffix("whole\nmineproc\ntmpfs\ntmpfs\n"), "\(place): \(result.output)")
                }
                #expect(project.names == ["own"])
            }
        }

        @Test("attributes by which an overlay finds files elsewhere lead a layer of an environment nowhere")
        func overlayAttributes() throws {
            let forge = """
                python3 -c 'import os
                for name in ["copy", "up", "own"]:
                    open("etc/" + name, "w").close()
                    os.setxattr("etc/" + name, "user.overlay.metacopy", b"")
                os.setxattr("etc/copy", "user.overlay.redirect", b"/etc/shadow")
                os.setxattr("etc/up", "user.overlay.redirect", b"/../../../../etc/passwd")
                os.setxattr("etc/own", "user.overlay.redirect", b"shadow")
                for name, target in [("dir", b"/root"), ("above", b"/../.."), ("beside", b"usr")]:
                    os.mkdir("opt/" + name)
                    os.setxattr("opt/" + name, "user.overlay.redirect", target)'
                """
            let environment = try Environment("mkdir etc opt", after: forge)
            let result = try environment.run(
                "cat /etc/copy /etc/up /etc/own 2>/dev/null; cd /opt; ls -A dir above beside | grep -v :; head -c 5 /etc/os-release"
            )
            #expect(result.output.split(separator: "\n") == ["PRETT"], "\(result.output) \(result.errors)")
        }

        @Test("a link to what sandboxes share opens no way to make sockets there")
        func linkedData() throws {
            let environment = try Environment("ln -s /data elsewhere; ln -s data other; ln -s tmp third")
            let program = """
                import os, socket
                for place in ["/data", "/elsewhere", "/other", "/third", "/tmp"]:
                    path = place + "/cloche-linked-" + place[1:]
                    try:
                        socket.socket(socket.AF_UNIX).bind(path)
                        print("made")
                        os.unlink(path)
                    except OSError as error:
                        print(error.errno)
                """
            let result = try environment.run("python3 -c '\(program)'")
            #expect(result.output == "13\n13\n13\nmade\nmade\n", "\(result.errors)")
        }

        @Test("a file or a device in place of a mount point is covered")
        func otherMountPoint() throws {
            let environment = try Environment(
                "echo file > proc; mknod dev c 1 1; mkfifo tmp; echo file > data; mkdir etc; mkfifo etc/resolv.conf")
            let result = try environment.run(
                "[ -d /proc/self ] && [ -c /dev/null ] && [ -d /tmp ] && [ -d /data ] && echo whole")
            #expect(result.output == "whole\n", "\(result.errors)")
        }

        @Test("devices that an environment brings are not the sandbox's, and cannot be used")
        func devices() throws {
            let environment = try Environment(
                """
                mkdir dev own; ln -s /proc/sysrq-trigger dev/null; ln -s /proc/sysrq-trigger dev/tty
                mknod own/null c 1 3; mknod own/mem c 1 1; mknod own/kmsg c 1 11; mknod own/disk b 254 0; chmod 666 own/*
                """)
            let result = try environment.run(
                """
                stat -c '%F %t %T' /dev/null; echo h > /dev/null
                for name in null mem kmsg disk; do
                    [ -e /own/$name ] && head -c 1 /own/$name 2>/dev/null && echo read $name
                    (echo x > /own/$name) 2>/dev/null && echo wrote $name
                done
                true
                """)
            #expect(result.output == "character special file 1 3\n", "\(result.errors)")
        }

        @Test(
            "a device of the host that is not what its name says is shown to nobody",
            arguments: [true, false])
        func falseDevice(_ canMakeNodes: Bool) throws {
            let rights = canMakeNodes ? "" : "setpriv --bounding-set -mknod "
            let script = """
                mount --bind /dev/zero /dev/urandom &&
                    exec \(rights)"$0" exec -- sh -c 'echo ran; head -c 64 /dev/urandom | tr -d "\\0" | wc -c'
                """
            let result = try StartedCommand(
                "/usr/bin/unshare", ["-m", "sh", "-c", script, try Cloche.program()],
                environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 30)
            if canMakeNodes {
                // Its own node is what it says.
                #expect(result.status == 0 && result.output.hasPrefix("ran\n"), "\(result.errors)")
                #expect(!result.output.hasSuffix("\n0\n"), "\(result.output)")
            } else {
                #expect(result.status == 125 && result.output == "", "\(result.errors)")
                #expect(result.errors.contains("open the device `/dev/urandom`"), "\(result.errors)")
            }
        }

        @Test(
            "links in place of the files that name the sandbox change nothing outside",
            arguments: ["default", "online"])
        func namingFiles(_ policy: String) throws {
            let bait = try Bait()
            for link in bait.links {
                let environment = try Environment(
                    "mkdir etc; for f in resolv.conf hosts hostname; do ln -s '\(link)/bait' etc/$f; done")
                let result = try environment.run(
                    "for f in resolv.conf hosts hostname; do stat -c %F /etc/$f; cat /etc/$f; done", "--policy", policy)
                try bait.expectUntouched(result, "`\(link)`")
                if result.status == 0 {
                    #expect(result.output.contains("127.0.0.1 localhost"), "\(result.output)")
                    #expect(!result.output.contains("symbolic link"), "\(result.output)")
                } else {
                    #expect(result.status == 125 && result.errors.contains("cloche: "), "\(result.errors)")
                }
            }
        }

        @Test("setuid and setgid bits and capabilities of files have no effect")
        func privilegedFiles() throws {
            let tools = ["/usr/sbin/setcap", "/sbin/setcap"].filter { FileManager.default.isExecutableFile(atPath: $0) }
            // A copy of the environment's own programs: nothing has to be built for them.
            let build = try Environment.pythonTree()
            let environment = try Environment(
                "mkdir own; for f in setuid capable; do cp '\(build)/usr/bin/cat' own/$f; cp '\(build)/usr/bin/id' own/id; done",
                after: "chmod 6755 own/setuid own/id\n"
                    + tools.prefix(1).map { "\($0) cap_sys_admin,cap_setuid,cap_dac_override+ep own/capable\n" }
                    .joined())
            let result = try environment.run(
                "for f in setuid capable; do /own/$f /proc/self/status; done; /own/id -u; /own/id -g; /own/id -ru")
            #expect(result.status == 0, "\(result.errors)")
            let lines = result.output.split(separator: "\n").map(String.init)
            let sets = lines.filter { $0.hasPrefix("Cap") }
            #expect(sets.count == 10 && sets.allSatisfy { $0.hasSuffix("\t0000000000000000") }, "\(sets)")
            let ids = lines.filter { $0.hasPrefix("Uid:") || $0.hasPrefix("Gid:") }
            #expect(ids.count == 4 && ids.allSatisfy { $0.hasSuffix("\t1000\t1000\t1000\t1000") }, "\(ids)")
            #expect(lines.suffix(3) == ["1000", "1000", "1000"])
            #expect(lines.contains("NoNewPrivs:\t1"))
        }

        @Test(
            "names that are no text, or that a terminal obeys, are passed to the command as they are and never shown raw"
        )
        func names() throws {
            let environment = try Environment(
                #"""
                mkdir own; cd own; for n in 'a\nb' '\033[31mred' '\377\376' '-rf' '$(touch x)' '\033]0;title\007'; do
                    touch -- "$(printf -- "$n")"; done
                printf '#!/\033[31mnowhere\n' > script; chmod 755 script
                """#)
            let count = try environment.run("cd /own; set -- *; echo $#")
            #expect(count.output == "7\n", "\(count.errors)")
            for name in ["\u{1B}[31mred", "a\nb", "\u{1B}]0;title\u{7}", "script"] {
                let result = try Cloche.run("exec", "--environment", environment.name, "--", "/own/" + name)
                #expect(result.status == 126 || result.status == 127, "\(result.errors)")
                #expect(!result.errors.contains("\u{1B}") && !result.errors.contains("\u{7}"), "\(result.errors)")
            }
            let missing = try Cloche.run("exec", "--environment", environment.name, "--", "/own/\u{1B}[2Jmissing")
            #expect(missing.status == 127)
            #expect(!missing.errors.contains("\u{1B}"), "\(missing.errors)")
        }

        @Test(
            "programs that are links into the sandbox's own machinery or in circles are not executed",
            arguments: ["/proc/1/exe", "/proc/self/exe", "/proc/self/fd/3", "circle", "/data", "/dev/null"])
        func linkedPrograms(_ target: String) throws {
            let environment = try Environment("mkdir own; ln -s '\(target)' own/circle")
            let result = try Cloche.run("exec", "--environment", environment.name, "--", "/own/circle", timeout: 20)
            // What is about to become the command is still init then: the sealed program refuses to be anything else.
            if target == "/proc/self/exe", result.status == 64 { return }
            #expect([126, 127].contains(result.status), "\(result.status) \(result.output) \(result.errors)")
            #expect(result.errors.contains("cloche: "), "\(result.errors)")
        }
    }
}

extension EndToEnd.HostileEnvironments.Environment {
    /// The tree of the environment `python` in the tests' store.
    static func pythonTree() throws -> String {
        let builds = try Cloche.home.get() + "/environments/builds"
        let trees = try FileManager.default.contentsOfDirectory(atPath: builds).map { "\(builds)/\($0)/tree" }
        return try #require(trees.first { FileManager.default.fileExists(atPath: $0 + "/usr/bin/cat") })
    }
}

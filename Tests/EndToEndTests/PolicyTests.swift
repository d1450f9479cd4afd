import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Policies of one's own", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct OwnPolicies {
        @Test("what a policy opens and denies is open and denied")
        func systemCalls() throws {
            let policy = try PolicyFile("extends: default\nseccomp: {allow: [ptrace], deny: [flock]}\n")
            let program = """
                import fcntl, os
                libc = __import__("ctypes").CDLL(None, use_errno=True)
                print(libc.ptrace(0, 0, 0, 0))
                try: fcntl.flock(os.open("/tmp", 0), fcntl.LOCK_EX); print("locked")
                except OSError as e: print(e.errno)
                raise SystemExit(3)
                """
            let result = try policy.exec("--", "python3", "-c", program)
            #expect(result.output == "0\n1\n", "\(result.errors)")
            #expect(result.errors.contains("flock") && result.errors.contains("by policy"), "\(result.errors)")
        }

        @Test("programs see the processors that their limit gives them, and nothing else")
        func processors() throws {
            let policy = try PolicyFile("extends: default\nlimits: {cpus: 1}\n")
            let result = try policy.exec(
                "--", "sh", "-c",
                "nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo; grep -c ^cpu[0-9] /proc/stat; "
                    + "grep btime /proc/stat; echo $OMP_NUM_THREADS")
            let boot = try String(contentsOfFile: "/proc/stat", encoding: .utf8).split(separator: "\n")
                .first { $0.hasPrefix("btime") }
            #expect(result.output == "1\n1\n1\n1\n\(boot ?? "")\n1\n", "\(result.errors)")
            let own = try policy.exec("--env-var", "OMP_NUM_THREADS=3", "--", "sh", "-c", "echo $OMP_NUM_THREADS")
            #expect(own.output == "3\n")
            #expect(try policy.exec("--", "sh", "-c", "echo 0 > /sys/devices/system/cpu/online").status == 2)
        }

        @Test("data of a project is its own")
        func projectData() throws {
            let policy = try PolicyFile("extends: default\ndata: {access: rw, scope: project}\n")
            let (one, two) = (try TemporaryDirectory(), try TemporaryDirectory())
            #expect(try policy.exec("--project", one.path, "--", "touch", "/data/kept").status == 0)
            #expect(try policy.exec("--project", one.path, "--", "ls", "/data").output == "kept\n")
            #expect(try policy.exec("--project", two.path, "--", "ls", "/data").output == "")
            let none = try policy.exec("--", "true")
            #expect(none.status == 64)
            #expect(none.errors.contains("--project"))
        }

        @Test("a job keeps the policy that it was made with")
        func pinned() throws {
            var policy: PolicyFile? = try PolicyFile("extends: default\nlimits: {pids: 77}\n")
            let name = try #require(policy).name
            let project = try TestProject([.init(file: "one.py", text: "print(1)\n")])
            let made = try project.cloche("run", "main.orchest", "--name", project.name, "--policy", name)
            #expect(made.status == 0, "\(made.errors)")
            policy = nil
            let shown = try Cloche.run("show", "\(project.name)/0").output
            #expect(shown.contains("pids 77"), "\(shown)")
            #expect(try Cloche.run("exec", "--policy", name, "--", "true").status == 5)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test(
            "the administrator's ceiling clips every policy, and what it took is told",
            .enabled(if: Cloche.isRoot, "showing another /etc needs root"))
        func ceiling() throws {
            let directory = try TemporaryDirectory()
            try directory.write("network: none\nlimits: {pids: 99}\nseccomp: {deny: [flock]}\n", to: "ceiling.yaml")
            let project = try TestProject([.init(file: "one.sh", text: "flock /tmp true; ulimit -a\n")])
            let script = """
                mkdir "$1/upper" "$1/work" && mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc \
                && mkdir -p /etc/cloche/policies && chmod 755 /etc/cloche /etc/cloche/policies \
                && install -m "$2" "$1/ceiling.yaml" /etc/cloche/policies/ && shift 2 && exec "$@"
                """
            func cloche(mode: String = "644", _ arguments: String...) throws -> CommandResult {
                let place = try TemporaryDirectory()
                try FileManager.default.copyItem(
                    atPath: directory.path + "/ceiling.yaml", toPath: place.path + "/ceiling.yaml")
                // An overlay cannot have a layer on another overlay that it is not above: a file system of its own does.
                return try StartedCommand(
                    "/usr/bin/unshare",
                    [
                        "-m", "sh", "-c",
                        "mount -t tmpfs none /mnt && cp \"$1/ceiling.yaml\" /mnt && shift && exec \"$@\"",
                        "sh", place.path, "sh", "-c", script, "sh", "/mnt", mode, try Cloche.program(),
                    ] + arguments, environment: ["CLOCHE_HOME": try Cloche.home.get()]
                ).wait(timeout: 60)
            }
            let exec = try cloche("exec", "--policy", "online", "--", "sh", "-c", "flock /tmp true || echo refused")
            #expect(exec.output == "refused\n", "\(exec.errors)")
            for part in ["network outbound to none, by /etc/cloche/policies/ceiling.yaml:1:10", "limits.pids", "flock"]
            {
                #expect(exec.errors.contains(part), "\(exec.errors)")
            }
            let run = try cloche("run", project.path + "/main.orchest", "--name", project.name, "--policy", "online")
            #expect(run.status == 0 && run.errors.contains("is clipped: limits.pids 1024 to 99"), "\(run.errors)")
            #expect(try Cloche.run("show", "\(project.name)/0").output.contains("limits.pids 1024 to 99"))
            #expect(try cloche("policy", "show", "default").output.contains("clipped  limits.pids 1024 to 99"))

            let own = UUID().uuidString.lowercased()
            let place = ".orchest/environments/\(own)/"
            try project.directory.write(
                """
                {"base_image": "python", "gpu_support": false, "language": "python", "name": "Clipped", "uuid": "\(own)"}
                """, to: place + "properties.json")
            try project.directory.write("flock /tmp true && exit 9; exit 0\n", to: place + "setup_script.sh")
            let built = try cloche("env", "build", project.path)
            #expect(built.status == 0 && built.errors.contains("the system call flock"), "\(built.errors)")

            let writable = try cloche(mode: "666", "exec", "--", "echo", "ran")
            #expect(writable.status == 78 && writable.output == "", "\(writable.errors)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("an invalid policy is refused with every place, and nothing runs")
        func invalid() throws {
            let policy = try PolicyFile(
                "extends: default\nlimits:\n  memory: 5\n  pid: 3\nseccomp: {allow: [unsharee]}\n")
            let result = try policy.exec("--", "echo", "ran")
            #expect(result.status == 78)
            #expect(result.output == "")
            for place in [":3:", ":4:", ":5:"] { #expect(result.errors.contains(place), "\(result.errors)") }
            #expect(result.errors.contains("did you mean"))
        }

        @Test("a link that leads nowhere is a policy that is missing, not one that is not there")
        func danglingLink() throws {
            let policy = try PolicyFile("extends: default\n")
            try FileManager.default.removeItem(atPath: policy.path)
            try FileManager.default.createSymbolicLink(atPath: policy.path, withDestinationPath: "/nonexistent")
            let result = try policy.exec("--", "echo", "ran")
            #expect(result.status == 78 && result.output == "")
            #expect(result.errors.contains("\(policy.name).yaml"), "\(result.errors)")
        }

        @Test(
            "a limit that the kernel cannot hold is refused where the policy demands it",
            arguments: ["hard", "best-effort"])
        func hard(_ enforcement: String) throws {
            let policy = try PolicyFile(
                "extends: default\nlimits: {scratch: {value: 64MiB, enforce: \(enforcement)}}\n")
            let result = try Cloche.start(
                ["exec", "--policy", policy.name, "--", "echo", "ran"], environment: ["CLOCHE_SCRATCH": "disk"]
            ).wait()
            #expect(result.status == (enforcement == "hard" ? 125 : 0))
            if enforcement == "hard" {
                #expect(result.output == "")
                #expect(result.errors.contains("`scratch`"), "\(result.errors)")
            }
        }

        @Test("policy explain prints the plan; policy validate all that is wrong")
        func looking() throws {
            let policy = try PolicyFile("extends: strict\nlimits: {pids: 99}\n")
            let explained = try Cloche.run("policy", "explain", policy.name)
            #expect(explained.status == 0)
            for part in ["pids 99", "overlay", "filters", "flock"] { #expect(explained.output.contains(part)) }
            #expect(try Cloche.run("policy", "ls").output.contains(policy.name))
            let directory = try TemporaryDirectory()
            try directory.write("network: everywhere\n", to: "wrong.yaml")
            let validated = try Cloche.run("policy", "validate", directory.path + "/wrong.yaml")
            #expect(validated.status == 78)
            #expect(validated.errors.contains("wrong.yaml:1:10"), "\(validated.errors)")
        }
    }
}

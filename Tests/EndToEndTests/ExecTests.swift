import Foundation
import Testing

extension EndToEnd {
    @Suite("The command exec", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Exec {
        @Test("exit codes and signals of the command are passed on")
        func endings() throws {
            #expect(try Cloche.run("exec", "--", "true").status == 0)
            #expect(try Cloche.run("exec", "--", "sh", "-c", "exit 42").status == 42)
            #expect(try Cloche.run("exec", "--", "/etc/passwd").status == 126)
            #expect(try Cloche.run("exec", "--", "no-such-program").status == 127)
            for (name, number) in [("KILL", 9), ("SEGV", 11), ("TERM", 15)] as [(String, Int32)] {
                let result = try Cloche.run("exec", "--", "sh", "-c", "kill -\(name) $$")
                #expect(result.status == 128 + number)
                #expect(result.errors.contains("SIG\(name)"), "\(result.errors)")
            }
        }

        @Test("a command begins with no signal blocked or ignored, and with a plain umask")
        func signalsAtTheStart() throws {
            // Without a shell, which would set its own.
            let result = try Cloche.run("exec", "--", "grep", "-E", "^(Umask|SigBlk|SigIgn):", "/proc/self/status")
            let none = String(repeating: "0", count: 16)
            #expect(result.output == "Umask:\t0002\nSigBlk:\t\(none)\nSigIgn:\t\(none)\n", "\(result.errors)")
        }

        @Test("options mean the same in either spelling")
        func spellings() throws {
            let directory = try TemporaryDirectory()
            try directory.write("shown", to: "file")
            let options = [
                ("--policy", "strict"), ("--environment", "python"), ("--project", directory.path),
                ("--bind-ro", "\(directory.path)/file:/mnt/file"), ("--env-var", "ONE=1"), ("--env-var", "TWO=2"),
            ]
            let script = "pwd; cat /mnt/file; env | grep -E '^(ONE|TWO)'; ulimit -v; id -u"
            let apart = options.flatMap { [$0.0, $0.1] } + ["--", "sh", "-c", script]
            let joined = options.map { "\($0.0)=\($0.1)" } + ["--", "sh", "-c", script]
            func run(_ words: [String]) throws -> CommandResult {
                try Cloche.start(["exec"] + words).wait(timeout: 60)
            }
            let result = try run(apart)
            #expect(result.output.hasPrefix("/project-dir\nshownONE=1\nTWO=2\n"), "\(result.errors)")
            #expect(try run(joined).output == result.output)
            for wrong in [
                ["--policy"], ["--policy", "--json", "--", "true"], ["--nothing", "x", "--", "true"], ["true"],
            ] {
                #expect(try run(wrong).status == 64, "\(wrong)")
            }
        }

        @Test("stdin, stdout and stderr go through unchanged")
        func standardStreams() throws {
            let directory = try TemporaryDirectory()
            try directory.write("line\u{0}one\n", to: "input")
            let result = try Cloche.run(
                "exec", "--", "sh", "-c", "cat; echo error >&2",
                stdin: FileHandle(forReadingAtPath: directory.path + "/input"))
            #expect(result.output == "line\u{0}one\n")
            #expect(result.errors == "error\n")
        }

        @Test("output that cannot be written is a failure; a reader that wants no more ends the command")
        func lostOutput() throws {
            let cloche = try Cloche.program()
            let environment = ["CLOCHE_HOME": try Cloche.home.get()]
            func shell(_ text: String) throws -> CommandResult {
                try StartedCommand(
                    "/bin/bash", ["-c", text, "bash", cloche], environment: environment
                ).wait(timeout: 20)
            }
            let full = try shell("\"$1\" exec -- echo lost >/dev/full")
            #expect(full.status == 1)
            #expect(full.errors.contains("No space left"), "\(full.errors)")
            for words in ["help", "--help", "help exit-codes", "ls --help", "--version"] {
                let help = try shell("\"$1\" \(words) >/dev/full")
                #expect(help.status == 1 && help.errors.contains("No space left"), "\(words): \(help)")
            }
            let head = try shell("\"$1\" exec -- yes | head -1; exit ${PIPESTATUS[0]}")
            #expect(head.status == 128 + SIGPIPE)
            #expect(head.output == "y\n")
            #expect(head.errors.isEmpty, "\(head.errors)")
        }

        @Test(
            "a standard stream that is closed is none of a file of the store, whichever way the command is worked out",
            arguments: [[], ["--env-var", "A=1"]])
        func closedStreams(_ options: [String]) throws {
            let cloche = try Cloche.program()
            func run(_ command: String, _ closing: String) throws -> CommandResult {
                try StartedCommand(
                    "/bin/sh",
                    ["-c", "\"$0\" exec \"$@\" \(closing)", cloche] + options + ["--", "sh", "-c", command],
                    environment: ["CLOCHE_HOME": try Cloche.home.get()]
                ).wait(timeout: 60)
            }
            Thread.sleep(forTimeInterval: 0.3)
            for _ in 0..<2 {
                let read = try run("cat; echo $?", "<&-")
                #expect(read.output == "0\n" && read.errors == "", "\(read.output) \(read.errors)")
                let written = try run("echo out; echo err >&2", ">&-")
                #expect(written.status == 1 && written.errors.hasPrefix("err\n"), "\(written.errors)")
                #expect(written.errors.contains("write to standard output"), "\(written.errors)")
                #expect(try run("echo err >&2; echo out", "2>&-").output == "out\n")
                #expect(try run("exit 3", "<&- >&- 2>&-").status == 3)
            }
            // What is told goes to no file of the store that happens to have been opened under the number.
            let home = try TemporaryDirectory()
            let listed = try StartedCommand(
                "/bin/sh",
                [
                    "-c",
                    "\"$0\" env ls <&- >&- 2>&-; \"$0\" env shw 2>&-; \"$0\" ls >&-; grep -rl '' \"$CLOCHE_HOME\"",
                    cloche,
                ],
                environment: ["CLOCHE_HOME": home.path + "/store"]
            ).wait(timeout: 60)
            for path in listed.output.split(separator: "\n") where !path.contains("cloche.db") {
                let content = try String(contentsOfFile: String(path), encoding: .utf8)
                #expect(!content.contains("error:") && !content.contains("hint:"), "\(path): \(content)")
            }
        }

        @Test("a command that does not stand behind `--` is told where to stand")
        func bareCommand() throws {
            for (words, hint) in [
                (["ls", "-l"], "`cloche exec -- ls -l`"),
                (["--environment", "python", "--timings", "ls"], "`cloche exec --environment python --timings -- ls`"),
                (["--policy=strict", "ls"], "`cloche exec --policy=strict -- ls`"),
            ] {
                let result = try Cloche.start(["exec"] + words).wait()
                #expect(result.status == 64 && result.errors.contains("hint: \(hint)\n"), "\(result.errors)")
            }
            let unknown = try Cloche.run("exec", "--environmnt", "python", "ls")
            #expect(unknown.status == 64 && !unknown.errors.contains("stands behind"), "\(unknown.errors)")
        }

        @Test("what cannot be executed is named, and what is no project is told")
        func names() throws {
            let missing = try Cloche.run("exec", "--", "no-such-program", "argument")
            #expect(
                missing.status == 127 && missing.errors.contains("could not be executed: `no-such-program`: "),
                "\(missing.errors)")
            let file = try Cloche.run("exec", "--project", "/etc/passwd", "--", "true")
            #expect(file.status == 64 && file.errors.contains("is no directory"), "\(file.errors)")
        }

        @Test("a slow reader gets everything, and holds up neither interruption nor the end")
        func slowReader() throws {
            let cloche = try Cloche.program()
            let environment = ["CLOCHE_HOME": try Cloche.home.get()]
            func shell(_ text: String) throws -> CommandResult {
                try StartedCommand(
                    "/bin/bash", ["-c", text, "bash", cloche], environment: environment
                ).wait(timeout: 30)
            }
            #expect(try shell("\"$1\" exec -- seq 300000 | (sleep 4; tail -1)").output == "300000\n")
            let full = "\"$1\" exec -- yes > >(sleep 20) & sleep 2; kill -INT $!; wait $!; echo $?"
            #expect(try shell(full).output == "130\n")
        }

        @Test("files of the host can be shown, read-only, where one wants them")
        func binds() throws {
            let directory = try TemporaryDirectory()
            try directory.write("shown", to: "file")
            let file = directory.path + "/file"
            let result = try Cloche.run(
                "exec", "--bind-ro", "\(file):/mnt/deep/name", "--bind-ro", directory.path, "--", "sh", "-c",
                "cat /mnt/deep/name \(file); echo x >/mnt/deep/name; rm \(file)")
            #expect(result.output == "shownshown")
            #expect(result.status != 0)
            #expect(try directory.read("file") == "shown")
            let wrong: [(String, Int)] = [
                ("/no-such-file", 5), ("\(file):/proc/1", 64), ("\(file):relative", 64), ("\(file):/data/x", 64),
            ]
            for (bind, status) in wrong {
                let refused = try Cloche.run("exec", "--bind-ro", bind, "--", "echo", "ran")
                #expect(refused.status == Int32(status), "\(refused.errors)")
                #expect(refused.output == "")
            }
        }

        @Test("what no sandbox could be is a mistake in the command line, and told with what to do")
        func mistakes() throws {
            let directory = try TemporaryDirectory()
            try directory.write("shown", to: "file")
            let file = directory.path + "/file"
            let pipe = directory.path + "/pipe"
            #expect(mkfifo(pipe, 0o600) == 0)
            let wrong: [([String], Int32, String)] = [
                (["--", ""], 64, "hint: name a program"),
                (
                    ["--bind-ro", "\(directory.path):/", "--", "true"], 64,
                    "the root is the environment's\nhint: choose"
                ),
                (["--bind-ro", "\(file):/../etc/x", "--", "true"], 64, "without `..`"),
                (["--bind-ro", "\(file):file", "--", "true"], 64, "`--bind-ro \(file):/mnt/file`"),
                (["--bind-ro", "/dev/null:/mnt/null", "--", "true"], 64, "neither a file nor a directory"),
                (["--bind-ro", "\(pipe):/mnt/pipe", "--", "true"], 64, "neither a file nor a directory"),
                (["--environment", "/usr", "--", "true"], 5, "`cloche env import NAME PATH`"),
                (["--env-var", "A B=1", "--", "true"], 64, "not `A B=1`"),
            ]
            for (words, status, text) in wrong {
                let refused = try Cloche.start(["exec"] + words).wait(timeout: 30)
                #expect(refused.status == status && refused.errors.contains(text), "\(words): \(refused.errors)")
            }
        }

        @Test("where a full place is thrown away anyway, it is not named as a way out")
        func fullScratch() throws {
            let policy = try PolicyFile("limits: {scratch: 8MiB}\ndata: none\n")
            let full = try Cloche.run(
                "exec", "--policy", policy.name, "--", "sh", "-c",
                "mkdir -p /tmp/a && head -c 30000000 /dev/zero > /tmp/a/x")
            #expect(full.status == 1 && full.errors.contains("hint: raise `limits.scratch`"), "\(full.errors)")
            #expect(!full.errors.contains("/project-dir") && !full.errors.contains("/data"), "\(full.errors)")
        }

        @Test("a refused call is explained with what would allow it")
        func refusalExplained() throws {
            let program = "import ctypes, sys\nctypes.CDLL(None).ptrace(0, 0, 0, 0)\nsys.exit(1)"
            let result = try Cloche.run("exec", "--", "python3", "-c", program)
            #expect(result.status == 1)
            // The number is the one that it has for itself: process 1 waits, and it is the first command.
            #expect(result.errors.contains("python3 (pid 2 inside) called ptrace("), "\(result.errors)")
            #expect(result.errors.contains("`seccomp: {allow: [debug]}`"), "\(result.errors)")
        }

        @Test("what the kernel refuses as well has no hint that would not help")
        func refusalOfTheKernel() throws {
            let result = try Cloche.run("exec", "--", "unshare", "-m", "true")
            #expect(result.status == 1)
            #expect(result.errors.contains("unshare(CLONE_NEWNS)"), "\(result.errors)")
            #expect(result.errors.contains("hint: no policy can allow it: the kernel"), "\(result.errors)")
            let policy = try PolicyFile("extends: default\nseccomp: {allow: [mounts, namespaces, socket, reboot]}\n")
            let questions = [
                "syscall mount", "syscall chroot", "syscall unshare 0x10000000", "syscall socket 2 3 1",
                "syscall reboot", "syscall setns",
            ]
            let asked = try Cloche.start(
                ["policy", "test", policy.name, "--prove", "--json"] + questions.flatMap { ["--can", $0] }
            ).wait(timeout: 60)
            let answers = try asked.value("answers") as? [[String: Any]] ?? []
            #expect(answers.count == questions.count && asked.status == 1, "\(asked.errors)")
            for answer in answers {
                #expect(
                    answer["answer"] as? String == "refused" && answer["rule"] as? String == "privileges", "\(answer)")
                #expect(answer["proof"] as? String != "allowed", "\(answer)")
            }
            let full = try policy.exec("--", "unshare", "-U", "true")
            #expect(full.status == 1 && full.errors.contains("if it was to make a namespace"), "\(full.errors)")
        }

        @Test("a flood of refused calls is told, and slows only the one who makes it", .timeLimit(.minutes(1)))
        func flood() throws {
            let program = "for _ in range(20000): libc.unshare(0x20000)\nraise SystemExit(2)"
            let flooding = try Cloche.start(
                ["exec", "--", "python3", "-c", Sandbox.prelude + program], environment: [:])
            #expect(try Cloche.run("exec", "--", "true").status == 0)
            let result = flooding.wait(timeout: 40)
            #expect(result.errors.contains("20000 times"), "\(result.errors)")
        }

        @Test("--explain tells what would be, as it is then, and starts nothing")
        func explain() throws {
            let marker = "/data/marker_\(UUID().uuidString.prefix(8))"
            let told = try Cloche.run("exec", "--explain", "--json", "--", "touch", marker)
            #expect(told.status == 0, "\(told.errors)")
            #expect(try Cloche.run("exec", "--", "ls", marker).status == 2)
            #expect(try told.value("user") as? Int == 1000)
            #expect(try told.value("capabilities") as? [String] == [])
            let keys = try told.json as? [String: Any] ?? [:]
            #expect(!keys.isEmpty && keys.keys.allSatisfy { $0 == $0.lowercased() }, "\(keys.keys)")
            let mounts = try told.value("mounts") as? [[String: Any]] ?? []
            let targets = Set(mounts.compactMap { $0["target"] as? String }.filter { $0.hasPrefix("/") })
            #expect(targets.isSuperset(of: ["/", "/proc", "/dev", "/data", "/dev/shm", "/proc/sys"]))
            let inside = try Cloche.run("exec", "--", "cut", "-d ", "-f5", "/proc/self/mountinfo").output
            #expect(targets.subtracting(inside.split(separator: "\n").map(String.init)) == [])
            let sources = try told.value("sources") as? [[String: Any]] ?? []
            #expect(!sources.isEmpty)
            for source in sources { #expect((source["flags"] as? [String])?.contains("nosuid") == true, "\(source)") }
            let text = try Cloche.run("exec", "--explain", "--", "true").output
            for part in ["overlay root", "memory", "unshare", "EPERM"] { #expect(text.contains(part), "\(text)") }
        }

        @Test("help is shown, not executed") func help() throws {
            let result = try Cloche.run("exec", "--help")
            #expect(result.status == 0)
            #expect(result.output.contains("USAGE"))
        }
    }
}

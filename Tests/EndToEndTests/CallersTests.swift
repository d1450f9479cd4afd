import Foundation
import Testing

extension EndToEnd {
    @Suite("What a caller's own settings do", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct Callers {
        /// Starts a shell that has `cloche` as `$0`.
        private func start(
            _ script: String, in directory: String = "/", _ arguments: [String] = []
        ) throws -> StartedCommand {
            try StartedCommand(
                "/bin/sh", ["-c", script, try Cloche.program()] + arguments,
                environment: ["CLOCHE_HOME": try Cloche.home.get()], directory: directory)
        }

        private func shell(_ script: String, in directory: String = "/") throws -> CommandResult {
            try start(script, in: directory).wait(timeout: 60)
        }

        @Test(
            "a sandbox is the same under every umask",
            arguments: ["077", "027"].flatMap { mask in ["", "--env-var A=1"].map { (mask, $0) } })
        func umask(mask: String, options: String) throws {
            let script = """
                umask \(mask); exec "$0" exec \(options) -- sh -c '
                umask; stat -c %a /etc /etc/hosts /dev/null /dev/pts /tmp; cat /etc/hosts; head -n 1 /proc/meminfo'
                """
            // The second one finds the command prepared.
            for _ in 0..<2 {
                let result = try shell(script)
                #expect(result.output.hasPrefix("0002\n755\n644\n666\n755\n1777\n127.0.0.1"), "\(result)")
                #expect(result.output.contains("MemTotal:") && result.status == 0, "\(result)")
            }
        }

        @Test("a run is the same under a umask that closes everything to others", .timeLimit(.minutes(1)))
        func umaskOfRun() throws {
            let text = """
                import orchest, os
                print(open("/etc/hosts").readline().split()[0], oct(os.stat("/opt").st_mode & 0o777))
                open("kept", "w").write("kept")
                """
            let project = try TestProject([.init(file: "one.py", text: text)])
            // What of the store is made once is not what is looked at.
            _ = try Cloche.run("run", "main.orchest", "--name", project.name, in: project.path)
            let name = project.name + "-closed"
            let run = try shell("umask 077; exec \"$0\" run main.orchest --name \(name)", in: project.path)
            #expect(run.status == 0, "\(run)")
            #expect(try Cloche.run("logs", "\(name)/0", "--raw").output == "127.0.0.1 0o755\n")
        }

        /// Root of a container may not.
        private func raisesLimits() throws -> Bool {
            try StartedCommand("/bin/bash", ["-c", "ulimit -Hc 0; ulimit -Hc 1"]).wait(timeout: 10).status == 0
        }

        @Test("hard limits that are lower than what a sandbox may have are no obstacle to one")
        func limits() throws {
            for limit in ["core=0", "msgqueue=0", "sigpending=64", "nofile=512"] {
                let result = try shell("exec prlimit --\(limit) \"$0\" exec -- grep '^Max core' /proc/self/limits")
                #expect(result.status == 0 && result.errors.isEmpty, "\(limit): \(result)")
                // Root raises the one on which it depends that no program of the host gets what a command had in memory.
                guard Cloche.isRoot else { continue }
                let words = result.output.split(whereSeparator: \.isWhitespace)
                let most = try limit == "core=0" && !raisesLimits() ? "0" : "1"
                #expect(words == ["Max", "core", "file", "size", "\(most)", "\(most)", "bytes"], "\(limit): \(result)")
            }
        }

        @Test(
            "a command has no part in the caller's real-time class and better nice value",
            .enabled(if: Cloche.isRoot, "giving them needs root"))
        func scheduling() throws {
            for policy in ["default", "strict"] {
                // Nice value and class (proc_pid_stat(5)).
                let command = "\"$0\" exec --policy \(policy) -- cut -d ' ' -f 19,41 /proc/self/stat"
                for (caller, seen) in [("chrt -r 10", "0 0\n"), ("nice -n -15", "0 0\n"), ("nice -n 5", "5 0\n")] {
                    let result = try shell("exec \(caller) \(command)")
                    #expect(result.output == seen, "\(policy), \(caller): \(result)")
                }
            }
        }

        @Test("a limit of the size of files is told, and ends nothing without a word")
        func sizeOfFiles() throws {
            for options in ["", "--env-var A=1"] {
                let result = try shell("(ulimit -f 0; \"$0\" exec \(options) -- true; echo \"ended $?\") 2>&1 | cat")
                // SIGXFSZ is 25.
                #expect(result.output.contains("ended ") && !result.output.contains("ended 153"), "\(result)")
                #expect(result.output.contains("ended 0") || result.output.contains("hint:"), "\(result)")
            }
        }

        @Test("one sandbox has so many terminals that others have theirs")
        func terminals() throws {
            let text = """
                import os
                count = 0
                try:
                    while True:
                        os.openpty()
                        count += 1
                except OSError as error:
                    print(count, error.strerror)
                """
            let result = try Cloche.python(text)
            #expect(result.output == "256 No space left on device\n", "\(result)")
        }

        @Test("more arguments than there may be are counted, and told with how many there may be")
        func arguments() throws {
            let many = try shell("seq 1 17000 | xargs -n 17000 \"$0\" exec -- true")
            #expect(many.errors.contains("17000 arguments are more than the 16383"), "\(many.errors)")
            #expect(many.errors.contains("hint: pass fewer"), "\(many.errors)")
            let most = try shell("seq 1 16383 | xargs -n 16383 \"$0\" exec -- sh -c 'echo $#' sh")
            #expect(most.errors.contains("16386 arguments"), "\(most)")
            let enough = try shell("seq 1 16380 | xargs -n 16380 \"$0\" exec -- sh -c 'echo $#' sh")
            #expect(enough.output == "16380\n", "\(enough)")
        }

        @Test("a directory is no standard input", arguments: ["", "--env-var A=1"])
        func directory(options: String) throws {
            for _ in 0..<2 {
                let result = try shell("exec \"$0\" exec \(options) -- cat < /tmp")
                #expect(result.status == 64 && result.errors.contains("it is a directory"), "\(result)")
            }
        }

        @Test("a terminal that is closed ends what runs at it, also where `cloche` leads its session")
        func closedTerminal() throws {
            let text = """
                import fcntl, os, sys, termios, time
                ours, theirs = os.openpty()
                child = os.fork()
                if child == 0:
                    os.setsid()
                    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
                    for number in range(3):
                        os.dup2(theirs, number)
                    os.closerange(3, 64)
                    os.execv(sys.argv[1], sys.argv[1:])
                os.close(theirs)
                seen = b""
                while b"ready" not in seen:
                    seen += os.read(ours, 1000)
                os.close(ours)
                for _ in range(100):
                    if os.waitpid(child, os.WNOHANG)[0]:
                        print("ended")
                        sys.exit()
                    time.sleep(0.1)
                os.kill(child, 15)
                os.waitpid(child, 0)
                """
            for command in ["echo ready; sleep 33", "echo ready; exec sleep 33", "trap : HUP; echo ready; sleep 3"] {
                let result = try StartedCommand(
                    "/usr/bin/python3", ["-c", text, try Cloche.program(), "exec", "--", "sh", "-c", command],
                    environment: ["CLOCHE_HOME": try Cloche.home.get()]
                ).wait(timeout: 40)
                #expect(result.output == "ended\n", "\(command): \(result)")
            }
        }

        @Test("a hang-up that reaches all of `cloche` is one, after which a command ends in its own way")
        func hangUp() throws {
            let command = "trap \"sleep 1; exit 7\" HUP; echo ready; while :; do sleep 0.1; done"
            let running = try start("exec \"$0\" exec -- sh -c '\(command)'")
            defer { running.signal(SIGKILL) }
            try #require(eventually(within: 20) { running.output == "ready\n" }, "\(running.errors)")
            // As a shell does it that ends.
            kill(-running.pid, SIGHUP)
            #expect(running.wait(timeout: 20).status == 7, "\(running.errors)")
        }

        @Test("signals without a meaning of their own are the command's, as often as they come")
        func plainSignals() throws {
            let command =
                "n=0; trap \"n=\\$((n + 1)); echo \\$n; test \\$n = 3 && exit 5\" USR1; echo ready; "
                + "while :; do sleep 0.05; done"
            let running = try start("exec \"$0\" exec -- sh -c '\(command)'")
            defer { running.signal(SIGKILL) }
            for line in ["ready\n", "1\n", "2\n"] {
                try #require(eventually(within: 20) { running.output.hasSuffix(line) }, "\(line): \(running.errors)")
                running.signal(SIGUSR1)
            }
            let result = running.wait(timeout: 20)
            #expect(result.status == 5 && result.output == "ready\n1\n2\n3\n", "\(result)")
        }
    }
}

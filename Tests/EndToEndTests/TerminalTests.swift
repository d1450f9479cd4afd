import Foundation
import Testing

extension EndToEnd {
    /// `script` of util-linux gives the command a terminal, as a user's shell does.
    @Suite(
        "A terminal",
        .enabled(
            if: Cloche.isBuilt && FileManager.default.isExecutableFile(atPath: "/usr/bin/script"),
            "the programs are not built, or there is no /usr/bin/script"))
    struct Terminal {
        /// Runs `cloche` and a command line in a terminal; keys are typed with a pause after each text.
        private func inTerminal(_ command: String, typing keys: [String] = []) throws -> CommandResult {
            let line = "stty cols 91 rows 37; \(try Cloche.program()) \(command)"
            return try StartedCommand(
                "/bin/bash",
                [
                    "-c",
                    "line=$1; shift; for keys; do sleep 1; printf %s \"$keys\"; done | script -qec \"$line\" /dev/null",
                    "bash", line,
                ] + keys,
                environment: ["CLOCHE_HOME": try Cloche.home.get(), "TERM": "xterm", "PATH": "/usr/bin:/bin"]
            ).wait(timeout: 30)
        }

        @Test("a command at a terminal has one of its own, of the same size, and its exit code is passed on")
        func size() throws {
            let result = try inTerminal("exec -- sh -c 'tty; stty size; test -w $(tty) && exit 7'")
            #expect(result.output.contains("/dev/pts/0\r\n37 91\r\n"), "\(result.output)")
            #expect(result.status == 7)
        }

        @Test("keys reach the command: lines, and the interrupt, which ends what is in the foreground")
        func keys() throws {
            let result = try inTerminal(
                "exec -- bash --norc -i",
                typing: ["echo $((6*7)); sleep 100\n", "\u{3}", "echo after $?\nexit 4\n", ""])
            #expect(result.output.contains("42\r\n"), "\(result.output)")
            #expect(result.output.contains("after 130\r\n"), "\(result.output)")
            #expect(result.status == 4)
        }

        @Test("a shell inside stops jobs and takes them up again, and `cloche` itself is not stopped")
        func jobControl() throws {
            let result = try inTerminal(
                "exec -- bash --norc -i",
                typing: ["sleep 100\n", "\u{1A}", "jobs\nfg\n", "\u{3}", "echo after $?\nexit 4\n", ""])
            #expect(result.output.contains("Stopped"), "\(result.output)")
            #expect(result.output.contains("after 130\r\n"), "\(result.output)")
            #expect(result.status == 4)
        }

        @Test("a change of the window's size is passed on while a command runs")
        func resized() throws {
            let (cloche, home) = (try Cloche.program(), try Cloche.home.get())
            // `script` has a terminal of its own, whose size another process changes.
            let line =
                "tty > \"$SIZE\"; \(cloche) exec -- bash -c "
                + "'trap \"stty size; exit 5\" WINCH; echo ready; for n in $(seq 100); do sleep 0.1; done'"
            let directory = try TemporaryDirectory()
            let running = try StartedCommand(
                "/usr/bin/script", ["-qec", line, "/dev/null"],
                environment: ["CLOCHE_HOME": home, "SIZE": directory.path + "/tty", "PATH": "/usr/bin:/bin"])
            defer { running.signal(SIGKILL) }
            try #require(eventually(within: 20) { running.output.contains("ready") }, "\(running.output)")
            let terminal = try directory.read("tty").trimmingCharacters(in: .newlines)
            _ = try StartedCommand("/usr/bin/stty", ["-F", terminal, "cols", "77", "rows", "33"]).wait(timeout: 5)
            let result = running.wait(timeout: 20)
            #expect(result.output.contains("33 77"), "\(result.output)")
            #expect(result.status == 5)
        }

        @Test("the host's terminal is as it was afterwards, also when the sandbox was killed")
        func restored() throws {
            for end in ["exit 0", "kill -9 $$"] {
                let result = try inTerminal(
                    "exec -- sh -c '\(end)'; \("stty -a | grep -o -e ' -\\?icanon' -e ' -\\?echo '")")
                #expect(result.output.contains(" icanon") && result.output.contains(" echo"), "\(result.output)")
            }
        }

        @Test("what goes to a pipe stays a pipe")
        func mixed() throws {
            let result = try inTerminal("exec -- sh -c 'test -t 0; echo $?; test -t 1; echo $?' | cat")
            #expect(result.output == "1\r\n1\r\n", "\(result.output)")
        }
    }
}

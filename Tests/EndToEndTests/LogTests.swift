import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Logs", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Logs {
        @Test("who follows a run sees the lines of its log, the last one without an end and long ones too")
        func followed() throws {
            let script = """
                head -c 100000 /dev/zero | tr '\\0' x; echo
                printf 'fatal: the database is gone' >&2; exit 1
                """
            let project = try TestProject([.init(file: "one.sh", text: script)])
            let run = try project.cloche("run", "main.orchest", "--name", project.name)
            #expect(run.status == 1, "\(run.errors)")
            let lines = run.errors.split(separator: "\n")
            let shown = lines.filter { $0.hasPrefix("one | ") }
            #expect(shown.last == "one | fatal: the database is gone")
            let logged = try Cloche.run("logs", "\(project.name)/0").output.split(separator: "\n")
            #expect(shown.map(String.init) == logged.map { "one | " + $0 })
            #expect(!lines.contains { $0.hasPrefix("x") }, "a part of a long line tells whose it is")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("who follows a log goes on with the attempts that follow, and sees once what was kept")
        func followedAttempts() throws {
            let project = try TestProject([
                .init(file: "kept.sh", text: "echo kept\n"),
                .init(file: "failing.sh", text: "echo trying; sleep 1; printf 'no end'; exit 1\n", after: [0]),
            ])
            let options = ["--name", project.name, "--retries", "2", "--retry-delay", "1s"]
            let run = try Cloche.start(["run", "main.orchest"] + options, in: project.path)
            defer { run.signal(SIGKILL) }
            try #require(
                eventually(within: 20) {
                    (try? Cloche.run("logs", "\(project.name)/0").output.contains("trying")) == true
                })
            let followers = try [[], ["--json"], ["--timestamps", "--step", "failing"], ["--tail", "0"]].map {
                try Cloche.start(["logs", "-f", "\(project.name)/0"] + $0)
            }
            #expect(run.wait(timeout: 60).status == 1)
            let shown = followers.map { $0.wait(timeout: 20) }
            #expect(shown.allSatisfy { $0.status == 0 }, "\(shown)")
            let attempt = ["failing | trying", "failing | no end"]
            #expect(
                shown[0].output.split(separator: "\n").map(String.init) == ["kept | kept"] + attempt + attempt + attempt
            )
            #expect(shown[1].output.split(separator: "\n").filter { $0.contains("trying") }.count == 3)
            #expect(shown[1].output.split(separator: "\n").filter { $0.contains("kept") }.count == 1)
            #expect(shown[2].output.split(separator: "\n").filter { $0.hasSuffix("no end") }.count == 3)
            #expect(shown[3].output.split(separator: "\n").filter { $0.hasSuffix("trying") }.count == 2)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a log begins where asked, is searched, and shows its last line without an end")
        func parts() throws {
            let script = """
                import sys, time
                for n in range(3000): print("row", n)
                sys.stdout.flush()
                time.sleep(1.2)
                print("late \\x1b[2Jclear")
                sys.stdout.write("no end")
                """
            let project = try TestProject([.init(file: "one.py", text: script)])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            func logs(_ options: String...) throws -> String {
                let result = try Cloche.start(["logs", "\(project.name)/0"] + options, environment: [:]).wait()
                #expect(result.status == 0, "\(result.errors)")
                return result.output
            }
            let all = try logs()
            #expect(all.hasPrefix("row 0\nrow 1\n") && all.hasSuffix("row 2999\nlate clear\nno end\n"))
            #expect(try logs("--raw").hasSuffix("row 2999\nlate \u{1B}[2Jclear\nno end"))
            #expect(try logs("--tail", "3") == "row 2999\nlate clear\nno end\n")
            #expect(try logs("--tail", "0") == "")
            #expect(try logs("--tail", "5000") == all)
            #expect(try logs("--raw", "--tail", "1") == "no end")
            #expect(try logs("--grep", "row 299").split(separator: "\n").count == 11)
            #expect(try logs("--grep", "nowhere") == "")
            let stamped = try logs("--timestamps", "--tail", "3").split(separator: "\n")
            #expect(stamped.count == 3 && stamped[2].hasSuffix("  no end"))
            // The index is sparse: what came in the same instant belongs together.
            let early = try #require(stamped[0].split(separator: " ").first)
            let late = try #require(stamped[1].split(separator: " ").first)
            #expect(early < late)
            #expect(try logs("--since", String(late)) == "late clear\nno end\n")
            #expect(try logs("--since", "2h") == all)
            #expect(try logs("--json", "--grep", "no end").contains(#""line":"no end""#))

            let directory = try #require(
                Cloche.run("show", "\(project.name)/0").output.split(separator: "\n").first {
                    $0.hasPrefix("directory")
                }?.split(separator: " ").last)
            let log = "\(directory)/logs/\(TestProject.uuid(0))"
            try FileManager.default.removeItem(atPath: log + ".idx")
            #expect(try logs("--since", "1s") == all, "without an index, too much is better than nothing")
            try FileManager.default.removeItem(atPath: log + ".log")
            try FileManager.default.createSymbolicLink(atPath: log + ".log", withDestinationPath: "/etc/passwd")
            let link = try Cloche.run("logs", "\(project.name)/0")
            #expect(link.status != 0 && link.output == "" && link.errors.hasPrefix("error: "), "\(link.errors)")

            #expect(try Cloche.run("logs", "\(project.name)/0", "--since", "noon").status == 64)
            #expect(try Cloche.run("logs", "\(project.name)/0", "--raw", "--timestamps").status == 64)
            _ = try Cloche.run("rm", project.name, "--yes")
        }
    }
}

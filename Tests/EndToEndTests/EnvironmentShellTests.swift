import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Shells in environments", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct EnvironmentShells {
        private func shell(_ text: String, _ arguments: String...) throws -> CommandResult {
            let directory = try TemporaryDirectory()
            try directory.write(text, to: "input")
            let input = try FileHandle(forReadingFrom: URL(filePath: directory.path + "/input"))
            return try Cloche.start(["env", "shell"] + arguments, stdin: input).wait(timeout: 30)
        }

        @Test("a shell reads its commands, ends with their status, and what it changes is thrown away")
        func commands() throws {
            let project = try TemporaryDirectory()
            try project.write("mine", to: "own")
            let first = try shell(
                "id -u; cat own; echo x > ~/left; ls ~; exit 3\n", "python", "--project",
                project.path)
            #expect(first.status == 3 && first.output == "1000\nmineleft\n", "\(first.errors)")
            #expect(try project.read("own") == "mine")
            #expect(try shell("ls ~\n", "python").output == "")
        }

        @Test("on a terminal the shell has a terminal of its own")
        func terminal() throws {
            let home = try Cloche.home.get()
            let command = "CLOCHE_HOME='\(home)' '\(try Cloche.program())' env shell python"
            let directory = try TemporaryDirectory()
            try directory.write("tty; stty size >/dev/null && echo sized; exit 5\n", to: "input")
            let input = try FileHandle(forReadingFrom: URL(filePath: directory.path + "/input"))
            let result = try StartedCommand("/usr/bin/script", ["-qec", command, "/dev/null"], stdin: input).wait(
                timeout: 30)
            #expect(result.status == 5, "\(result.output) \(result.errors)")
            #expect(result.output.contains("only /data is kept"))
            #expect(result.output.contains("sized"), "\(result.output)")
        }

        @Test("an environment that is not there is named with what to do")
        func missing() throws {
            for (name, hint) in [("pyton", "did you mean `python`?"), ("nothing-of-it", "cloche env ls")] {
                let result = try Cloche.run("env", "shell", name)
                #expect(result.status == 5 && result.errors.contains(hint), "\(result.errors)")
            }
        }
    }
}

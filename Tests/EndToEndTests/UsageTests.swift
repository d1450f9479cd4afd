import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Wrong command lines", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Usage {
        private static let run = ["run", "main.orchest"], create = ["job", "create", "main.orchest"]
        private static let edit = ["job", "edit", "none"], add = ["notify", "add", "never-made", "--url"]

        /// Commands, what is said wrongly, and a part of what is told.
        static let lines: [([String], [String], String)] = [
            (run, ["-p", "x"], "-p: `x` is not NAME=VALUE"), (run, ["-p", "x=[1"], "is not JSON"),
            (run, ["--step-param", "x=1"], "is not STEP.NAME=VALUE"), (run, ["-p", "x=1", "-p", "x=2"], "`x=2` twice"),
            (run, ["--step-param", "a.y=1", "--step-param", "a.y=2"], "`a.y=2` twice"),
            (run, ["--env-var", "A=1", "--env-var", "A=2"], "`A` is given twice"),
            (run, ["--env-var", "CLOCHE_JOB=fake"], "cannot set `CLOCHE_JOB`"),
            (run, ["--env-var", "CLOCHE_SCHEDULED_TIME=now"], "cannot set `CLOCHE_SCHEDULED_TIME`"),
            (run, ["--secret", "KEY=CLOCHE_RUN"], "--secret cannot set `CLOCHE_RUN`"),
            (run, ["--timeout", "99999999999h"], "is too long"), (run, ["--timeout", "0s"], "is zero"),
            (run, ["--timeout", "inf"], "is no time"), (create, ["--only", "a"], "--only: `a` is neither"),
            (create, ["--skip", "5-3"], "ends before it begins"), (edit, ["--only", "a"], "neither the number"),
            (edit, ["--retries", "999999999999"], "--retries is not 0 to 1,000"),
            (edit, ["--env-var", "ORCHEST_STEP_UUID=x"], "cannot set `ORCHEST_STEP_UUID`"),
            (add, ["http://u:p@127.0.0.1:1/ok"], "the name of a user"), (add, ["https://a b/"], "a space"),
            (add, ["ftp://a/"], "none of HTTP or HTTPS"), (add, ["https://:1/"], "no host or port"),
        ]

        @Test("what a command line says wrongly ends with 64 and is named", arguments: lines)
        func refused(command: [String], words: [String], text: String) throws {
            let project = try TestProject(
                [.init(file: "a.sh", text: "true\n", parameters: ["y": 0])], parameters: ["x": 0])
            let refused = try Cloche.start(command + words, in: project.path).wait(timeout: 60)
            #expect(refused.status == 64 && refused.errors.contains(text), "\(words): \(refused)")
            #expect(!refused.errors.contains("u:p@"), "an address can hold a key")
        }

        @Test("no variable that steps have from elsewhere can be set") func ownVariables() throws {
            let project = try TestProject([
                .init(file: "a.sh", text: "env | cut -d= -f1 | grep -E '^(CLOCHE|ORCHEST)_' | sort\n")
            ])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            let names = try Cloche.run("logs", project.name).output.split(separator: "\n").map(String.init)
            #expect(names.count >= 10 && names.contains("CLOCHE_STEP"), "\(names)")
            for name in names {
                let refused = try project.cloche("run", "main.orchest", "--env-var", "\(name)=x")
                #expect(refused.status == 64 && refused.errors.contains("cannot set `\(name)`"), "\(refused)")
            }
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}

import Testing

extension EndToEndBeside {
    @Suite("The command line", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct CommandLine {
        @Test(
            "a misspelled command is told with the nearest one",
            arguments: [
                (["jbo"], "cloche job"), (["snapshot", "shwo"], "cloche snapshot show"),
                (["job", "crate", "main.orchest"], "cloche job create"), (["env", "biuld", "."], "cloche env build"),
                (["job", "ls"], "cloche ls"), (["job", "show", "a"], "cloche show"),
            ])
        func misspelled(words: [String], meant: String) throws {
            let result = try Cloche.start(words, environment: [:]).wait()
            #expect(result.status == 64 && result.output == "")
            #expect(result.errors.contains("hint: did you mean `\(meant)`?"), "\(result.errors)")
        }

        @Test("what is done to runs refuses a step, and what is done to jobs a run; both change nothing")
        func parts() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo one\n")])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            let (run, step) = ("\(project.name)/0", "\(project.name)/0/one")
            for words in [["rm", step, "--yes"], ["cancel", step], ["watch", step], ["retry", step]] {
                let refused = try Cloche.start(words).wait(timeout: 20)
                #expect(refused.status == 64, "\(words): \(refused.errors)")
                #expect(refused.errors.contains("name the run, `\(run)`"), "\(words): \(refused.errors)")
            }
            for words in [["job", "start", run], ["ls", run], ["ls", step]] {
                let refused = try Cloche.start(words).wait(timeout: 20)
                #expect(refused.status == 64 && refused.output.isEmpty, "\(words): \(refused.output)")
                #expect(refused.errors.contains("name the job"), "\(words): \(refused.errors)")
            }
            #expect(try Cloche.run("ls", project.name, "--json").value("runs", 0, "state") as? String == "succeeded")
            #expect(try Cloche.run("rm", run, "--yes").status == 0)
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}

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
    }
}

import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Help, completion and pictures", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct Helping {
        @Test("exit codes, formats and variables are told, and a manual page is made of the commands") func topics()
            throws
        {
            let codes = try Cloche.run("help", "exit-codes")
            #expect(codes.status == 0 && codes.output.contains("\n  3  Some runs of the grid failed"))
            #expect(try Cloche.run("help", "formats").output.contains("RFC 4180"))
            #expect(try Cloche.run("help", "environment").output.contains("CLOCHE_HOME"))
            #expect(try Cloche.run("help", "ls").output.contains("--where"))
            let page = try Cloche.run("help", "man").output
            #expect(page.hasPrefix(".TH CLOCHE 1") && page.contains(#".SS "cloche compare""#))
            #expect(page.contains(#"\fB\-\-where\fR"#) && page.contains(".SH \"EXIT STATUS\""))
            // What only our own programs call is none of a reader's business.
            for command in ["attend", "notify deliver", "system measure"] {
                #expect(!page.contains(".SS \"cloche \(command)\""), "\(command)")
            }
        }

        @Test("help with what does not exist says so, with the nearest command or topic") func unknownTopic() throws {
            for (words, hint) in [
                (["exit-code"], "did you mean `exit-codes`?"), (["polcy"], "did you mean `policy`?"),
                (["job", "creat"], "topics are exit-codes, "), (["zzzzzz"], "topics are exit-codes, "),
            ] {
                let result = try Cloche.start(["help"] + words).wait(timeout: 30)
                #expect(result.status == 64 && result.output.isEmpty, "\(words): \(result.output)")
                #expect(result.errors.contains("no command or topic `\(words[words.count - 1])`"), "\(result.errors)")
                #expect(result.errors.contains(hint), "\(result.errors)")
            }
            for words in [["job", "create"], ["policy", "list"], ["--help"], []] {
                #expect(try Cloche.start(["help"] + words).wait(timeout: 30).status == 0, "\(words)")
            }
        }

        @Test("every command has an example, and no line of its help is broken where 80 columns are enough")
        func examples() throws {
            func look(_ words: [String]) throws {
                let help = try Cloche.start(["help"] + words).wait(timeout: 30).output
                let lines = help.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
                let commands = lines.drop { $0 != "SUBCOMMANDS:" }.dropFirst().prefix { !$0.isEmpty }
                    .filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
                    .compactMap { $0.split(whereSeparator: { ", ".contains($0) }).first.map(String.init) }
                let text = Array(lines.prefix { !$0.hasPrefix("USAGE:") })
                if commands.isEmpty { #expect(text.contains { $0.hasPrefix("Example") }, "\(words) has no example") }
                for (line, next) in zip(text, text.dropFirst()) where !line.isEmpty && !next.isEmpty {
                    #expect(line.count <= 80, "\(words): \(line)")
                    // Each line of examples is one of them, and paragraphs are filled up to the end of a sentence.
                    let isFilled = !line.hasPrefix("  ") && line.count + 1 + next.firstWord >= 80
                    let isEnd = !line.hasPrefix("  ") && (line.hasSuffix(".") || line.hasSuffix(":"))
                    #expect(next.hasPrefix("  ") || isFilled || isEnd, "\(words): \(line)|\(next)")
                }
                for command in commands { try look(words + [command]) }
            }
            try look([])
        }

        @Test(
            "a shell gets a script, and proposals of jobs, runs and steps that it can pass on",
            arguments: ["bash", "zsh", "fish"])
        func completion(shell: String) throws {
            let script = try Cloche.run("completion", shell)
            #expect(script.status == 0 && script.output.contains("---completion"), "\(script.errors)")
        }

        @Test("proposals are what there is, and nothing that a shell would obey") func proposals() throws {
            let project = try TestProject([.init(file: "load.sh", text: "true\n")], parameters: ["a": 0])
            let hostile = project.name + " $(touch x)"
            for name in [project.name, hostile] {
                let run = try project.cloche("run", "main.orchest", "--name", name)
                let word = name == hostile ? "'\(name)'" : name
                #expect(run.status == 0 && run.errors.contains("`cloche show \(word)`"), "\(run.errors)")
            }
            func proposed(_ word: String) throws -> [String] {
                let index = "2"
                return try Cloche.start(
                    [
                        "---completion", "show", "--", "positional@0", index, String(word.utf8.count), "cloche", "show",
                        word,
                    ],
                    environment: ["SAP_SHELL": "bash"]
                ).wait(timeout: 30).output.split(separator: "\n").map(String.init)
            }
            #expect(try proposed(project.name) == [project.name])
            #expect(try proposed(project.name + "/") == [project.name + "/0"])
            #expect(try proposed(project.name + "/0/") == [project.name + "/0/load"])
            #expect(try proposed("no-such-job/") == [])
            func proposed(_ command: [String], _ argument: String) throws -> [String] {
                try Cloche.start(
                    ["---completion"] + command + ["--", argument, "3", "0", "cloche"] + command + [""],
                    environment: ["SAP_SHELL": "bash"]
                ).wait(timeout: 30).output.split(separator: "\n").map(String.init)
            }
            #expect(try proposed(["env", "show"], "positional@0").contains("python"))
            #expect(try proposed(["env", "rm"], "positional@0").contains("python"))
            #expect(try proposed(["env", "build"], "positional@0").contains("base-kernel-r"))
            let subjects = try proposed(["policy", "explain"], "positional@0")
            #expect(subjects.contains("strict") && subjects.contains(project.name), "\(subjects)")
            let words = ["logs", "\(project.name)/0", "--step"]
            #expect(
                try Cloche.start(
                    ["---completion", "logs", "--", "--step", "4", "0", "cloche"] + words + [""],
                    environment: ["SAP_SHELL": "bash"]
                ).wait(timeout: 30).output == "load\n")
            let script = try Cloche.run("completion", "bash").output
            #expect(["queue", "none", "zsh"].allSatisfy { script.contains("'\($0)'") || script.contains("''\($0)") })
            let secret = "PROPOSED_\(UInt32.random(in: 0 ... .max))"
            #expect(
                try StartedCommand(
                    "/bin/sh", ["-c", "echo value | \(try Cloche.program()) secret set \(secret)"],
                    environment: ["CLOCHE_HOME": try Cloche.home.get()]
                ).wait(timeout: 30).status == 0)
            #expect(try proposed(["secret", "rm"], "positional@0").contains(secret))
            _ = try Cloche.run("secret", "rm", secret, "--yes")
            for name in [project.name, hostile] { _ = try Cloche.run("rm", name, "--yes") }
        }

        @Test("a pipeline is drawn with the states of a run") func picture() throws {
            let project = try TestProject([
                .init(file: "load.sh", text: "true\n"), .init(file: "train.sh", text: "exit 3\n", after: [0]),
            ])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            let drawn = try Cloche.run("pipeline", "graph", "\(project.name)/0", "--svg")
            #expect(
                drawn.output.contains("succeeded \u{B7} load.sh") && drawn.output.contains("failed \u{B7} train.sh"))
            #expect(try Cloche.run("pipeline", "graph", "\(project.name)/0").output.contains("  failed"))
            #expect(try project.cloche("pipeline", "graph", "main.orchest", "--svg").output.hasPrefix("<svg"))
            #expect(try project.cloche("pipeline", "graph", "main.orchest", "--svg", "--dot").status == 64)
            #expect(try Cloche.run("pipeline", "graph", "no-such-job/0").status == 5)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a notebook is not opened where there is none, nowhere to show it, or nothing to make a page with")
        func opening() throws {
            let notebook =
                #"{"cells":[],"metadata":{"kernelspec":{"name":"python3","language":"python"}},"nbformat":4,"nbformat_minor":5}"#
            let project = try TestProject([
                .init(file: "book.ipynb", text: notebook), .init(file: "load.sh", text: "true\n"),
            ])
            _ = try project.cloche("run", "main.orchest", "--name", project.name)
            let nowhere = try Cloche.run("open", "\(project.name)/0/book")
            #expect(nowhere.status == 64 && nowhere.errors.contains("--output"), "\(nowhere.errors)")
            let script = try Cloche.run("open", "\(project.name)/0/load", "--output", "-")
            #expect(script.status == 6 && script.errors.contains("cloche logs"), "\(script.errors)")
            let bare = try Cloche.run("open", "\(project.name)/0", "--output", "-")
            #expect(bare.status == 1 && bare.errors.contains("has no nbconvert"), "\(bare.errors)")
            #expect(bare.errors.contains("setup script") && bare.output.isEmpty)
            #expect(try Cloche.run("open", project.name, "--output", "-").status == 64)
            #expect(try Cloche.run("open", "\(project.name)/0", "--attempt", "7", "--output", "-").status == 5)
            _ = try Cloche.run("rm", project.name, "--yes")
        }
    }
}

extension String {
    /// How many characters its first word has.
    fileprivate var firstWord: Int { prefix { $0 != " " }.count }
}

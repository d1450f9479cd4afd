import Foundation
import Testing

extension EndToEnd {
    /// What a step leaves in the places that it may write to is read by commands of the author's, or of root's.
    @Suite("Hostile runs", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct HostileRuns {
        private static let mark = "canary-\(UUID().uuidString)"

        @Test(
            "what stands in place of the metrics is not followed, waited for or read to its end",
            arguments: [
                "os.symlink(outside, path)", "os.mkfifo(path)", "os.mkdir(path)", "open(path, 'w').truncate(1 << 40)",
                "open(path, 'wb').write(b'\\x1b[2J\\xff' * 4096)",
                "open(path, 'w').write('{\"name\": \"\\\\u001b[2Jx\", \"value\": 1}\\n')",
            ])
        func metrics(_ act: String) throws {
            let outside = try TemporaryDirectory()
            chmod(outside.path, 0o755)
            try outside.write("{\"name\": \"\(Self.mark)\", \"value\": 7}\n", to: "file")
            let text = """
                import os
                path, outside = "/run/cloche/metrics.jsonl", "\(outside.path)/file"
                if os.path.lexists(path): os.unlink(path)
                \(act)
                """
            try expectHarmless(text, outside)
        }

        @Test(
            "what stands in the project is not followed either, and its names are shown as text",
            arguments: [
                "os.symlink(outside, 'link'); os.symlink('/', 'root'); os.symlink('link', 'loop')",
                "os.unlink('one.py'); os.mkfifo('one.py'); os.mkfifo('fifo')",
                "os.unlink('one.py'); os.symlink(outside, 'one.py')",
                "open('a\\x1b[2J\\nb', 'w').write('x'); os.mkdir('c\\r'); open(b'\\xff\\xfe', 'w').close()",
                "open('sparse', 'w').truncate(1 << 40)",
                "os.mkdir('closed'); open('closed/x', 'w').close(); os.chmod('closed', 0)",
            ])
        func project(_ act: String) throws {
            let outside = try TemporaryDirectory()
            chmod(outside.path, 0o755)
            try outside.write(Self.mark, to: "file")
            try expectHarmless("import os\noutside = \"\(outside.path)/file\"\n\(act)\n", outside)
        }

        private func expectHarmless(_ text: String, _ outside: TemporaryDirectory) throws {
            let project = try TestProject([.init(file: "one.py", text: text)])
            let run = try project.cloche("run", "main.orchest", "--name", project.name, timeout: 60)
            #expect(run.status == 0, "\(run.errors)")
            let commands = [
                ["show", "\(project.name)/0"], ["show", "\(project.name)/0", "--json"], ["ls", project.name],
                ["compare", project.name], ["logs", "\(project.name)/0"], ["system", "df"],
            ]
            // Content of that size is not for a comparison.
            let all = commands + (text.contains("1 << 40") ? [] : [["diff", "\(project.name)/0"]])
            for words in all {
                let result = try Cloche.start(words).wait(timeout: 20)
                #expect(result.status < 128, "\(words): \(result.status) \(result.errors)")
                for shown in [result.output, result.errors] {
                    #expect(!shown.contains(Self.mark) && !shown.contains("\u{1B}"), "\(words): \(shown)")
                }
            }
            #expect(try Cloche.run("rm", project.name, "--yes", timeout: 30).status == 0)
            #expect(outside.names == ["file"])
        }

        @Test("a flood of empty lines ends at its limit, and takes no more of the disk than that")
        func flood() throws {
            let policy = try PolicyFile("extends: default\nlimits: {output: 1MiB}\n")
            let project = try TestProject([
                .init(file: "one.py", text: "import os\nwhile True: os.write(1, b'\\n' * 65536)\n")
            ])
            let run = try project.cloche(
                "run", "main.orchest", "--policy", policy.name, "--name", project.name, timeout: 60)
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            #expect(run.status == 1, "\(run.errors)")
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try shown.value("run", "verdict", "cause") as? String == "output-limit")
            #expect((try shown.value("run", "verdict", "remedy") as? String)?.contains("`limits.output`") == true)
            let log = try Cloche.run("logs", "\(project.name)/0/one", "--raw").output
            #expect(log.utf8.count == 1 << 20)
            let runs = try Cloche.home.get() + "/runs"
            let files = FileManager.default.enumerator(atPath: runs)?.compactMap { $0 as? String } ?? []
            let index = files.first { $0.hasSuffix("\(TestProject.uuid(0)).idx") && $0.contains("/0/") }
            if let index {
                let size = try FileManager.default.attributesOfItem(atPath: "\(runs)/\(index)")[.size] as? Int ?? 0
                #expect(size < 1 << 18, "\(size)")
            }
        }
    }
}

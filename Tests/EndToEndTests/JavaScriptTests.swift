import Foundation
import Testing

extension EndToEndBeside {
    /// Building the base takes a minute: whoever wants the test builds it into the tests' store.
    @Suite(
        "JavaScript",
        .enabled(
            if: Cloche.isBuilt && Cloche.hasEnvironment("base-kernel-javascript"),
            "base-kernel-javascript is not built in the tests' store"))
    struct JavaScript {
        /// A project whose environment is the base.
        private func project(_ steps: [TestProject.Step]) throws -> TestProject {
            let project = try TestProject(steps)
            let uuid = "00000000-0000-4000-8000-0000000000e1"
            try project.directory.write(
                """
                {"uuid": "\(uuid)", "name": "JavaScript", "language": "javascript",
                 "base_image": "orchest/base-kernel-javascript", "gpu_support": false}
                """, to: ".orchest/environments/\(uuid)/properties.json")
            try project.directory.write(
                try project.directory.read("main.orchest").replacingOccurrences(
                    of: "\"environment\" : \"\"", with: "\"environment\" : \"\(uuid)\""), to: "main.orchest")
            return project
        }

        private func notebook(_ cells: [String]) throws -> String {
            let cells = cells.map { source in
                ["cell_type": "code", "execution_count": NSNull(), "metadata": [:], "outputs": [], "source": source]
                    as [String: Any]
            }
            let kernel = ["display_name": "JavaScript", "language": "javascript", "name": "javascript"]
            let document: [String: Any] = [
                "cells": cells, "metadata": ["kernelspec": kernel], "nbformat": 4, "nbformat_minor": 4,
            ]
            return String(decoding: try JSONSerialization.data(withJSONObject: document), as: UTF8.self)
        }

        @Test("a step in JavaScript runs in the environment that Orchest's image of that name maps to")
        func step() throws {
            let project = try project([
                .init(file: "one.js", text: "console.log('node', 6 * 7, process.getuid())\n")
            ])
            let job = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(job.status == 0, "\(job.errors)")
            #expect(try Cloche.run("logs", "\(project.name)/0/one", "--raw").output == "node 42 1000\n")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }

        @Test("a notebook in JavaScript runs there too, without a network, and its failing cell is told")
        func notebooks() throws {
            let project = try project([
                .init(
                    file: "one.ipynb",
                    text: try notebook([
                        "const fs = require('fs'); const answer = 6 * 7",
                        "fs.writeFileSync('made.txt', `${answer}\\n`); console.log('js', answer, process.getuid())",
                        "({a: [1, 2], b: 'x'})",
                        "process.stdout.write('dir'); process.stdout.write('ect é\\n'); console.log('after')",
                        "await fetch('https://example.com').then(() => 'reached', () => 'offline')",
                        "require('./own.js').twice(answer)",
                        "null.missing",
                    ]))
            ])
            try project.directory.write("exports.twice = number => 2 * number\n", to: "own.js")
            let job = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(job.status == 1, "\(job.errors)")
            let log = try Cloche.run("logs", "\(project.name)/0/one", "--raw").output
            #expect(
                log.hasPrefix(
                    """
                    [2] js 42 1000
                    [3] { a: [ 1, 2 ], b: "x" }
                    [4] direct é
                    after
                    [5] "offline"
                    [6] 84
                    An error occurred while executing the following cell:
                    """), "\(log)")
            #expect(log.contains("TypeError: Cannot read properties of null (reading 'missing')"), "\(log)")
            #expect(log.hasSuffix("cloche: cell [7] failed\n"), "\(log)")
            let made = try Cloche.run("diff", "\(project.name)/0").output
            #expect(made.contains("+ made.txt") && made.contains("~ one.ipynb"), "\(made)")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}

extension Cloche {
    /// Whether an environment is built in the tests' store.
    static func hasEnvironment(_ name: String) -> Bool {
        guard let home = try? home.get() else { return false }
        return FileManager.default.fileExists(atPath: "\(home)/environments/names/\(name).json")
    }
}

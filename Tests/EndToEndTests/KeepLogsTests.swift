import Foundation
import Testing

extension EndToEndBeside {
    @Suite("runs whose files are gone and whose logs are kept", .enabled(if: Cloche.isBuilt)) struct KeptLogs {
        private static let step = """
            import orchest, os
            print("told by run", os.environ["CLOCHE_RUN"])
            open("/project-dir/result.txt", "w").write("x" * 100000)
            orchest.log_metric("loss", 0.5)
            """

        private static func project() throws -> TestProject {
            try TestProject(
                [.init(file: "work.py", text: step)], parameters: ["x": 0], grid: ["pipeline": ["x": [0, 1, 2, 3]]])
        }

        private static func directory(_ project: TestProject, _ run: Int) throws -> String {
            let uuid = try #require(try Cloche.run("show", project.name, "--json").value("job", "uuid") as? String)
            return "\(try Cloche.home.get())/runs/\(uuid)/\(run)"
        }

        @Test("of runs beyond those that are kept, logs, verdicts and metrics stay, and nothing else")
        func retention() throws {
            let project = try Self.project()
            #expect(try project.cloche("job", "create", "main.orchest", "--keep-logs").status == 64)
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--max-parallel", "1", "--keep", "1",
                "--keep-logs")
            #expect(made.status == 0, "\(made.errors)")
            for number in 0..<4 {
                let attempt = try Self.directory(project, number) + "/attempts/1"
                let isKept = number == 3
                #expect(FileManager.default.fileExists(atPath: attempt + "/project") == isKept)
                #expect(FileManager.default.fileExists(atPath: attempt + "/verdict.json"))
                let told = try Cloche.run("logs", "\(project.name)/\(number)")
                #expect(told.output.contains("told by run \(number)"), "\(told.errors)")
                let shown = try Cloche.run("show", "\(project.name)/\(number)", "--json")
                #expect(try shown.value("run", "verdict", "cause") as? String == "succeeded")
                #expect(try shown.value("run", "metrics", "loss") as? Double == 0.5)
                #expect(try (shown.value("run", "files_removed") is String) == !isKept)
            }
            let compared = try Cloche.run("compare", project.name, "--csv")
            #expect(compared.output.split(whereSeparator: \.isNewline).count == 5, "\(compared.output)")
            #expect(
                try Cloche.run("show", "\(project.name)/0").output.contains(
                    "logs, verdicts, metrics and usage are kept"))
            let difference = try Cloche.run("diff", "\(project.name)/0")
            #expect(difference.status == 5 && difference.errors.contains("were removed"), "\(difference.errors)")
            #expect(try Cloche.run("diff", "\(project.name)/3").output.contains("result.txt"))
            // A database that is made anew knows it too.
            try Cloche.reindex()
            #expect(
                try Cloche.run("show", "\(project.name)/0", "--json").value("run", "files_removed") is String)
            #expect(
                try Cloche.run("show", "\(project.name)/0", "--json").value("run", "metrics", "loss") as? Double == 0.5)
            try project.remove()
        }

        @Test("the files of one run are removed by hand, and a retry of it begins from the start")
        func byHand() throws {
            let once = "test -e /data/\("seen-$CLOCHE_JOB") && exit 0; touch /data/\("seen-$CLOCHE_JOB"); exit 3\n"
            let project = try TestProject([
                .init(file: "first.sh", text: "echo made > /project-dir/made\n"),
                .init(file: "second.sh", text: once, after: [0]),
            ])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            let reference = "\(project.name)/0"
            #expect(try Cloche.run("rm", project.name, "--keep-logs", "--yes").status == 64)
            let refused = try Cloche.run("rm", reference, "--keep-logs")
            #expect(refused.status != 0)
            #expect(try Cloche.run("rm", reference, "--keep-logs", "--yes").status == 0)
            let attempt = try Self.directory(project, 0) + "/attempts/1"
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: attempt).filter {
                    ["project", "layers", "work"].contains($0)
                }
                .isEmpty)
            #expect(try Cloche.run("open", "\(reference)/first", "--output", "-").status != 0)
            // Nothing of what is gone is kept.
            let again = try Cloche.run("retry", reference)
            #expect(again.status == 0, "\(again.errors)")
            let shown = try Cloche.run("show", reference, "--json")
            #expect(try shown.value("run", "attempt") as? Int == 2)
            #expect(try shown.value("run", "files_removed") is NSNull)
            #expect(try shown.value("steps", 0, "kept_from_attempt") is NSNull)
            #expect(try Cloche.run("diff", reference).output.contains("made"))
            try project.remove()
        }
    }
}

import Foundation
import Testing

extension EndToEndBeside {
    @Suite(
        "A project made for Orchest", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "builds need /dev/net/tun"))
    struct OrchestProject {
        @Test(
            "a setup script sees the project, and what it writes there is thrown away", arguments: ["memory", "disk"])
        func setupScript(_ place: String) throws {
            let project = try TemporaryDirectory()
            let uuid = UUID().uuidString.lowercased()
            try project.write("from the project\n", to: "directory/file")
            try project.write(
                """
                {"base_image": "python", "gpu_support": false, "language": "python", "name": "Own", "uuid": "\(uuid)"}
                """, to: ".orchest/environments/\(uuid)/properties.json")
            try project.write(
                """
                cat directory/file && rm -r directory && mkdir directory && touch new && echo built >/opt/venv/built &&
                /opt/conda/bin/python -c 'import orchest; print("has", orchest.__name__)'
                """, to: ".orchest/environments/\(uuid)/setup_script.sh")
            let before = project.names
            let built = try Cloche.start(
                ["env", "build", ".", "--json"], in: project.path, environment: ["CLOCHE_SCRATCH": place]
            ).wait(timeout: 200)
            #expect(built.status == 0, "\(built.errors)")
            #expect(built.errors.contains("from the project"), "\(built.errors)")
            #expect(built.errors.contains("has orchest"), "\(built.errors)")
            #expect(project.names == before)
            let scratch = try Cloche.home.get() + "/scratch"
            #expect((try? FileManager.default.contentsOfDirectory(atPath: scratch)) ?? [] == [])
            let build = try #require(try built.value("environments", 0, "id") as? String)
            let names = try FileManager.default.contentsOfDirectory(
                atPath: Cloche.home.get() + "/environments/builds/" + build)
            #expect(names.sorted() == ["build.json", "build.log", "content", "tree"])
            // What is only shown to the script is no part of what it made.
            let tree = try Cloche.home.get() + "/environments/builds/\(build)/tree"
            #expect(try FileManager.default.contentsOfDirectory(atPath: tree + "/opt") == ["venv"])
        }

        @Test("a set-up script that fails is named with its line, and what was built by the name that shows it")
        func names() throws {
            let project = try TestProject([.init(file: "one.sh", text: "exit 0\n")])
            let uuid = UUID().uuidString.lowercased()
            try project.bringEnvironment(uuid, "echo a\nls /nonexistent\n")
            try project.directory.write("{}", to: ".orchest/environments/e1/properties.json")
            let failed = try project.cloche("env", "build", ".")
            #expect(failed.status == 1)
            #expect(failed.errors.contains("warning: `.orchest/environments/e1` is ignored"), "\(failed.errors)")
            #expect(
                failed.errors.contains(
                    "error: .orchest/environments/\(uuid)/setup_script.sh:2: build the environment `Mine`: "),
                "\(failed.errors)")

            try project.bringEnvironment(uuid, "echo a\nif true; then\necho b\n")
            let unread = try project.cloche("env", "build", ".")
            #expect(unread.errors.contains("ended with status 2: line 4: syntax error"), "\(unread.errors)")

            try project.bringEnvironment(uuid, "echo built > /opt/mark\n")
            let built = try project.cloche("env", "build", ".")
            #expect(built.status == 0, "\(built.errors)")
            let name = try #require(built.output.split(separator: "(").last?.split(separator: ")").first)
            #expect(name.hasPrefix(uuid + "-"))
            #expect(try Cloche.run("env", "show", String(name)).output.hasPrefix("environment  Mine\n"))
        }

        @Test(
            "the quick start runs unchanged, with its environment, notebooks and cached data", .timeLimit(.minutes(8)))
        func quickstart() throws {
            let fixture = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Fixtures/quickstart")
            let directory = try TemporaryDirectory()
            let project = directory.path + "/quickstart"
            try FileManager.default.copyItem(atPath: fixture.path, toPath: project)
            let before = try FileManager.default.subpathsOfDirectory(atPath: project).sorted()
            let name = "e2e-" + UUID().uuidString.prefix(8).lowercased()
            for job in [name, name + "-again"] {
                let run = try Cloche.start(["run", "diabetes.orchest", "--name", job], in: project).wait(timeout: 400)
                try #require(run.status == 0, "\(run.errors)")
                let steps = try Cloche.run("show", "\(job)/0", "--json").value("steps") as? [[String: Any]] ?? []
                #expect(steps.map { $0["state"] as? String } == Array(repeating: "succeeded", count: 7))
            }
            #expect(try FileManager.default.subpathsOfDirectory(atPath: project).sorted() == before)
            #expect(try Cloche.run("logs", "\(name)-again/0/get-data.py", "--raw").output.contains("Using cached data"))
            for job in [name, name + "-again"] { #expect(try Cloche.run("rm", job, "--yes").status == 0) }
        }
    }
}

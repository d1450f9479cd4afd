import Foundation
import Testing

extension EndToEnd {
    @Suite("Removing environments", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct EnvironmentRemoval {
        /// An imported environment of a name of its own, and a project whose steps run in it.
        private struct Setting {
            let system: SmallSystem
            let project: TestProject
            let name: String
            let uuid = UUID().uuidString.lowercased()

            init() throws {
                system = try SmallSystem()
                name = "removal-" + UUID().uuidString.prefix(8).lowercased()
                project = try TestProject([.init(file: "one.sh", text: "cat /etc/mark\n")])
                try describe(baseImage: "made/by-hand:latest")
                let pipeline = try project.directory.read("main.orchest")
                    .replacingOccurrences(of: "\"environment\" : \"\"", with: "\"environment\" : \"\(uuid)\"")
                try project.directory.write(pipeline, to: "main.orchest")
            }

            func describe(baseImage: String, script: String = "") throws {
                let place = ".orchest/environments/\(uuid)/"
                try project.directory.write(
                    """
                    {"uuid": "\(uuid)", "name": "Mine", "language": "python", "base_image": "\(baseImage)",
                     "gpu_support": false}
                    """, to: place + "properties.json")
                try project.directory.write(script, to: place + "setup_script.sh")
            }

            @discardableResult
            func importIt(_ options: String...) throws -> String {
                let made = try Cloche.start(
                    ["env", "import", name, system.path, "--replaces", "made/by-hand", "--json"] + options
                ).wait()
                guard made.status == 0, let build = try made.value("environment", "id") as? String else {
                    throw TestFailure("import: \(made.errors)")
                }
                return build
            }

            var trees: [String] {
                get throws {
                    try FileManager.default.contentsOfDirectory(atPath: try Cloche.home.get() + "/environments/builds")
                }
            }
        }

        @Test(
            "a finished base is its tree, the listing of that, its record and its log: what else was needed would outlive its removal"
        )
        func nothingElse() throws {
            let shown = try Cloche.run("env", "show", "python", "--json")
            let build = try #require(try shown.value("environment", "id") as? String, "\(shown.errors)")
            let directory = try Cloche.home.get() + "/environments/builds/" + build
            let names = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
            #expect(names == ["build.json", "build.log", "content", "tree"])
        }

        @Test("what a job pins stays with its job, whose name is given; without the job it can be removed")
        func pins() throws {
            let setting = try Setting()
            let unknown = try setting.project.cloche("run", "main.orchest")
            #expect(
                unknown.status == 5 && unknown.errors.contains("`cloche env import ")
                    && unknown.errors.contains(" --replaces "),
                "\(unknown.errors)")
            let first = try setting.importIt()
            let job = setting.project.name
            let run = try setting.project.cloche("job", "create", "main.orchest", "--name", job)
            #expect(run.status == 0, "\(run.errors)")
            #expect(try Cloche.run("logs", "\(job)/0/one", "--raw").output == "made\n")

            let refused = try Cloche.run("env", "rm", setting.name, "--yes")
            #expect(
                refused.status == 6 && refused.errors.contains(job) && refused.errors.contains(first),
                "\(refused.errors)")
            #expect(try Cloche.run("env", "rm", first, "--yes").status == 6)
            let shown = try Cloche.run("env", "show", setting.name, "--json")
            #expect(try shown.value("builds", 0, "jobs", 0) as? String == job, "\(shown.output)")
            #expect(try Cloche.run("env", "show", setting.name).output.contains("job \(job)"))

            // A newer import is in force; the job keeps its own.
            let second = try setting.importIt("--refresh")
            #expect(try setting.trees.contains(first) && first != second)
            let key = try names(of: setting)
            for name in key { #expect(try Cloche.run("env", "rm", name, "--forget", "--yes").status == 0) }
            let forgotten = try Cloche.run("env", "rm", setting.name, "--forget", "--yes")
            #expect(forgotten.status == 0 && forgotten.errors.contains("kept build \(first)"), "\(forgotten.errors)")
            #expect(try setting.trees.contains(first) && !setting.trees.contains(second))
            #expect(try Cloche.run("env", "show", setting.name).status == 5)

            #expect(try Cloche.run("rm", job, "--yes").status == 0)
            #expect(try Cloche.run("env", "rm", first).status == 6, "it asks, and there is nobody to ask")
            #expect(try Cloche.run("env", "rm", first, "--yes").status == 0)
            #expect(try !setting.trees.contains(first))
            #expect(try Cloche.run("env", "rm", setting.name, "--yes").status == 5)
        }

        @Test("what nobody needs goes in one step, snapshots and builds; what a job holds stays")
        func prune() throws {
            let (setting, store) = (try Setting(), try TemporaryDirectory())
            func cloche(_ words: String...) throws -> CommandResult {
                try Cloche.start(
                    words, in: setting.project.path, environment: ["CLOCHE_HOME": store.path + "/store"]
                ).wait(timeout: 120)
            }
            func importIt() throws -> String {
                let made = try cloche(
                    "env", "import", setting.name, setting.system.path, "--replaces", "made/by-hand", "--refresh",
                    "--json")
                return try #require(try made.value("environment", "id") as? String, "\(made.errors)")
            }
            let held = try importIt()
            let job = setting.project.name
            let draft = try cloche("job", "create", "main.orchest", "--name", job, "--draft")
            #expect(draft.status == 0, "\(draft.errors)")
            let (old, new) = (try importIt(), try importIt())
            try setting.project.directory.write("echo other\n", to: "one.sh")
            let snapshot = try cloche("snapshot", "create", ".").output.trimmingCharacters(in: .whitespacesAndNewlines)

            let planned = try cloche("system", "prune", "--dry-run", "--json")
            #expect(try planned.value("builds") as? [String] == [old], "\(planned.output)\(planned.errors)")
            #expect(try planned.value("snapshots") as? [String] == [snapshot])
            let asked = try cloche("system", "prune")
            #expect(asked.status == 6 && asked.errors.contains("--yes"), "\(asked.errors)")
            let done = try cloche("system", "prune", "--yes")
            #expect(done.output == "snapshot \(snapshot)\nbuild \(old)\n", "\(done.output)\(done.errors)")
            #expect(try cloche("system", "prune", "--dry-run").errors.contains("nothing to remove"))
            for build in [held, new] { #expect(try cloche("env", "verify", build).status == 0) }
            let run = try cloche("job", "start", job)
            #expect(run.status == 0, "\(run.errors)")
            #expect(try cloche("logs", "\(job)/0/one", "--raw").output == "made\n")
        }

        @Test("a sandbox that runs keeps its environment, and a removal next to it leaves everything whole")
        func running() throws {
            let setting = try Setting()
            let build = try setting.importIt()
            // What this one works out is kept for the next one.
            Thread.sleep(forTimeInterval: 0.3)
            #expect(try Cloche.run("exec", "--environment", setting.name, "--", "sh", "-c", ":").status == 0)
            let running = try Cloche.start(
                [
                    "exec", "--environment", setting.name, "--", "sh", "-c",
                    "echo up; while [ ! -e /data/go-\(setting.name) ]; do :; done; cat /etc/mark",
                ])
            defer { running.signal(SIGKILL) }
            try #require(eventually(within: 20) { running.output == "up\n" })
            let busy = try Cloche.run("env", "rm", setting.name, "--yes")
            #expect(busy.status == 75 && busy.errors.contains("uses it"), "\(busy.errors)")
            #expect(
                try Cloche.run(
                    "exec", "--environment", setting.name, "--", "sh", "-c", "echo x > /data/go-\(setting.name)"
                ).status == 0)
            let ended = running.wait(timeout: 20)
            #expect(ended.output == "up\nmade\n", "\(ended.errors)")
            #expect(
                try Cloche.run("env", "rm", setting.name, "--yes", "--json").value("removed", 0) as? String == build)
            #expect(try !setting.trees.contains(build))
            #expect(try Cloche.run("exec", "--environment", setting.name, "--", "true").status == 5)
        }

        /// Names under which the project's environment is in force.
        private func names(of setting: Setting) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: try Cloche.home.get() + "/environments/names")
                .filter { $0.hasPrefix(setting.uuid) }.map { String($0.dropLast(".json".count)) }
        }
    }
}

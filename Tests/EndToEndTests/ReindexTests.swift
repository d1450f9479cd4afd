import Foundation
import Testing

extension EndToEndBeside {
    /// Each on a store of its own, which shares the environments of the common one.
    @Suite("Rebuilding the database", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Rebuilding {
        private static let step = """
            import orchest, sys
            seed = orchest.get_pipeline_param("seed")
            orchest.log_metric("score", seed * 2)
            print("seed", seed)
            sys.exit(5 if seed == 2 else 0)
            """

        private final class OwnStore {
            let directory: TemporaryDirectory
            var path: String { directory.path + "/store" }
            var database: String { path + "/cloche.db" }

            init() throws {
                directory = try TemporaryDirectory()
                let files = FileManager.default
                try files.createDirectory(
                    atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
                let shared = try Cloche.home.get()
                try files.copyItem(atPath: shared + "/identity.json", toPath: path + "/identity.json")
                try files.createSymbolicLink(
                    atPath: path + "/environments", withDestinationPath: shared + "/environments")
            }

            /// One that is a copy of another, as any tool makes it that keeps owners.
            init(copyOf other: OwnStore) throws {
                directory = try TemporaryDirectory()
                let copy = try StartedCommand("/bin/cp", ["-a", other.path, path]).wait(timeout: 60)
                guard copy.status == 0 else { throw TestFailure("cp: \(copy.errors)") }
            }

            func run(_ arguments: String..., in directory: String = "/") throws -> CommandResult {
                try Cloche.start(arguments, in: directory, environment: ["CLOCHE_HOME": path]).wait(timeout: 120)
            }

            /// What lists and views tell of its jobs, but times: the engine and the supervisor each look at the clock.
            func told(_ job: String) throws -> [String] {
                let documents = try [["ls", job], ["show", job], ["show", "\(job)/2"], ["compare", job]].map {
                    try Cloche.start($0 + ["--json"], environment: ["CLOCHE_HOME": path]).wait(timeout: 60).output
                }
                return documents.flatMap { $0.split(separator: "\n").map(String.init) }.filter { line in
                    !["started", "finished", "seconds", "directory"].contains { line.contains("\"\($0)\":") }
                }
            }

            var backups: [String] {
                get throws {
                    try FileManager.default.contentsOfDirectory(atPath: path)
                        .filter { $0.hasPrefix("cloche.db.before-reindex-") && !$0.hasSuffix("-wal") }
                }
            }
        }

        private static func project() throws -> TestProject {
            try TestProject(
                [.init(file: "seed.py", text: step), .init(file: "after.sh", text: "echo after\n", after: [0])],
                parameters: ["seed": 0], grid: ["pipeline": ["seed": [0, 1, 2, 3]]])
        }

        @Test("a job without a readable document is left out and told, beside the one document that is printed")
        func leftOut() throws {
            let (store, project) = (try OwnStore(), try Self.project())
            let draft = try store.run("job", "create", "main.orchest", "--name", "grid", "--draft", in: project.path)
            #expect(draft.status == 0, "\(draft.errors)")
            let jobs = store.path + "/jobs/"
            let job = try #require(try FileManager.default.contentsOfDirectory(atPath: jobs).first)
            try Data("{".utf8).write(to: URL(filePath: jobs + job + "/job.json"))
            let rebuilt = try store.run("system", "reindex", "--json")
            #expect(rebuilt.status == 65)
            #expect(try rebuilt.value("left_out", 0, "uuid") as? String == job, "\(rebuilt.output)")
            #expect(
                rebuilt.errors.contains("leave out job \(job)") && rebuilt.errors.contains("hint: "),
                "\(rebuilt.errors)")
        }

        @Test(
            "a copy of the store is a backup, also one that is made while a run goes on",
            .enabled(if: Cloche.isRoot, "only root copies files with their owners"), .timeLimit(.minutes(2)))
        func backup() throws {
            let (store, project) = (try OwnStore(), try Self.project())
            let made = try store.run("job", "create", "main.orchest", "--name", "grid", "--skip", "1", in: project.path)
            #expect(made.status == 3, "\(made.errors)")
            let slow = try TestProject([
                .init(file: "slow.sh", text: "echo begun\nsleep 8\necho over\n")
            ])
            let running = try Cloche.start(
                ["run", "main.orchest", "--name", "slow"], in: slow.path, environment: ["CLOCHE_HOME": store.path])
            defer { running.signal(SIGKILL) }
            #expect(try eventually(within: 20) { try store.run("logs", "slow/0").output.contains("begun") })

            let copy = try OwnStore(copyOf: store)
            let rebuilt = try copy.run("system", "reindex")
            #expect(rebuilt.status == 0, "\(rebuilt.errors)")
            #expect(try copy.told("grid") == store.told("grid"))
            let lost = try copy.run("show", "slow/0", "--json")
            #expect(try lost.value("run", "verdict", "cause") as? String == "supervisor-lost", "\(lost.output)")
            #expect(try lost.value("steps", 0, "state") as? String == "failed", "\(lost.output)")
            let over = running.wait(timeout: 30)
            #expect(over.status == 0, "\(over.errors)")
            let again = try copy.run("retry", "slow")
            #expect(again.status == 0, "\(again.errors)")
        }

        @Test("the rebuilt database tells the same, whatever the old one was", arguments: ["gone", "damaged", "older"])
        func same(old: String) throws {
            let (store, project) = (try OwnStore(), try Self.project())
            let made = try store.run("job", "create", "main.orchest", "--name", "grid", "--skip", "1", in: project.path)
            #expect(made.status == 3, "\(made.errors)")
            let before = try store.told("grid")
            switch old {
            case "gone": try FileManager.default.removeItem(atPath: store.database)
            case "damaged": try Data("no database".utf8).write(to: URL(filePath: store.database))
            default: break
            }
            if old == "damaged" { #expect(try store.run("ls").errors.contains("cloche system reindex")) }
            let rebuilt = try store.run("system", "reindex", "--json")
            #expect(rebuilt.status == 0, "\(rebuilt.errors)")
            #expect(try rebuilt.value("jobs") as? Int == 1 && rebuilt.value("runs") as? Int == 3)
            #expect(try store.told("grid") == before)
            #expect(try store.backups.count == (old == "gone" ? 0 : 1))
            #expect(try store.run("retry", "grid").status == 1)
        }

        @Test("a run that nobody made to its end is ended, and what is pending can go on") func interrupted() throws {
            let (store, project) = (try OwnStore(), try TestProject([.init(file: "slow.sh", text: "sleep 60\n")]))
            let driver = try Cloche.start(
                ["run", "main.orchest", "--name", "slow"], in: project.path, environment: ["CLOCHE_HOME": store.path])
            defer { driver.signal(SIGKILL) }
            try #require(
                eventually(within: 20) {
                    (try? store.run("show", "slow/0", "--json").value("steps", 0, "state") as? String) == "running"
                })
            let busy = try store.run("system", "reindex")
            #expect(busy.status == 78 && busy.errors.contains("other commands use it"), "\(busy.errors)")
            driver.signal(SIGKILL)
            _ = driver.wait(timeout: 10)
            try #require(
                eventually(within: 20) {
                    (try? store.run("ls", "slow", "--json").value("runs", 0, "state") as? String) != "running"
                })
            let before = try store.told("slow")
            #expect(try store.run("system", "reindex").status == 0)
            #expect(try store.told("slow") == before)
        }

        @Test("a job of a newer version is refused, one that cannot be read is left out and said") func documents()
            throws
        {
            let (store, project) = (try OwnStore(), try Self.project())
            for name in ["one", "two"] {
                _ = try store.run("job", "create", "main.orchest", "--name", name, "--only", "0", in: project.path)
            }
            let uuid = try #require(try store.run("show", "two", "--json").value("job", "uuid") as? String)
            let file = "\(store.path)/jobs/\(uuid)/job.json"
            let text = try String(contentsOfFile: file, encoding: .utf8)
            #expect(text.contains("\"format\" : 1"))
            try text.replacingOccurrences(of: "\"format\" : 1", with: "\"format\" : 9")
                .write(toFile: file, atomically: true, encoding: .utf8)
            let newer = try store.run("system", "reindex")
            #expect(newer.status == 78 && newer.errors.contains("use the newer cloche"), "\(newer.errors)")
            #expect(try store.backups.isEmpty)
            #expect(try store.run("ls", "two").status == 0)

            try "{".write(toFile: file, atomically: true, encoding: .utf8)
            let rebuilt = try store.run("system", "reindex", "--json")
            #expect(rebuilt.status == 65 && rebuilt.output.contains(uuid), "\(rebuilt.output)")
            #expect(try store.run("ls", "one").status == 0)
            #expect(try store.run("ls", "two").status == 5)
            #expect(FileManager.default.fileExists(atPath: file))
        }

        @Test("a job whose rows were not written is taken up, one that was being removed is removed") func halves()
            throws
        {
            let (store, project) = (try OwnStore(), try Self.project())
            let files = FileManager.default
            for name in ["one", "two"] {
                _ = try store.run("job", "create", "main.orchest", "--name", name, "--only", "0", in: project.path)
            }
            let uuids = try ["one", "two"].map {
                try #require(try store.run("show", $0, "--json").value("job", "uuid") as? String)
            }
            // As after a kill between a job's directory and its rows: the directories are there, the rows are not.
            for uuid in uuids {
                try files.moveItem(atPath: "\(store.path)/jobs/\(uuid)", toPath: "\(store.path)/\(uuid)")
            }
            #expect(try store.run("system", "reindex").status == 0)
            #expect(try store.run("ls", "--json").value("jobs", 0) == nil)
            for uuid in uuids {
                try files.moveItem(atPath: "\(store.path)/\(uuid)", toPath: "\(store.path)/jobs/\(uuid)")
            }
            try Data().write(to: URL(filePath: "\(store.path)/jobs/\(uuids[1])/removing"))
            let listed = try store.run("ls", "--json")
            #expect(listed.errors.contains("1 job was not in the database"), "\(listed.errors)")
            #expect(try listed.value("jobs", 0, "name") as? String == "one" && listed.value("jobs", 1) == nil)
            #expect(try store.run("ls", "one", "--json").value("runs", 0, "state") as? String == "succeeded")
            #expect(!files.fileExists(atPath: "\(store.path)/jobs/\(uuids[1])"))
            #expect(!files.fileExists(atPath: "\(store.path)/runs/\(uuids[1])"))
            #expect(try store.run("rm", "one", "--yes").status == 0)
            #expect(try files.contentsOfDirectory(atPath: store.path + "/jobs").isEmpty)
        }
    }
}

import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Retrying and pausing", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Retrying {
        /// Runs with odd numbers fail until there is a file in the job's own `/data`.
        private static let policy = "extends: default\ndata: {access: rw, scope: job}\n"
        private static let odd = """
            import orchest, os, sys
            number = orchest.get_pipeline_param("number")
            print("attempt of", number, "fresh" if not os.path.exists("left") else "stale")
            open("left", "w").close()
            if number % 2 and not os.path.exists(f"/data/{number}"):
                open(f"/data/{number}", "w").close()
                sys.exit(4)
            """

        private static func project(_ numbers: Int) throws -> TestProject {
            try TestProject(
                [.init(file: "odd.py", text: odd), .init(file: "after.sh", text: "echo after\n", after: [0])],
                parameters: ["number": 0], grid: ["pipeline": ["number": Array(0..<numbers)]])
        }

        private static func states(_ project: TestProject) throws -> [String] {
            let runs = try Cloche.run("ls", project.name, "--json").value("runs") as? [[String: Any]]
            return (runs ?? []).compactMap { $0["state"] as? String }
        }

        @Test("a run that failed is made again from its beginning, and its first attempt is kept")
        func oneRun() throws {
            let (project, policy) = (try Self.project(4), try PolicyFile(Self.policy))
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--policy", policy.name)
            #expect(made.status == 3)
            #expect(try Self.states(project) == ["succeeded", "failed", "succeeded", "failed"])

            let retried = try Cloche.run("retry", "\(project.name)/1", "--json")
            #expect(retried.status == 0, "\(retried.errors)")
            #expect(try (retried.value("runs") as? [Any])?.count == 1)
            #expect(try retried.value("runs", 0, "attempt") as? Int == 2)
            #expect(try Self.states(project) == ["succeeded", "succeeded", "succeeded", "failed"])
            #expect(try Cloche.run("show", project.name, "--json").value("job", "state") as? String == "failed")

            let logs = ["1", "2"].map { try? Cloche.run("logs", "\(project.name)/1/odd", "--attempt", $0).output }
            #expect(logs == ["attempt of 1 fresh\n", "attempt of 1 fresh\n"])
            #expect(try Cloche.run("logs", "\(project.name)/1", "--attempt", "3").status == 5)
            #expect(try Cloche.run("show", "\(project.name)/1").output.contains("ended with exit code 4"))
            let again = try Cloche.run("retry", "\(project.name)/1")
            #expect(again.status == 6 && again.errors.contains("succeeded"), "\(again.errors)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("of a job those runs are made again that failed, and the others only when asked for")
        func wholeJob() throws {
            let (project, policy) = (try Self.project(4), try PolicyFile(Self.policy))
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--policy", policy.name, "--stop-on-failure",
                "--max-parallel", "1")
            #expect(made.status == 3)
            #expect(try Self.states(project) == ["succeeded", "failed", "skipped", "skipped"])
            #expect(try Cloche.run("retry", project.name).status == 0)
            #expect(try Self.states(project) == ["succeeded", "succeeded", "skipped", "skipped"])
            #expect(try Cloche.run("retry", project.name, "--all", "--max-parallel", "0").status == 64)
            #expect(try Self.states(project) == ["succeeded", "succeeded", "skipped", "skipped"])
            let none = try Cloche.run("retry", project.name)
            #expect(none.status == 6 && none.errors.contains("--all"), "\(none.errors)")
            #expect(try Cloche.run("retry", project.name, "--all").status == 3)
            #expect(try Cloche.run("retry", project.name, "--all").status == 0)
            #expect(try Self.states(project) == ["succeeded", "succeeded", "succeeded", "succeeded"])
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a job can be told to make failed runs again by itself")
        func retries() throws {
            let (project, policy) = (try Self.project(2), try PolicyFile(Self.policy))
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--policy", policy.name, "--retries", "1",
                "--json")
            #expect(made.status == 0, "\(made.errors)")
            #expect(made.errors.contains("run 1 is made once more: step `odd` ended with exit code 4"))
            #expect(try made.value("runs", 1, "attempt") as? Int == 2)
            #expect(try project.cloche("run", "main.orchest", "--retries", "-1").status == 64)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a paused job starts nothing until it is resumed, and what was cancelled can be taken up again")
        func pausedAndCancelled() throws {
            let policy = try PolicyFile(Self.policy)
            let slowOnce = "test -e /data/seen && exit; touch /data/seen; echo begun; sleep 60\n"
            let project = try TestProject(
                [.init(file: "slow.sh", text: slowOnce)], parameters: ["x": 0], grid: ["pipeline": ["x": [0, 1, 2]]])
            let driver = try Cloche.start(
                [
                    "job", "create", "main.orchest", "--name", project.name, "--max-parallel", "1", "--policy",
                    policy.name,
                ], in: project.path)
            defer { driver.signal(SIGKILL) }
            try #require(
                eventually(within: 20) {
                    (try? Cloche.run("logs", "\(project.name)/0").output.contains("begun")) == true
                })
            let paused = try Cloche.run("job", "pause", project.name)
            #expect(paused.status == 0 && paused.errors.contains("1 still running"), "\(paused.errors)")
            let again = try Cloche.run("job", "pause", project.name)
            #expect(
                again.status == 6 && again.errors.contains("`cloche job resume \(project.name)`"), "\(again.errors)")
            #expect(try Cloche.run("cancel", "\(project.name)/0").status == 0)
            let ended = driver.wait(timeout: 60)
            #expect(ended.status == 75 && ended.errors.contains("job resume"), "\(ended.errors)")
            #expect(try Self.states(project) == ["cancelled", "pending", "pending"])
            #expect(try Cloche.run("job", "start", project.name).errors.contains("job resume"))
            for told in [
                try Cloche.run("show", project.name).output, try Cloche.run("watch", project.name).errors,
            ] {
                #expect(told.contains("`cloche job resume \(project.name)`") && !told.contains("job start"), "\(told)")
            }

            #expect(try Cloche.run("job", "resume", project.name).status == 2)
            #expect(try Self.states(project) == ["cancelled", "succeeded", "succeeded"])
            #expect(try Cloche.run("retry", project.name, "--all").status == 0)
            #expect(try Self.states(project) == ["succeeded", "succeeded", "succeeded"])
            _ = try Cloche.run("rm", project.name, "--yes")
        }
    }
}

import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Schedules and drafts", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Scheduling {
        private static func project() throws -> TestProject {
            try TestProject(
                [.init(file: "say.sh", text: "echo said\n")], parameters: ["x": 0],
                grid: ["pipeline": ["x": [1, 2, 3]]])
        }

        private static func document(_ name: String) throws -> CommandResult { try Cloche.run("show", name, "--json") }

        private static func runs(_ name: String) throws -> [[String: Any]] {
            try document(name).value("runs") as? [[String: Any]] ?? []
        }

        @Test(
            "a recurring job tells its next five times, makes batches when it is triggered, and ends when it is cancelled"
        )
        func recurring() throws {
            let project = try Self.project()
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--cron", "30 2 * * *", "--time-zone",
                "Europe/Berlin", "--skip", "1")
            #expect(made.status == 0, "\(made.errors)")
            #expect(made.errors.contains("2 runs each time") && made.errors.contains("cloche serve"), "\(made.errors)")
            #expect(made.errors.components(separatedBy: " 02:30 Europe/Berlin").count == 6, "\(made.errors)")
            let shown = try Cloche.run("show", project.name)
            #expect(shown.output.contains("30 2 * * * in Europe/Berlin") && shown.output.contains("0 made"))
            #expect(shown.output.components(separatedBy: " 02:30 Europe/Berlin").count == 6)
            #expect(shown.output.contains("no service is running"), "\(shown.output)")
            #expect(try Self.document(project.name).value("job", "state") as? String == "pending")
            #expect(try Cloche.run("ls").output.contains("\tNEXT\t"))
            let nothing = try Cloche.run("job", "start", project.name)
            #expect(nothing.status == 6 && nothing.errors.contains("job trigger"), "\(nothing.errors)")

            for batch in 0..<2 {
                let triggered = try Cloche.run("job", "trigger", project.name, "--json")
                #expect(triggered.status == 0, "\(triggered.errors)")
                let runs = try triggered.value("runs") as? [[String: Any]] ?? []
                #expect(runs.map { $0["index"] as? Int } == [batch * 2, batch * 2 + 1])
                #expect(runs.map { $0["batch"] as? Int } == [batch, batch])
                #expect(runs.map { $0["batch_index"] as? Int } == [0, 1])
                let values = runs.map {
                    (($0["parameters"] as? [String: Any])?["pipeline_parameters"] as? [String: Any])?["x"] as? Int
                }
                #expect(values == [1, 3])
            }
            let document = try Self.document(project.name)
            #expect(try document.value("job", "state") as? String == "pending", "between batches")
            #expect(try document.value("job", "batches") as? Int == 2)
            #expect(try (document.value("job", "next_times") as? [String])?.count == 5)
            #expect(try Cloche.run("show", "\(project.name)/3").output.contains("1, run 1 of it"))

            #expect(try Cloche.run("job", "pause", project.name).status == 0)
            let paused = try Cloche.run("job", "trigger", project.name)
            #expect(paused.status == 6 && paused.errors.contains("job resume"), "\(paused.errors)")
            let resumed = try Cloche.run("job", "resume", project.name)
            #expect(resumed.status == 0 && resumed.errors.contains("next:"), "\(resumed.errors)")
            #expect(try Cloche.run("cancel", project.name).status == 0)
            let ended = try Self.document(project.name)
            #expect(try ended.value("job", "state") as? String == "cancelled")
            #expect(try ended.value("job", "next") is NSNull)
            let refused = try Cloche.run("job", "trigger", project.name)
            #expect(refused.status == 6 && refused.errors.contains("job copy"), "\(refused.errors)")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }

        @Test("what cannot be scheduled is refused before anything is made, with the reason")
        func refused() throws {
            let project = try Self.project()
            for (arguments, reason) in [
                (["--cron", "0 0 30 2 *"], "no month of `2` ever has a day `30`"),
                (["--cron", "0 25 * * *"], "hour: `25` is not 0 to 23"),
                (["--cron", "@daily", "--time-zone", "Europe/Berlim"], "did you mean `Europe/Berlin`?"),
                (["--cron", "@daily", "--time-zone", "../../../etc/passwd"], "is no name of one"),
                (["--cron", "@daily", "--overlap", "never"], "allow, skip, queue"),
                (["--cron", "@daily", "--at", "2100-01-01T00:00:00Z"], "exclude each other"),
                (["--at", "2020-01-01T00:00:00Z"], "is past"), (["--at", "tomorrow"], "is no time"),
                (["--at", "2100-01-01 08:00", "--catch-up", "all"], "are for --cron"),
                (["--at", "2099-03-29T02:30", "--time-zone", "Europe/Berlin"], "is skipped in Europe/Berlin"),
                (["--at", "2099-10-25 02:30", "--time-zone", "Europe/Berlin"], "2099-10-25T01:30:00.000Z"),
                (["--time-zone", "UTC"], "need --cron"), (["--keep", "0"], "from 1 on"),
                (["--retry-on", "exit,bad"], "`bad` is no failure"), (["--retry-delay", "2h"], "at most 1h"),
            ] {
                let command = ["job", "create", "main.orchest", "--name", project.name] + arguments
                let result = try Cloche.start(command, in: project.path).wait(timeout: 60)
                #expect(result.status == 64 && result.errors.contains(reason), "\(arguments): \(result.errors)")
            }
            #expect(try Cloche.run("show", project.name).status == 5)
        }

        @Test("a job at a time waits for it; its local time is that of its zone")
        func once() throws {
            let project = try Self.project()
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--at", "2100-07-01 08:00", "--time-zone",
                "Europe/Berlin", "--json")
            #expect(made.status == 0, "\(made.errors)")
            #expect(try made.value("job", "next") as? String == "2100-07-01T06:00:00.000Z")
            #expect(try Cloche.run("job", "edit", project.name, "--at", "2101-01-01T00:00:00+01:00").status == 0)
            #expect(try Self.document(project.name).value("job", "next") as? String == "2100-12-31T23:00:00.000Z")
            let late = try Cloche.run("job", "edit", project.name, "--skip", "0")
            #expect(late.status == 6 && late.errors.contains("job copy"), "\(late.errors)")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }

        @Test("a time is told with its date in UTC where that is another day, and a schedule that began stays")
        func nextTime() throws {
            let project = try Self.project()
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--at", "2100-12-01 08:00", "--time-zone",
                "Asia/Tokyo")
            let time = "2100-12-01 08:00 Asia/Tokyo (2100-11-30 23:00 UTC)"
            #expect(made.status == 0 && made.errors.contains(time), "\(made.errors)")
            let shown = try Cloche.run("show", project.name).output
            #expect(shown.contains(time) && shown.contains("none yet, 3 at its time"), "\(shown)")
            #expect(try Cloche.run("job", "edit", project.name, "--at", "2100-12-01 12:00").status == 0)
            #expect(try Cloche.run("show", project.name).output.contains("2100-12-01 12:00 Asia/Tokyo (03:00 UTC)"))
            let refused = try Cloche.run("job", "edit", project.name, "--no-schedule")
            #expect(refused.status == 6 && refused.errors.contains("cloche cancel"), "\(refused.errors)")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }

        @Test("a draft runs nothing, can be changed wholly, and is started or copied with what it was frozen with")
        func drafts() throws {
            let project = try Self.project()
            let made = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--draft")
            #expect(made.status == 0 && made.errors.contains("a draft of 3 runs"), "\(made.errors)")
            #expect(try Self.document(project.name).value("job", "state") as? String == "draft")
            try project.directory.write("exit 9\n", to: "say.sh")
            try project.directory.write(#"{"pipeline_parameters": {"x": [7, 8, 9, 10]}}"#, to: "other.json")
            #expect(try Cloche.run("job", "edit", project.name).status == 64)
            #expect(
                try project.cloche("job", "edit", project.name, "--parameters", "other.json", "--skip", "9").status
                    == 65)
            let edited = try project.cloche(
                "job", "edit", project.name, "--parameters", "other.json", "--skip", "1", "--env-var", "STAGE=test",
                "--max-parallel", "1", "--policy", "strict", "--name", project.name + "-b", "--keep", "2")
            #expect(edited.status == 0, "\(edited.errors)")
            let started = try Cloche.run("job", "start", project.name + "-b", "--json")
            #expect(started.status == 0, "\(started.errors)")
            #expect(try started.value("job", "policy") as? String == "strict")
            #expect(try Self.runs(project.name + "-b").map { $0["index"] as? Int } == [1, 2], "two of three are kept")
            #expect(
                try Cloche.run("show", project.name + "-b", "--json").value("job", "counts", "succeeded") as? Int == 3)
            #expect(try Cloche.run("job", "start", project.name + "-b").status == 6)

            let copied = try Cloche.run("job", "copy", project.name + "-b", "--json")
            let copy = try #require(try copied.value("job", "name") as? String)
            #expect(try Cloche.run("rm", project.name + "-b", "--yes").status == 0)
            #expect(try Cloche.run("job", "edit", copy, "--only", "3").status == 0)
            #expect(try Cloche.run("job", "edit", copy, "--cron", "@hourly").status == 0)
            #expect(try Cloche.run("job", "edit", copy, "--no-schedule").status == 0)
            #expect(try Cloche.run("job", "start", copy).status == 0)
            let values = try Self.runs(copy).map {
                (($0["parameters"] as? [String: Any])?["pipeline_parameters"] as? [String: Any])?["x"] as? Int
            }
            #expect(values == [10])
            // What is retried of it is bound by its limits.
            for limits in [["--timeout", "5m", "--max-parallel", "2"], ["--timeout", "none", "--max-parallel", "0"]] {
                #expect(try Cloche.start(["job", "edit", copy] + limits).wait(timeout: 60).status == 0, "\(limits)")
                let seconds = try Cloche.run("show", copy, "--json").value("job", "timeout_seconds") as? Double
                #expect(seconds == (limits[1] == "5m" ? 300 : nil))
            }
            let ended = try Cloche.run("job", "edit", copy, "--only", "1")
            #expect(ended.status == 6 && ended.errors.contains("it is succeeded"), "\(ended.errors)")
            #expect(try Cloche.run("job", "edit", copy, "--name", copy + "-c").status == 0)
            #expect(try Cloche.run("rm", copy + "-c", "--yes").status == 0)
        }

        @Test("a change whose maker is killed between document and database is in both before anything comes of it")
        func interruptedEdit() throws {
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            #expect(
                try project.cloche("job", "create", "main.orchest", "--name", project.name, "--draft").status == 0)
            let id = try #require(try Cloche.run("show", project.name, "--json").value("job", "uuid") as? String)
            let home = try Cloche.home.get()
            func python(_ program: String) throws -> StartedCommand {
                try StartedCommand("/usr/bin/python3", ["-c", "import sqlite3, sys, time\n" + program, home, id])
            }
            func parallel() throws -> String {
                let query = "select max_parallel from jobs where uuid = ?"
                return try python(
                    "print(*sqlite3.connect(sys.argv[1] + '/cloche.db').execute('\(query)', sys.argv[2:]).fetchone())"
                ).wait(timeout: 30).output
            }
            // As long as another process writes, the database cannot follow.
            let writer = try python(
                """
                database = sqlite3.connect(sys.argv[1] + '/cloche.db', isolation_level=None)
                database.execute('BEGIN IMMEDIATE')
                print('writing', flush=True)
                time.sleep(60)
                """)
            defer { writer.signal(SIGKILL) }
            try #require(eventually { writer.output.contains("writing") })
            let edit = try Cloche.start(["job", "edit", project.name, "--max-parallel", "7"])
            defer { edit.signal(SIGKILL) }
            let document = "\(home)/jobs/\(id)/job.json"
            #expect(
                eventually(within: 20) {
                    (try? String(contentsOfFile: document, encoding: .utf8))?.contains("\"max_parallel\" : 7") ?? false
                })
            edit.signal(SIGKILL)
            _ = edit.wait(timeout: 10)
            writer.signal(SIGKILL)
            _ = writer.wait(timeout: 10)
            #expect(try parallel() == "None\n")
            #expect(try Cloche.run("job", "start", project.name).status == 0)
            #expect(try parallel() == "7\n")

            // A change that the database refuses is not in the document either.
            let before = try Data(contentsOf: URL(filePath: document))
            let other = try project.cloche("job", "create", "main.orchest", "--name", project.name + "-b", "--draft")
            defer { _ = try? Cloche.run("rm", project.name + "-b", "--yes") }
            #expect(other.status == 0)
            #expect(try Cloche.run("job", "edit", project.name, "--name", project.name + "-b").status == 6)
            #expect(try Data(contentsOf: URL(filePath: document)) == before)
        }

        @Test("runs beyond the newest that are kept go with their files, and are never made again")
        func retention() throws {
            let project = try Self.project()
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--keep", "1", "--max-parallel", "1")
            #expect(made.status == 0, "\(made.errors)")
            let job = try #require(try Self.document(project.name).value("job", "uuid") as? String)
            let directory = try Cloche.home.get() + "/runs/" + job
            #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == ["2"])
            #expect(try Cloche.run("show", "\(project.name)/0").status == 5)
            #expect(try Cloche.run("logs", "\(project.name)/2").output.contains("said"))
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }

        @Test("Ctrl-C ends the runs of a batch and not the schedule; a failure counts though its run is not kept")
        func interruptedBatch() throws {
            let slow = "test $ORCHEST_X || echo begun; sleep 60\n"
            let project = try TestProject(
                [.init(file: "slow.sh", text: slow)], parameters: ["x": 0], grid: ["pipeline": ["x": [0, 1]]])
            let create = [
                "job", "create", "main.orchest", "--name", project.name, "--cron", "@yearly", "--max-parallel", "1",
            ]
            #expect(try Cloche.start(create, in: project.path).wait(timeout: 60).status == 0)
            let driver = try Cloche.start(["job", "trigger", project.name], in: project.path)
            defer { driver.signal(SIGKILL) }
            try #require(
                eventually(within: 20) {
                    (try? Cloche.run("logs", "\(project.name)/0").output.contains("begun")) == true
                })
            driver.signal(SIGINT)
            let ended = driver.wait(timeout: 60)
            #expect(ended.status == 130 && ended.errors.contains("the schedule goes on"), "\(ended.errors)")
            let document = try Self.document(project.name)
            #expect(try document.value("job", "state") as? String == "pending")
            #expect(try document.value("job", "next") is String)
            #expect(try Self.runs(project.name).map { $0["state"] as? String } == ["cancelled", "cancelled"])
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)

            let failing = try TestProject(
                [.init(file: "odd.py", text: "import orchest, sys\nsys.exit(orchest.get_pipeline_param('x'))\n")],
                parameters: ["x": 0], grid: ["pipeline": ["x": [1, 0]]])
            let kept = try failing.cloche(
                "job", "create", "main.orchest", "--name", failing.name, "--cron", "@yearly", "--keep", "1",
                "--max-parallel", "1")
            #expect(kept.status == 0, "\(kept.errors)")
            #expect(try Cloche.run("job", "trigger", failing.name).status == 3)
            #expect(try Self.runs(failing.name).map { $0["index"] as? Int } == [1])
            #expect(try Cloche.run("job", "edit", failing.name, "--policy", "strict").status == 0)
            #expect(try Cloche.run("job", "trigger", failing.name).status == 3)
            let job = try #require(try Self.document(failing.name).value("job", "uuid") as? String)
            let spec = try String(contentsOfFile: Cloche.home.get() + "/runs/\(job)/3/spec.json", encoding: .utf8)
            #expect(spec.contains("\"strict\""))
            #expect(try Cloche.run("rm", failing.name, "--yes").status == 0)
        }

        @Test("wishes of many commands at once are all kept")
        func concurrentWishes() throws {
            let project = try TestProject(
                [.init(file: "say.sh", text: "echo said\n")], parameters: ["x": 0],
                grid: ["pipeline": ["x": Array(0..<12)]])
            let policy = try PolicyFile("extends: default\n")
            #expect(
                try project.cloche(
                    "job", "create", "main.orchest", "--name", project.name, "--cron", "0 0 1 1 *", "--policy",
                    policy.name
                ).status == 0)
            let driver = try Cloche.start(["job", "trigger", project.name, "--max-parallel", "1"], in: project.path)
            defer { driver.signal(SIGKILL) }
            try #require(eventually(within: 20) { (try? Self.runs(project.name).count) == 12 })
            let pause = try Cloche.run("job", "pause", project.name)
            #expect(pause.status == 0, "\(pause.errors)")
            _ = driver.wait(timeout: 60)
            let pending = try Self.runs(project.name).filter { $0["state"] as? String == "pending" }.compactMap {
                $0["index"] as? Int
            }
            try #require(pending.count >= 6)
            var commands = try pending.map { try Cloche.start(["cancel", "\(project.name)/\($0)"]) }
            commands.append(try Cloche.start(["job", "edit", project.name, "--keep", "100"]))
            commands.append(try Cloche.start(["job", "edit", project.name, "--retries", "3", "--cron", "0 1 1 1 *"]))
            for command in commands { #expect(command.wait(timeout: 60).status == 0) }
            let job = try #require(try Self.document(project.name).value("job", "uuid") as? String)
            let data = try Data(contentsOf: URL(filePath: try Cloche.home.get() + "/jobs/\(job)/job.json"))
            let document = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            let will = document["will"] as? [String: Any], options = document["options"] as? [String: Any]
            let first = pending[0], last = pending[pending.count - 1]
            #expect(will?["cancelled_runs"] as? String == "\(first)-\(last)")
            #expect(will?["paused"] is String)
            #expect(options?["keep"] as? Int == 100 && options?["retries"] as? Int == 3)
            #expect((document["schedule"] as? [String: Any])?["cron"] as? String == "0 1 1 1 *")
            #expect(try Cloche.run("cancel", project.name).status == 0)
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }

        @Test("a failed run waits before its next attempt, and only causes that were named are retried")
        func delayedRetries() throws {
            let policy = try PolicyFile("extends: default\ndata: {access: rw, scope: job}\n")
            let once = "test -e /data/seen && exit 0; touch /data/seen; exit 3\n"
            let project = try TestProject([.init(file: "once.sh", text: once)])
            let made = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--policy", policy.name, "--retries", "2",
                "--retry-delay", "2s", "--json")
            #expect(made.status == 0, "\(made.errors)")
            #expect(made.errors.contains("is made once more in "), "\(made.errors)")
            #expect(try made.value("runs", 0, "attempt") as? Int == 2)
            let started = try #require(try made.value("runs", 0, "started") as? String)
            let created = try #require(try made.value("job", "started") as? String)
            let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
            #expect(try format.parse(started).timeIntervalSince(format.parse(created)) >= 2)
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)

            let other = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--policy", policy.name, "--retries", "2",
                "--retry-on", "timeout,signal", "--json")
            #expect(other.status == 1, "\(other.errors)")
            #expect(try other.value("runs", 0, "attempt") as? Int == 1)
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}

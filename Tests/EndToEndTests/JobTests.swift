import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Jobs", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Jobs {
        /// Three steps that hand a number on, and a grid of four combinations; the step's parameter varies slowest.
        private static func grid() throws -> TestProject {
            try TestProject(
                [
                    .init(
                        file: "first.py",
                        text: """
                            import orchest
                            x, k = orchest.get_pipeline_param("x"), orchest.get_step_param("k")
                            orchest.output({"product": x * k}, name="numbers")
                            print("multiplied")
                            """, parameters: ["k": 10]),
                    .init(
                        file: "second.py",
                        text: """
                            import orchest
                            value = orchest.get_inputs()["numbers"]["product"] + 1
                            open("result.txt", "w").write(str(value))
                            print("result", value)
                            """, after: [0]),
                    .init(file: "third.sh", text: "echo \"file $(cat result.txt)\"; echo careful >&2\n", after: [1]),
                ], parameters: ["x": 1], grid: ["pipeline": ["x": [1, 2]], TestProject.uuid(0): ["k": [10, 20]]])
        }

        @Test("every combination of the grid is a run with its own result, logs and records")
        func everyCombination() throws {
            let project = try Self.grid()
            let before = project.directory.names
            let created = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--json")
            #expect(created.status == 0, "\(created.errors)")
            #expect(try created.value("job", "state") as? String == "succeeded")
            for number in 0..<4 {
                #expect(try created.value("runs", number, "index") as? Int == number)
                #expect(try created.value("runs", number, "state") as? String == "succeeded")
                #expect(try created.value("runs", number, "verdict", "cause") as? String == "succeeded")
            }
            for (number, result) in [11, 21, 21, 41].enumerated() {
                let logs = try Cloche.run("logs", "\(project.name)/\(number)")
                #expect(logs.output.contains("result \(result)\n"))
                #expect(logs.output.contains("file \(result)\n"))
                #expect(logs.output.contains("careful\n"))
            }
            #expect(project.directory.names == before, "the steps wrote into the author's project")

            let jobs = try Cloche.run("ls", "--json", "--limit", "0")
            let states = (try jobs.value("jobs") as? [[String: Any]])?
                .filter { $0["name"] as? String == project.name }.map { $0["state"] as? String }
            #expect(states == ["succeeded"])
            #expect(try (Cloche.run("ls", project.name, "--json").value("runs") as? [Any])?.count == 4)
            let step = try Cloche.run("show", "\(project.name)/2", "--json")
            #expect(try step.value("steps", 1, "title") as? String == "second")
            #expect(try step.value("steps", 1, "state") as? String == "succeeded")
            let job = try #require(try created.value("job", "uuid") as? String)
            let left = try FileManager.default.contentsOfDirectory(
                atPath: Cloche.home.get() + "/runs/\(job)/2/attempts/1")
            #expect(left.contains("project") && !left.contains("work"), "\(left)")
            try Self.remove(project)
        }

        @Test("tables show times that people can read")
        func tables() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo 1\n")])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            let table = try Cloche.run("ls", project.name).output
            #expect(table.firstMatch(of: /[0-9]\.[0-9]{6,}/) == nil, "\(table)")
            try Self.remove(project)
        }

        @Test("log lines have their time and step when asked")
        func logLines() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo hello\n")])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            let line = try Cloche.run("logs", "\(project.name)/0", "--timestamps", "--step", "one").output
            #expect(line.firstMatch(of: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z .*hello\n$/) != nil, "\(line)")
            #expect(try Cloche.run("logs", "\(project.name)/0/one", "--raw").output == "hello\n")
            for reference in ["\(project.name)/0", "\(project.name)/0/one"] {
                let record = try Cloche.run("logs", reference, "--json")
                #expect(try record.value("line") as? String == "hello")
                #expect(try record.value("step") as? String == "one")
            }
            try Self.remove(project)
        }

        @Test("a plan shows the runs and makes nothing; --only and --skip select by number")
        func planAndSelection() throws {
            let project = try Self.grid()
            let plan = try project.cloche("job", "plan", "main.orchest", "--json")
            #expect(plan.status == 0)
            #expect(try plan.value("count") as? Int == 4)
            #expect(try plan.value("runs", 3, "parameters", "pipeline_parameters", "x") as? Int == 2)
            #expect(try Cloche.run("ls", project.name).status == 5)
            for selection in [["--only", "2,3"], ["--skip", "0-1"]] {
                let selected = try Cloche.start(
                    ["job", "plan", "main.orchest", "--json"] + selection, in: project.path
                ).wait()
                #expect(selected.status == 0)
                #expect(try selected.value("count") as? Int == 2)
                for number in 0..<2 {
                    let value = try selected.value("runs", number, "parameters", TestProject.uuid(0), "k")
                    #expect(value as? Int == 20)
                }
            }
            #expect(try project.cloche("job", "plan", "main.orchest", "--only", "9").status == 65)
        }

        @Test("removing needs --yes where there is no terminal")
        func removing() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo 1\n")])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            #expect(try Cloche.run("rm", project.name).status == 6)
            #expect(try Cloche.run("show", project.name).status == 0)
            let directory = try #require(
                Cloche.run("show", "\(project.name)/0").output.split(separator: "\n")
                    .first { $0.hasPrefix("directory") }?.split(separator: " ").last.map(String.init))
            #expect(FileManager.default.fileExists(atPath: directory))
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
            #expect(try Cloche.run("show", project.name).status == 5)
            #expect(!FileManager.default.fileExists(atPath: directory))
        }

        @Test("parameters arrive in a step as they were written")
        func parametersUnchanged() throws {
            let project = try TestProject(
                [
                    .init(
                        file: "one.py",
                        text: """
                            import json
                            d = json.load(open("/pipeline.json"))
                            step = d["steps"]["\(TestProject.uuid(0))"]["parameters"]
                            print(json.dumps([d["parameters"], step], sort_keys=True))
                            """, parameters: ["nested": [:] as [String: Any]])
                ], parameters: ["big": 0, "text": "", "kept": [1, NSNull(), true] as [Any]])
            let run = try project.cloche(
                "run", "main.orchest", "--name", project.name, "-p", "big=123456789012345678901234567890", "-p",
                #"text="☃ ü\n\u0000\"\\ \ud83d\ude00""#, "--step-param",
                #"one.nested={"a":[{"b":null,"":1e3}],"precise":9007199254740993,"small":1.10}"#)
            #expect(run.status == 0, "\(run.errors)")
            let line = try Cloche.run("logs", "\(project.name)/0/one", "--raw").output
            #expect(line.contains("123456789012345678901234567890"), "\(line)")
            #expect(line.contains("9007199254740993"), "\(line)")
            #expect(line.contains(#""kept": [1, null, true]"#), "\(line)")
            #expect(line.contains(#""text": "\u2603 \u00fc\n\u0000\"\\ \ud83d\ude00""#), "\(line)")
            #expect(line.contains(#"{"a": [{"": 1000.0, "b": null}]"#), "\(line)")
            try Self.remove(project)
        }

        @Test("a run uses the project as it was when the job was made")
        func snapshot() throws {
            let project = try TestProject([
                .init(file: "one.sh", text: ""),
                .init(file: "two.py", text: "print('old'); open('one.sh', 'w').write('changed inside')\n", after: [0]),
            ])
            try project.directory.write(
                "echo waiting; for i in $(seq 300); do [ -e /data/go-\(project.name) ] && break; sleep 0.1; done\n",
                to: "one.sh")
            let original = try project.directory.read("one.sh")
            let run = try Cloche.start(["run", "main.orchest", "--name", project.name], in: project.path)
            #expect(eventually(within: 20) { run.errors.contains("waiting") || run.output.contains("waiting") })
            try project.directory.write("print('new')\n", to: "two.py")
            let released = try Cloche.run("exec", "--", "touch", "/data/go-\(project.name)")
            #expect(released.status == 0, "\(released.errors)")
            #expect(run.wait(timeout: 60).status == 0)
            #expect(try Cloche.run("logs", "\(project.name)/0/two", "--raw").output == "old\n")
            #expect(try project.directory.read("one.sh") == original)
            try Self.remove(project)
        }

        @Test("a failing step fails the run, cancels its siblings and skips its descendants")
        func failingStep() throws {
            let project = try TestProject([
                .init(file: "bad.sh", text: "sleep 0.5; exit 7\n"),
                .init(file: "slow.sh", text: "sleep 100\n"),
                .init(file: "below.sh", text: "echo never\n", after: [0]),
            ])
            let run = try project.cloche("run", "main.orchest", "--name", project.name)
            #expect(run.status == 1)
            #expect(run.errors.contains("exit code 7"))
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try shown.value("run", "verdict", "cause") as? String == "exit")
            #expect(try shown.value("run", "verdict", "detail", "exit_code") as? Int == 7)
            let steps = try #require(try shown.value("steps") as? [[String: Any]])
            let states = Dictionary(
                uniqueKeysWithValues: steps.map { ($0["title"] as? String ?? "", $0["state"] as? String) })
            #expect(states == ["bad": "failed", "slow": "cancelled", "below": "skipped"])
            try Self.remove(project)
        }

        @Test("a grid of which a part failed ends with 3")
        func partOfAGridFailed() throws {
            let project = try TestProject(
                [.init(file: "one.py", text: "import orchest, sys; sys.exit(orchest.get_pipeline_param('x'))\n")],
                parameters: ["x": 0], grid: ["pipeline": ["x": [0, 4]]])
            let created = try project.cloche("job", "create", "main.orchest", "--name", project.name, "--json")
            #expect(created.status == 3)
            #expect(try created.value("runs", 0, "state") as? String == "succeeded")
            #expect(try created.value("runs", 1, "state") as? String == "failed")
            try Self.remove(project)
        }

        @Test("a step that exceeds --timeout ends with 124 and says so")
        func timeout() throws {
            let project = try TestProject([.init(file: "one.sh", text: "sleep 600\n")])
            let run = try project.cloche("run", "main.orchest", "--name", project.name, "--timeout", "1s", timeout: 30)
            #expect(run.status == 124)
            #expect(run.errors.contains("by `--timeout`"), "\(run.errors)")
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try shown.value("run", "verdict", "cause") as? String == "timeout")
            try Self.remove(project)
        }

        @Test(
            "a step that needs too much memory ends with that verdict",
            .enabled(
                if: ProcessInfo.processInfo.environment["CLOCHE_SLOW_TESTS"] != nil,
                "filling the 4 GiB of the default policy takes ten seconds; set CLOCHE_SLOW_TESTS"))
        func outOfMemory() throws {
            let project = try TestProject([
                .init(file: "one.py", text: "kept = []\nwhile True: kept.append(bytearray(b'x') * (64 << 20))\n")
            ])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try shown.value("run", "verdict", "cause") as? String == "out-of-memory")
            try Self.remove(project)
        }

        @Test("a mistake in a pipeline names its place and ends with 65", arguments: ["validate", "run"])
        func mistakeInPipeline(_ verb: String) throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo 1\n")])
            let text = try project.directory.read("main.orchest")
            try project.directory.write(
                text.replacingOccurrences(of: "incoming_connections", with: "incoming_conections"), to: "main.orchest")
            let arguments = verb == "run" ? ["run"] : ["pipeline", "validate"]
            let result = try Cloche.start(arguments + ["main.orchest"], in: project.path).wait()
            defer { if verb == "run", result.status != 65 { _ = try? Cloche.run("rm", "@last", "--yes") } }
            #expect(result.status == 65, "\(result.errors)")
            #expect(result.errors.firstMatch(of: /main\.orchest:\d+:\d+:/) != nil, "\(result.errors)")
            #expect(result.errors.contains("incoming_conections"))
        }

        @Test("a pipeline that is not JSON names its place and ends with 65")
        func notJSON() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo 1\n")])
            try project.directory.write("{\n  \"name\": oops\n}\n", to: "main.orchest")
            let result = try project.cloche("run", "main.orchest")
            #expect(result.status == 65)
            #expect(result.errors.contains("main.orchest:2:11"), "\(result.errors)")
        }

        @Test("a step in a language that its environment lacks says which")
        func missingInterpreter() throws {
            let project = try TestProject([.init(file: "model.R", text: "print(1)\n")])
            let run = try project.cloche("run", "main.orchest", "--name", project.name)
            #expect(run.status == 65)
            #expect(run.errors.firstMatch(of: /main\.orchest:\d+:\d+:.*`model`/) != nil, "\(run.errors)")
            #expect(run.errors.contains("has no interpreter for R"), "\(run.errors)")
            #expect(try Cloche.run("show", project.name).status == 5, "no job was made")
        }

        @Test(
            "wrong usage ends with 64 and says what was meant",
            arguments: [
                (["exc", "--", "ls"], "cloche exec"), (["run", "a.orchest", "--timout", "1s"], "--timeout"),
                (["run", "a.orchest", "--timeout", "1x"], "15m"), (["show"], "cloche show <reference>"),
            ])
        func wrongUsage(_ arguments: [String], _ meant: String) throws {
            let result = try Cloche.start(arguments).wait()
            #expect(result.status == 64)
            #expect(result.errors.hasPrefix("error: "), "\(result.errors)")
            #expect(result.errors.contains(meant), "\(result.errors)")
        }

        @Test("a directory in place of a pipeline is answered with a pipeline in it")
        func directoryForPipeline() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo 1\n")])
            let result = try project.cloche("run", ".")
            #expect(result.status == 65)
            #expect(result.errors.contains("./main.orchest"), "\(result.errors)")
            let without = try project.cloche("job", "plan")
            #expect(without.status == 64)
            #expect(without.errors.contains("this directory has `main.orchest`; usage: "), "\(without.errors)")
        }

        @Test("a job is named after its pipeline, and after its project where that is called main")
        func proposedName() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo 1\n")])
            let text = try project.directory.read("main.orchest")
            for (title, expected) in [
                ("End to end", "end-to-end"), ("Main", project.path.split(separator: "/").last.map(String.init)),
            ] {
                try project.directory.write(
                    text.replacingOccurrences(of: "\"End to end\"", with: "\"\(title)\""), to: "main.orchest")
                let made = try project.cloche("job", "create", "main.orchest", "--draft", "--json")
                #expect(made.status == 0, "\(made.errors)")
                let name = try #require(try made.value("job", "name") as? String)
                #expect(name == expected?.lowercased() || name.hasPrefix("end-to-end"))
                #expect(try Cloche.run("rm", name, "--yes").status == 0)
            }
        }

        @Test("an unknown job is not found", arguments: ["show", "ls", "logs", "rm"])
        func unknownJob(_ verb: String) throws {
            #expect(try Cloche.run(verb, "no-such-job").status == 5)
        }

        private static func remove(_ project: TestProject) throws {
            let removed = try Cloche.run("rm", project.name, "--yes")
            #expect(removed.status == 0, "\(removed.errors)")
        }
    }
}

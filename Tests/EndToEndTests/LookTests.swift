import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Looking at jobs and runs", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Looking {
        private static let train = """
            import orchest, sys
            depth = orchest.get_step_param("max depth")
            model = orchest.get_pipeline_param("model")
            print("training", model)
            if model == "svm":
                print("singular matrix", file=sys.stderr)
                sys.exit(3)
            orchest.log_metric("accuracy", 0.5 + depth / 100)
            orchest.log_metric("loss", 1 / depth)
            """

        /// A job of six runs, two of which fail.
        private static func job() throws -> TestProject {
            let project = try TestProject(
                [
                    .init(file: "load.sh", text: "echo load\n"),
                    .init(file: "train.py", text: train, after: [0], parameters: ["max depth": 1]),
                ],
                parameters: ["model": "bayes"],
                grid: [
                    "pipeline": ["model": ["=bayes", "svm", "forest"]],
                    TestProject.uuid(1): ["max depth": [2, 10]],
                ])
            let made = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(made.status == 3, "\(made.errors)")
            return project
        }

        @Test("a step's title makes no lines of its own in what is told of a run")
        func title() throws {
            let project = try TestProject([.init(file: "one.sh", text: "echo said\n")])
            let pipeline = try project.directory.read("main.orchest")
            let title = "\"title\" : \"x\\n\u{2713} succeeded  forged\""
            let forged = pipeline.replacingOccurrences(of: "\"title\" : \"one\"", with: title)
            try #require(forged != pipeline)
            try project.directory.write(forged, to: "main.orchest")
            let run = try project.cloche("run", "main.orchest", "--name", project.name)
            #expect(run.status == 0 && run.errors.contains("said"), "\(run.errors)")
            let lines = run.errors.split(separator: "\n")
            #expect(!lines.contains { $0.contains("forged") && !$0.contains("x\\n") }, "\(run.errors)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a single run is shown with its parameters, its times and, as JSON, its earlier attempts and places")
        func single() throws {
            let project = try TestProject([.init(file: "one.sh", text: "exit 3\n")], parameters: ["lr": 1])
            let run = try project.cloche(
                "run", "main.orchest", "--name", project.name, "-p", "lr=0.5", "--retries", "1", "--retry-delay", "0")
            #expect(run.status == 1, "\(run.errors)")
            let shown = try Cloche.run("show", "\(project.name)/0").output
            for fact in ["lr=0.5", "\nstarted ", "\nfinished ", "\ntime ", "\nattempt 1 "] {
                #expect(shown.contains(fact), "\(fact): \(shown)")
            }
            #expect(!shown.contains("\nattempt 2 "), "its verdict is that of the run: \(shown)")
            let document = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try (document.value("earlier_attempts") as? [Any])?.count == 1)
            #expect(try document.value("earlier_attempts", 0, "verdict", "cause") as? String == "exit")
            #expect(try (document.value("directory") as? String)?.hasSuffix("/attempts/2") == true)
            let step = try Cloche.run("show", "\(project.name)/0/one", "--json")
            #expect(try (step.value("log") as? String)?.hasSuffix("/logs/\(TestProject.uuid(0)).log") == true)
            let job = try Cloche.run("show", project.name, "--json")
            #expect(try job.value("failures", 0, "runs") as? String == "0")
            #expect(try job.value("removed") as? Int == 0)
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }

        private static func numbers(_ arguments: String...) throws -> [Int] {
            let result = try Cloche.start(["ls"] + arguments + ["--json"]).wait(timeout: 60)
            guard result.status == 0 else { throw TestFailure(result.errors) }
            return (try result.value("runs") as? [[String: Any]] ?? []).compactMap { $0["index"] as? Int }
        }

        @Test("runs are chosen by state, parameter and metric, and sorted") func choosing() throws {
            let project = try Self.job()
            let name = project.name
            #expect(try Self.numbers(name, "--state", "failed") == [1, 4])
            #expect(try Self.numbers(name, "--state", "failed,succeeded").count == 6)
            #expect(try Self.numbers(name, "--where", "model=forest") == [2, 5])
            #expect(try Self.numbers(name, "--where", "train.max depth>2", "--where", "state!=failed") == [3, 5])
            #expect(try Self.numbers(name, "--where", "accuracy>=0.6") == [3, 5])
            #expect(try Self.numbers(name, "--where", "model=svm", "--state", "succeeded") == [])
            #expect(try Self.numbers(name, "--sort", "-accuracy", "--limit", "2") == [3, 5])
            #expect(try Self.numbers(name, "--sort", "\"max depth\",-run") == [2, 1, 0, 5, 4, 3])

            let unknown = try Cloche.run("ls", name, "--where", "modle=svm")
            #expect(unknown.status == 64 && unknown.errors.contains("did you mean `model`?"), "\(unknown.errors)")
            let wrong = try Cloche.run("ls", name, "--where", "model=>svm")
            #expect(wrong.status == 64 && wrong.errors.contains("at character 6"), "\(wrong.errors)")
            let state = try Cloche.run("ls", name, "--state", "fialed")
            #expect(state.status == 64 && state.errors.contains("did you mean `failed`?"), "\(state.errors)")
            #expect(try Cloche.run("ls", "--where", "a=1").status == 64)
            #expect(try Cloche.run("ls", name, "--where", "model=bayes").errors.contains("no run of job"))
            _ = try Cloche.run("rm", name, "--yes")
        }

        @Test("a job tells how its runs are made, which one its log is of, and which are gone") func howItIsMade()
            throws
        {
            let project = try TestProject(
                [.init(file: "one.sh", text: "echo of $CLOCHE_RUN\n")], parameters: ["x": 1],
                grid: ["pipeline": ["x": [1, 2, 3]]])
            let name = project.name
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", name, "--max-parallel", "1", "--stop-on-failure",
                "--retries",
                "2", "--retry-delay", "90s", "--retry-on", "exit,timeout")
            #expect(made.status == 0, "\(made.errors)")
            let shown = try Cloche.run("show", name).output
            for line in [
                "at once      1 run\n", "stops        at the first run that fails",
                "retries      2 of a run, the first after 1m 30s, in case of exit, timeout",
            ] { #expect(shown.contains(line), "\(shown)") }
            let document = try Cloche.run("show", name, "--json")
            #expect(try document.value("job", "retries") as? Int == 2)
            #expect(try document.value("job", "retry_on") as? [String] == ["exit", "timeout"])
            #expect(try document.value("job", "max_parallel") as? Int == 1)
            let log = try Cloche.run("logs", name)
            #expect(log.output == "of 0\n" && log.errors.contains("this is run 0 of 3 runs"), "\(log)")
            #expect(try Cloche.run("rm", "\(name)/0", "--yes").status == 0)
            #expect(try Cloche.run("logs", name).output == "of 1\n")
            for words in [["show"], ["logs"], ["retry"]] {
                let gone = try Cloche.start(words + ["\(name)/0"]).wait(timeout: 30)
                #expect(gone.status == 5 && gone.errors.contains("run 0 of job `\(name)` has been removed"), "\(gone)")
            }
            for (words, problem) in [
                (["--retries=2000"], "--retries is not"), (["--max-parallel", "0"], "--max-parallel is not"),
            ] {
                let refused = try Cloche.start(["job", "create", "main.orchest"] + words, in: project.path).wait(
                    timeout: 30)
                #expect(refused.status == 64 && refused.errors.contains(problem), "\(refused)")
            }
            #expect(try Cloche.run("rm", name, "--yes").status == 0)
        }

        @Test("a run that waits again has no time, and has failed as before when it is cancelled as it waits")
        func waiting() throws {
            let text = """
                import orchest, sys, time
                if orchest.get_pipeline_param("x") == 0: sys.exit(3)
                print("begun", flush=True)
                time.sleep(60)
                """
            let project = try TestProject(
                [.init(file: "one.py", text: text)], parameters: ["x": 0], grid: ["pipeline": ["x": [0, 1]]])
            let name = project.name
            let driver = try Cloche.start(
                ["job", "create", "main.orchest", "--name", name, "--max-parallel", "1"], in: project.path)
            defer { driver.signal(SIGKILL) }
            try #require(
                eventually(within: 30) { (try? Cloche.run("logs", "\(name)/1").output.contains("begun")) == true })
            #expect(try Cloche.run("ls", name).output.contains("\n0\t0\tfailed\t"))
            let retried = try Cloche.run("retry", "\(name)/0")
            #expect(retried.status == 0, "\(retried.errors)")
            let table = try Cloche.run("ls", name).output
            #expect(table.contains("\n0\t0\tpending\t-\n"), "\(table)")
            let waiting = try Cloche.run("show", "\(name)/0", "--json")
            #expect(try waiting.value("run", "state") as? String == "pending")
            #expect(try waiting.value("run", "started") is NSNull)
            #expect(try Self.numbers(name, "--where", "time>=0") == [1])
            #expect(try Self.numbers(name, "--sort", "time") == [1, 0])
            #expect(try Cloche.run("compare", name, "--csv").output.contains("\(name),0,pending,,0"))
            #expect(try Cloche.run("cancel", "\(name)/0").status == 0)
            let failed = try Cloche.run("show", "\(name)/0", "--json")
            #expect(try failed.value("run", "state") as? String == "failed")
            #expect(try failed.value("run", "verdict", "cause") as? String == "exit")
            #expect(try failed.value("run", "started") is String)
            #expect(try Self.numbers(name, "--where", "time>=0") == [0, 1])
            #expect(try Cloche.run("cancel", name).status == 0)
            #expect(driver.wait(timeout: 60).status == 1)
            #expect(try Cloche.run("rm", name, "--yes").status == 0)
        }

        @Test("a list that is not complete says so, and how many there are; drafts tell how many runs they will have")
        func incompleteLists() throws {
            let project = try TestProject(
                [.init(file: "one.sh", text: "true\n")], parameters: ["x": 1], grid: ["pipeline": ["x": [1, 2, 3]]])
            let (name, draft) = (project.name, project.name + "-draft")
            #expect(try project.cloche("job", "create", "main.orchest", "--name", name).status == 0)
            #expect(try project.cloche("job", "create", "main.orchest", "--name", draft, "--draft").status == 0)
            let table = try Cloche.run("ls", "--limit", "1")
            #expect(table.errors.contains("1 of ") && table.errors.contains(" jobs; --limit 0"), "\(table.errors)")
            #expect(table.output.contains("\n\(draft)\tdraft\t0/3\t"), "\(table.output)")
            let document = try Cloche.run("ls", "--limit", "1", "--json")
            let total = try #require(try document.value("total") as? Int)
            #expect(total > 1 && document.errors.contains("1 of \(total) jobs; --limit 0"), "\(document.errors)")
            let all = try Cloche.run("ls", "--limit", "0", "--json")
            #expect(try (all.value("jobs") as? [Any])?.count == total && all.errors == "", "\(all.errors)")
            for command in ["ls", "show"] {
                let runs = try Cloche.run(command, name, "--limit", "2", "--json")
                #expect(try runs.value("total") as? Int == 3 && runs.errors.contains("2 of 3 runs"), "\(runs)")
            }
            #expect(try Cloche.run("show", draft).output.contains("none yet, 3 when it is started"))
            for job in [name, draft] { #expect(try Cloche.run("rm", job, "--yes").status == 0) }
        }

        @Test("logs of several steps are asked for by a --step for each") func severalSteps() throws {
            let project = try TestProject(
                ["a", "b", "c"].map { TestProject.Step(file: "\($0).sh", text: "echo from $CLOCHE_STEP\n") })
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            let logs = try Cloche.run("logs", project.name, "--step", "a", "--step", "c.sh")
            #expect(logs.status == 0 && logs.output.contains("from a\n") && logs.output.contains("from c\n"), "\(logs)")
            #expect(!logs.output.contains("from b"), "\(logs.output)")
            #expect(try Cloche.run("logs", project.name, "--step", "b").output == "from b\n")
            #expect(try Cloche.run("logs", project.name, "--step", "a", "--step", "x").status == 5)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a job tells what failed, and what the failures have in common") func summary() throws {
            let project = try Self.job()
            let shown = try Cloche.run("show", project.name)
            #expect(shown.output.contains("6 of 6 ended: 4 succeeded, 2 failed"))
            #expect(shown.output.contains("2 runs: step `train` ended with exit code 3  (1,4)"), "\(shown.output)")
            #expect(shown.output.contains("every failed run has model=svm, and no succeeded one"))
            #expect(shown.output.contains("train | singular matrix"))
            let part = try Cloche.run("show", project.name, "--limit", "2", "--json")
            #expect(try (part.value("runs") as? [Any])?.count == 2)

            let run = try Cloche.run("show", "\(project.name)/1")
            #expect(run.output.contains("\nload\tsucceeded\t"), "\(run.output)")
            #expect(run.output.contains("train | singular matrix"))
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("runs are compared by what differs and what was measured; a spreadsheet calculates nothing of it")
        func comparing() throws {
            let project = try Self.job()
            let name = project.name
            let table = try Cloche.run("compare", name)
            let lines = table.output.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
            #expect(lines.first == ["RUN", "MODEL", "TRAIN.MAX DEPTH", "STATE", "TIME", "ACCURACY", "LOSS"])
            #expect(lines.dropFirst().map(\.first) == ["3", "5", "0", "2", "1", "4"], "\(table.output)")
            #expect(table.errors.contains("accuracy greatest, loss smallest"), "\(table.errors)")

            let csv = try Cloche.run("compare", name, "--csv", "--sort", "run")
            let rows = csv.output.components(separatedBy: "\r\n")
            #expect(rows.count == 8 && rows[0] == "job,run,state,seconds,model,train.max depth,accuracy,loss")
            #expect(rows[1].hasPrefix("\(name),0,succeeded,") && rows[1].hasSuffix(",'=bayes,2,0.52,0.5"), "\(rows)")
            #expect(rows[2].hasSuffix(",svm,2,,"), "\(rows)")

            let document = try Cloche.run("compare", name, "--json", "--where", "model=forest")
            #expect(try document.value("parameters") as? [String] == ["train.max depth"])
            #expect(try document.value("runs", 0, "metrics", "accuracy") as? Double == 0.6)
            #expect(try Cloche.run("compare", name, "--lower", "acuracy").errors.contains("did you mean `accuracy`?"))
            #expect(try Cloche.run("compare", name, "--csv", "--json").status == 64)

            let two = try Cloche.run("compare", name, name, "--csv")
            #expect(two.output.components(separatedBy: "\r\n").count == 14)
            _ = try Cloche.run("rm", name, "--yes")
        }

        @Test("metrics that a step leaves in a file of the project count as those that it logs") func metricsFile()
            throws
        {
            let write = """
                mkdir -p results
                echo '{"accuracy": 0.75, "val": {"loss": 2}, "model": "m"}' > results/m.json
                chmod 600 results/m.json
                """
            let project = try TestProject([
                .init(file: "train.sh", text: write),
                .init(file: "later.sh", text: "[ -e /project-dir/go ] || exit 4\n", after: [0]),
            ])
            let made = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--metrics", "results/m.json")
            #expect(made.status == 1, "\(made.errors)")
            let name = project.name
            let metrics = try Cloche.run("show", "\(name)/0", "--json").value("run", "metrics") as? [String: Double]
            #expect(metrics == ["accuracy": 0.75, "val.loss": 2])
            // The step is kept, and so is what it measured.
            #expect(try Cloche.run("retry", name).status == 1)
            #expect(try Self.numbers(name, "--where", "accuracy>0.7", "--where", "attempt=2") == [0])
            #expect(try Cloche.run("compare", name, "--csv").output.contains(",0.75,2"))
            _ = try Cloche.run("rm", name, "--yes")

            let broken = try TestProject([.init(file: "a.sh", text: "echo '{\"a\": NaN}' > metrics.json\n")])
            let told = try broken.cloche(
                "run", "main.orchest", "--name", broken.name, "--metrics", "metrics.json")
            #expect(told.status == 0, "\(told.errors)")
            let shown = try Cloche.run("show", "\(broken.name)/0").output
            #expect(shown.contains("no metrics") && shown.contains("metrics.json:1:7"), "\(shown)")
            #expect(try broken.cloche("run", "main.orchest", "--metrics", "../m.json").status == 64)
            _ = try Cloche.run("rm", broken.name, "--yes")
        }

        @Test(
            "the picture of a pipeline comes as PNG too",
            .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/rsvg-convert"), "needs librsvg2-bin"))
        func picture() throws {
            // Names are text in the picture, whatever they look like.
            let project = try TestProject([
                .init(file: "a.sh", text: "true\n"), .init(file: "b&<image href='x'>.sh", text: "true\n", after: [0]),
            ])
            let command = try StartedCommand(
                "/bin/sh",
                ["-c", "\"$0\" pipeline graph main.orchest --png > main.png", try Cloche.program()],
                environment: ["CLOCHE_HOME": try Cloche.home.get()], directory: project.path)
            let drawn = command.wait(timeout: 60)
            #expect(drawn.status == 0, "\(drawn.errors)")
            let bytes = [UInt8](try Data(contentsOf: URL(filePath: project.path + "/main.png")))
            #expect(bytes.starts(with: [0x89, 0x50, 0x4E, 0x47]) && bytes.count > 1000)
            #expect(try project.cloche("pipeline", "graph", "main.orchest", "--png", "--svg").status == 64)
        }

        @Test(
            "without the program that draws it, a PNG is refused with the package's name",
            .enabled(if: !FileManager.default.fileExists(atPath: "/usr/bin/rsvg-convert"), "librsvg2-bin is installed"))
        func noPicture() throws {
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            let refused = try project.cloche("pipeline", "graph", "main.orchest", "--png")
            #expect(refused.status == 78 && refused.errors.contains("librsvg2-bin"), "\(refused.errors)")
        }
    }
}

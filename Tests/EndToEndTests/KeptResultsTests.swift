import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Retrying from the failed step", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct KeptSteps {
        private static let policy = "extends: default\ndata: {access: rw, scope: job}\n"

        /// Shell text that fails as long as there is no file of that name in the job's own `/data`.
        private static func failingOnce(_ name: String) -> String {
            "test -e /data/\(name) || { touch /data/\(name); echo junk > junk; exit 4; }\n"
        }

        private static func steps(_ reference: String) throws -> [String: [String: Any]] {
            let steps = try Cloche.run("show", reference, "--json").value("steps") as? [[String: Any]]
            return Dictionary(uniqueKeysWithValues: (steps ?? []).map { ($0["title"] as? String ?? "", $0) })
        }

        private static func differences(_ reference: String) throws -> [String] {
            let list = try Cloche.run("diff", reference, "--json").value("differences") as? [[String: Any]]
            return (list ?? []).compactMap { $0["path"] as? String }.sorted()
        }

        @Test("finished steps are kept with files, data, metrics, logs and times, and nothing of a failed one is")
        func kept() throws {
            let policy = try PolicyFile(Self.policy)
            let project = try TestProject([
                .init(
                    file: "first.py",
                    text: """
                        import orchest, os
                        os.makedirs("old/deep"); open("old/deep/one", "w").write("1"); open("gone", "w").close()
                        os.chmod(".", 0o750)
                        orchest.output({"value": 42}, "answer"); orchest.log_metric("first", 1); print("said once")
                        """),
                .init(
                    file: "second.py",
                    text: """
                        import orchest, os, shutil
                        shutil.rmtree("old"); os.remove("gone"); os.mkdir("old"); open("old/two", "w").close()
                        orchest.output(orchest.get_inputs()["answer"], "answer")
                        """, after: [0]),
                .init(
                    file: "third.py",
                    text: """
                        import orchest, os, sys
                        orchest.log_metric("third", 3)
                        if not os.path.exists("/data/third"):
                            open("/data/third", "w").close()
                            open("junk", "w").close(); os.remove("old/two"); os.symlink("/etc", "layers"); sys.exit(4)
                        print(orchest.get_inputs()["answer"]["value"], sorted(os.listdir("old")), os.path.exists("gone"),
                              os.path.exists("junk"), oct(os.stat(".").st_mode))
                        """, after: [1]),
            ])
            let made = try project.cloche("run", "main.orchest", "--name", project.name, "--policy", policy.name)
            #expect(made.status == 1, "\(made.errors)")
            let before = try Self.steps("\(project.name)/0")
            #expect(before["first"]?["kept_from_attempt"] is NSNull && before["first"]?["reason"] is NSNull)

            let retried = try Cloche.run("retry", "\(project.name)/0")
            #expect(retried.status == 0, "\(retried.errors)")
            #expect(retried.errors.contains("kept  first  (attempt 1)"), "\(retried.errors)")
            let after = try Self.steps("\(project.name)/0")
            for name in ["first", "second"] {
                #expect(after[name]?["kept_from_attempt"] as? Int == 1 && after[name]?["attempt"] as? Int == 1)
                for key in ["started", "finished"] {
                    #expect(after[name]?[key] as? String == before[name]?[key] as? String)
                }
                #expect(
                    (after[name]?["usage"] as? [String: Double])?["wall_seconds"]
                        == (before[name]?["usage"] as? [String: Double])?["wall_seconds"])
            }
            #expect(after["third"]?["reason"] as? String == "it failed in attempt 1")
            let shown = try Cloche.run("show", "\(project.name)/0").output
            #expect(
                shown.contains("kept from attempt 1") && shown.contains("2 of them in an earlier attempt"), "\(shown)")

            let third = try Cloche.run("logs", "\(project.name)/0/third", "--raw").output
            #expect(third == "42 ['two'] False False 0o40750\n", "\(third)")
            #expect(try Cloche.run("logs", "\(project.name)/0/first", "--raw").output == "said once\n")
            #expect(try Cloche.run("logs", "\(project.name)/0/first", "--attempt", "2", "--raw").output == "")
            let metrics = try Cloche.run("show", "\(project.name)/0", "--json").value("run", "metrics")
            #expect(metrics as? [String: Double] == ["first": 1, "third": 3])
            let paths = try Self.differences("\(project.name)/0")
            #expect(paths.contains("old/two") && !paths.contains("old/deep/one") && !paths.contains("gone"))
            #expect(!paths.contains("junk") && !paths.contains("layers"), "\(paths)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("every step runs again when asked for, and of a job the failed runs are retried in either way")
        func fromStart() throws {
            let policy = try PolicyFile(Self.policy)
            let number = "n=$(python3 -c 'import orchest; print(orchest.get_pipeline_param(\"x\"))')\n"
            let project = try TestProject(
                [
                    .init(file: "one.sh", text: "echo x >> seen\n" + number + "echo x >> /data/one-$n\n"),
                    .init(
                        file: "two.sh",
                        text: number + "wc -l < seen; echo x >> /data/two-$n\n"
                            + "test $(wc -l < /data/two-$n) -gt $n\n", after: [0]),
                ], parameters: ["x": 0], grid: ["pipeline": ["x": [0, 1, 2, 3]]])
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--policy", policy.name)
            #expect(made.status == 3, "\(made.errors)")
            // Run 1 needs its second attempt, run 2 a third, run 3 a fourth.
            #expect(try Cloche.run("retry", project.name, "--from-failed").status == 3)
            #expect(try Self.steps("\(project.name)/1")["one"]?["kept_from_attempt"] as? Int == 1)
            #expect(try Cloche.run("retry", "\(project.name)/2", "--all").status == 0)
            let anew = try Self.steps("\(project.name)/2")["one"]
            #expect(anew?["kept_from_attempt"] is NSNull && anew?["attempt"] as? Int == 3)
            #expect(anew?["reason"] as? String == "everything runs again, as asked")
            #expect(try Cloche.run("logs", "\(project.name)/2/two", "--raw").output == "1\n")
            #expect(try Cloche.run("retry", project.name, "--all", "--from-start").status == 1)
            #expect(try Self.steps("\(project.name)/3")["one"]?["attempt"] as? Int == 3)
            // What was done again is what is kept from then on.
            #expect(try Cloche.run("retry", "\(project.name)/3").status == 0)
            #expect(try Self.steps("\(project.name)/3")["one"]?["kept_from_attempt"] as? Int == 3)
            #expect(try Cloche.run("retry", "\(project.name)/3", "--from-start").status == 6)
            #expect(try Cloche.run("retry", "\(project.name)/3", "--from-start", "--from-failed").status == 64)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test(
            "a step that finished beside one that failed runs again and says so; with nothing to keep this can be refused"
        )
        func besides() throws {
            let policy = try PolicyFile(Self.policy)
            let project = try TestProject([
                .init(file: "quick.sh", text: "echo from quick > quick\n"),
                .init(file: "slow.sh", text: "sleep 0.5\n" + Self.failingOnce("slow") + "cat quick junk || true\n"),
                .init(file: "last.sh", text: "echo last\n", after: [0, 1]),
            ])
            let made = try project.cloche("run", "main.orchest", "--name", project.name, "--policy", policy.name)
            #expect(made.status == 1, "\(made.errors)")
            let refused = try Cloche.run("retry", "\(project.name)/0", "--from-failed")
            #expect(refused.status == 6 && refused.errors.contains("no result"), "\(refused.errors)")
            #expect(try Cloche.run("retry", "\(project.name)/0").status == 0)
            let steps = try Self.steps("\(project.name)/0")
            #expect(
                (steps["quick"]?["reason"] as? String)?.contains("was not set apart from other steps") == true,
                "\(steps)")
            #expect(steps["slow"]?["reason"] as? String == "it failed in attempt 1")
            #expect(steps["last"]?["reason"] as? String == "it had not been started in attempt 1")
            #expect(try !Cloche.run("logs", "\(project.name)/0/slow").output.contains("junk\n"))
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("retries that a job makes by itself keep finished steps, and so does going on after an interruption")
        func byItself() throws {
            let policy = try PolicyFile(Self.policy)
            let project = try TestProject([
                .init(file: "one.sh", text: "echo once >> trace\n"),
                .init(
                    file: "two.sh", text: "echo twice >> trace\n" + Self.failingOnce("two") + "cat trace\n", after: [0]),
                .init(
                    file: "three.sh", text: "cat trace; test -e /data/go || { touch /data/wait; sleep 60; }\n",
                    after: [1]),
            ])
            let driver = try Cloche.start(
                [
                    "job", "create", "main.orchest", "--name", project.name, "--policy", policy.name, "--retries", "1",
                ], in: project.path)
            defer { driver.signal(SIGKILL) }
            let home = try Cloche.home.get()
            func waits() throws -> Bool {
                try Cloche.run("logs", "\(project.name)/0/three", "--raw").output == "once\ntwice\n"
            }
            try #require(try eventually(within: 30) { try waits() })
            driver.signal(SIGTERM)
            #expect(driver.wait(timeout: 30).status == 143)
            let data = URL(filePath: home + "/data/jobs")
            for job in try FileManager.default.contentsOfDirectory(at: data, includingPropertiesForKeys: nil)
            where FileManager.default.fileExists(atPath: job.path + "/wait") {
                try Data().write(to: job.appending(path: "go"))
            }
            #expect(try Cloche.run("job", "start", project.name).status == 0)
            let steps = try Self.steps("\(project.name)/0")
            #expect(steps["one"]?["kept_from_attempt"] as? Int == 1)
            #expect(steps["two"]?["kept_from_attempt"] as? Int == 2)
            #expect(steps["three"]?["reason"] as? String == "it was stopped in attempt 2")
            #expect(try Cloche.run("logs", "\(project.name)/0/three", "--raw").output == "once\ntwice\n")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("steps that try cannot put anything into a layer but what the project shows, nor change one later")
        func hostile() throws {
            let policy = try PolicyFile(Self.policy)
            let project = try TestProject([
                .init(
                    file: "evil.py",
                    text: """
                        import os, subprocess, sys
                        os.makedirs("dir/below"); open("dir/file", "w").write("mine"); open("victim", "w").write("v")
                        tries = [
                            lambda: os.mknod("victim2", 0o20644, 0), lambda: os.mknod("evil.py", 0o20644, 0),
                            lambda: os.setxattr("dir", "user.overlay.opaque", b"y"),
                            lambda: os.setxattr("victim", "user.overlay.whiteout", b"y"),
                            lambda: os.setxattr("dir", "user.overlay.redirect", b"/../../etc"),
                            lambda: os.setxattr("victim", "user.overlay.metacopy", b""),
                            lambda: os.symlink("/etc", "layers"), lambda: os.symlink("..", "project"),
                            lambda: os.chmod(".", 0o700),
                        ]
                        for attempt in tries:
                            try:
                                attempt(); print("done")
                            except OSError as error:
                                print(error.errno)
                        # Outlives the step's own program, for as long as the sandbox lets it.
                        subprocess.Popen([sys.executable, "-c",
                            "import time\\nf = open('late', 'w')\\nwhile True: f.write('late'); f.flush(); time.sleep(0.01)"],
                            start_new_session=True)
                        import time; time.sleep(0.3)
                        """),
                .init(
                    file: "look.sh",
                    text: "wc -c < late > size; sleep 0.3; wc -c < late | cmp - size; cat dir/file victim\n",
                    after: [0]),
                .init(file: "fail.sh", text: Self.failingOnce("fail") + "cat dir/file victim; ls\n", after: [1]),
            ])
            let made = try project.cloche("run", "main.orchest", "--name", project.name, "--policy", policy.name)
            #expect(made.status == 1, "\(made.errors)")
            #expect(try Cloche.run("logs", "\(project.name)/0/look", "--raw").output == "minev")
            let retried = try Cloche.run("retry", "\(project.name)/0")
            #expect(retried.status == 0, "\(retried.errors)")
            #expect(try Self.steps("\(project.name)/0")["look"]?["kept_from_attempt"] as? Int == 1)
            let log = try Cloche.run("logs", "\(project.name)/0/fail", "--raw").output
            #expect(log.hasPrefix("minev") && log.contains("evil.py\n") && log.contains("main.orchest\n"), "\(log)")
            #expect(try Self.differences("\(project.name)/0").contains("dir/file"))
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("wherever the supervisor is killed, a retry goes on with whole results", .timeLimit(.minutes(5)))
        func killed() throws {
            let count = 12
            let steps = (0..<count).map { number in
                TestProject.Step(
                    file: "s\(number).sh",
                    text:
                        "test \"$(tail -n 1 trace)\" = \(number - 1) || test \(number) = 0 && echo \(number) >> trace\n",
                    after: number == 0 ? [] : [number - 1])
            }
            let expected = (0..<count).map { "\($0)\n" }.joined()
            var kept = 0
            for round in 0..<10 {
                let project = try TestProject(steps + [.init(file: "last.sh", text: "cat trace\n", after: [count - 1])])
                let driver = try Cloche.start(["run", "main.orchest", "--name", project.name], in: project.path)
                defer { driver.signal(SIGKILL) }
                // From the first step on: how long a run takes to begin depends on the machine.
                _ = eventually(within: 10) { EndToEnd.KillSweep.Victim.initProcess.pid(below: driver.pid) != nil }
                usleep(UInt32(35_000 * round))
                let supervisor = EndToEnd.KillSweep.Victim.supervisor.pid(below: driver.pid)
                if let supervisor { kill(supervisor, SIGKILL) }
                _ = driver.wait(timeout: 30)
                let retried = try Cloche.run("retry", "\(project.name)/0")
                // A run that was faster than the kill has succeeded, and is refused.
                #expect(retried.status == 0 || retried.status == 6, "\(round): \(retried.errors)")
                let trace = try Cloche.run("logs", "\(project.name)/0/last", "--raw").output
                #expect(trace == expected, "\(round): \(trace)")
                kept += try Self.steps("\(project.name)/0").values.count { $0["kept_from_attempt"] is Int }
                _ = try Cloche.run("rm", project.name, "--yes")
            }
            #expect(kept > 0)
        }
    }
}

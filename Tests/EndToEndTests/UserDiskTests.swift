import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "What a user of a service keeps on the disk", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "making users needs root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "the helper for users needs /dev/net/tun"))
    struct UserDisks {
        private static func project(_ text: String, grid: [Any]? = nil) throws -> TestProject {
            try TestProject(
                [.init(file: "one.py", text: "import os, time, orchest\n" + text)], parameters: ["x": 1],
                grid: grid.map { ["pipeline": ["x": $0]] })
        }

        private static let write = "open('big', 'wb').write(os.urandom(6_000_000))\n"

        private func disk(_ user: SharedTestService.Client) throws -> [String: Any]? {
            let users = try Cloche.run("system", "status", "--json").value("users") as? [[String: Any]] ?? []
            return users.first { $0["uid"] as? Int == user.id }?["disk"] as? [String: Any]
        }

        private func counts(_ user: SharedTestService.Client, _ job: String) throws -> [String: Int] {
            try user.run(["show", job, "--json"]).value("job", "counts") as? [String: Int] ?? [:]
        }

        @Test(
            "what he runs is ended when it is too much, his pending runs wait, and he hears what to do",
            .timeLimit(.minutes(4)))
        func runsAreEnded() throws {
            let service = try SharedTestService(["--max-disk", "5MiB", "--max-parallel-per-user", "1"])
            let (alice, bob) = (try service.user(), try service.user())
            // Another's run is there before, and after.
            let patient = try Self.project("while not os.path.exists('/data/go'): time.sleep(0.05)\n")
            let other = try bob.run(["job", "create", "main.orchest", "--name", "other", "--detach"], in: patient.path)
            #expect(other.status == 0, "\(other.errors)")
            #expect(try eventually(within: 20) { try counts(bob, "other")["running"] == 1 }, "\(service.log)")
            let project = try Self.project(
                "if orchest.get_pipeline_param('x') == 1:\n    \(Self.write)    time.sleep(300)\n", grid: [1, 2, 3])
            let made = try alice.run(["job", "create", "main.orchest", "--name", "many", "--detach"], in: project.path)
            #expect(made.status == 0, "\(made.errors)")
            let follower = try alice.start(["watch", "many"])
            #expect(try eventually(within: 40) { try disk(alice)?["exceeded"] as? Bool == true }, "\(service.log)")

            #expect(try eventually(within: 20) { try counts(alice, "many")["failed"] == 1 }, "\(service.log)")
            let run = try alice.run(["show", "many/0", "--json"])
            let verdict = try run.value("run", "verdict") as? [String: Any] ?? [:]
            let detail = verdict["detail"] as? [String: Any] ?? [:]
            #expect(verdict["cause"] as? String == "disk-full", "\(run.output)")
            let summary = verdict["summary"] as? String ?? ""
            #expect(
                summary.contains("`\(alice.name)` keeps")
                    && summary.contains("of at most 5MiB on the disk of the service"),
                "\(summary)")
            #expect((verdict["remedy"] as? String)?.contains("cloche serve --max-disk") == true, "\(verdict)")
            #expect(detail["limit"] as? String == "max_disk" && detail["limit_bytes"] as? Int == 5 << 20, "\(detail)")
            #expect(
                detail["user"] as? String == alice.name && detail["kept_bytes"] as? Int ?? 0 > 6_000_000, "\(detail)")
            // The next measure by the clock is 10 seconds after the first, which was before the run.
            #expect(detail["seconds"] as? Double ?? 100 < 7, "\(detail)")
            let step = try run.value("steps") as? [[String: Any]] ?? []
            #expect((step.first?["verdict"] as? [String: Any])?["cause"] as? String == "disk-full", "\(run.output)")
            #expect(service.log.contains("run many/0: failed: the run was ended"), "\(service.log)")
            Thread.sleep(forTimeInterval: 3)
            #expect(try counts(alice, "many")["pending"] == 2 && counts(alice, "many")["running"] == 0)
            #expect(follower.errors.contains("its runs wait: you keep"), "\(follower.errors)")
            let shown = try alice.run(["show", "many"]).output
            #expect(shown.contains("waits") && shown.contains("of at most 5MiB on the disk of the service"), "\(shown)")
            #expect(shown.contains("cloche snapshot prune"), "\(shown)")
            #expect(service.log.contains("its runs wait: you keep"), "\(service.log)")
            let status = try Cloche.run("system", "status").output
            #expect(
                status.contains("user     \(alice.name) keeps") && status.contains("no run of this user"), "\(status)")
            let used = try Cloche.run("system", "df").output
            #expect(used.contains("of at most 5.0 MiB"), "\(used)")

            // Neither are new ones made, and what was sent for them does not stay.
            let quick = try Self.project("print(1)")
            let before = try alice.run(["snapshot", "ls", "--json"]).value("snapshots") as? [Any] ?? []
            for words in [["job", "create", "main.orchest"], ["run", "main.orchest"]] {
                let refused = try alice.run(words, in: quick.path)
                #expect(refused.status == 6 && refused.errors.contains("of at most 5MiB on the disk"), "\(refused)")
                #expect(refused.errors.contains("hint: `cloche system df`"), "\(refused)")
            }
            #expect(try (alice.run(["snapshot", "ls", "--json"]).value("snapshots") as? [Any])?.count == before.count)
            #expect(try alice.run(["system", "df"]).errors.contains("the service lets you keep 5.0 MiB"))
            // Nobody else is concerned.
            #expect(try counts(bob, "other")["running"] == 1)
            let data = "\(try Cloche.home.get())/owners/\(bob.id)/data/shared/go"
            #expect(FileManager.default.createFile(atPath: data, contents: nil))
            #expect(try eventually(within: 20) { try counts(bob, "other")["succeeded"] == 1 }, "\(service.log)")
            #expect(try bob.run(["run", "main.orchest"], in: quick.path).status == 0)

            // What he removes lets the rest go on.
            #expect(try alice.run(["rm", "many/0", "--yes"]).status == 0)
            #expect(try eventually(within: 30) { try counts(alice, "many")["succeeded"] == 2 }, "\(service.log)")
            #expect([0, 1, 3].contains(follower.wait(timeout: 20).status), "\(follower.errors)")
        }

        @Test("what has no name any more counts as long as it is open", .timeLimit(.minutes(2)))
        func nameless() throws {
            let service = try SharedTestService(["--max-disk", "5MiB"])
            let alice = try service.user()
            let project = try Self.project(
                """
                file = open('/data/big', 'wb')
                os.unlink('/data/big')
                file.write(os.urandom(6_000_000)); file.flush()
                time.sleep(60)
                """)
            let run = try alice.run(["run", "main.orchest", "--name", "hidden"], in: project.path)
            #expect(run.status == 1 && run.errors.contains("`\(alice.name)` keeps"), "\(run.errors)")
            // With its process it has gone.
            #expect(try eventually(within: 20) { try disk(alice)?["exceeded"] as? Bool == false }, "\(service.log)")
        }

        @Test("a project that is too much is not kept", .timeLimit(.minutes(2)))
        func project() throws {
            let service = try SharedTestService(["--max-disk", "5MiB"])
            let alice = try service.user()
            let project = try Self.project("print(1)")
            let first = try alice.run(["run", "main.orchest", "--name", "small"], in: project.path)
            #expect(first.status == 0, "\(first.errors)")
            var bytes = [UInt8](repeating: 0, count: 6_000_000)
            for index in bytes.indices { bytes[index] = UInt8.random(in: .min ... .max) }
            try Data(bytes).write(to: URL(filePath: project.path + "/large"))
            let refused = try alice.run(["job", "create", "main.orchest", "--name", "large"], in: project.path)
            #expect(refused.status == 6 && refused.errors.contains("of at most 5MiB on the disk"), "\(refused)")
            let home = "\(try Cloche.home.get())/owners/\(alice.id)"
            #expect(try alice.run(["show", "large"]).status == 5)
            #expect(try (alice.run(["snapshot", "ls", "--json"]).value("snapshots") as? [Any])?.count == 1)
            #expect(try FileManager.default.contentsOfDirectory(atPath: home + "/incoming") == [])
            // Without it he has room again.
            try FileManager.default.removeItem(atPath: project.path + "/large")
            let again = try alice.run(["run", "main.orchest", "--name", "again"], in: project.path)
            #expect(again.status == 0, "\(again.errors)")
        }

        @Test("limits are sizes, for users and groups that there are")
        func options() throws {
            for (value, part) in [
                ("much", "--max-disk"), ("=5GiB", "--max-disk"), ("nobody-of-here=5GiB", "no such user"),
                ("@nobody-of-here=none", "no such group"),
            ] {
                let refused = try Cloche.run("serve", "--share", "--socket", "/tmp/none/socket", "--max-disk", value)
                #expect([64, 5].contains(refused.status) && refused.errors.contains(part), "\(value): \(refused)")
            }
            #expect(try Cloche.run("serve", "--max-disk", "5GiB").status == 64)
        }
    }
}

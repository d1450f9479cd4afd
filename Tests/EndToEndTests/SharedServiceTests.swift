import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "A service that several users share", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "making users needs root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "the helper for users needs /dev/net/tun"))
    struct SharedServices {
        private static func project(_ text: String, grid: [Any]? = nil) throws -> TestProject {
            try TestProject(
                [.init(file: "one.py", text: "import os, time, orchest\n" + text)], parameters: ["x": 1],
                grid: grid.map { ["pipeline": ["x": $0]] })
        }

        @Test(
            "each user has jobs, secrets and data of his own, and whoever runs the service has all",
            .timeLimit(.minutes(4)))
        func apart() throws {
            let service = try SharedTestService()
            let (alice, bob) = (try service.user(), try service.user())
            let project = try Self.project(
                """
                print("sees", sorted(os.listdir("/data")), os.environ.get("TOKEN"))
                open(f"/data/of-{orchest.get_pipeline_param('who')}", "w").close()
                """)
            let set = try alice.run(["secret", "set", "TOKEN"], input: "only-of-alice")
            #expect(set.status == 0, "\(set.errors)")
            let first = try alice.run(
                ["run", "main.orchest", "-p", "who=\"alice\"", "--name", "mine", "--secret", "TOKEN"], in: project.path)
            #expect(first.status == 0, "\(first.errors) \(service.log)")
            let log = try alice.run(["logs", "mine/0", "--raw"])
            #expect(log.output.contains("sees [] ***"), "\(log.output)\(log.errors)")
            #expect(try alice.run(["watch", "mine"]).status == 0)
            #expect(try alice.run(["diff", "mine/0"]).status == 0)

            // The other one finds nothing: neither by name, nor by id, nor by what he guesses.
            let id = try #require(try alice.run(["show", "mine", "--json"]).value("job", "uuid") as? String)
            for reference in ["mine", id, String(id.prefix(8)), "mine/0", "\(id)/0/one"] {
                for words in [["show"], ["logs"], ["cancel"], ["retry"], ["rm", "--yes"], ["job", "pause"]] {
                    let refused = try bob.run(words + [reference])
                    // Some take no run at all.
                    #expect([5, 64].contains(refused.status), "\(words) \(reference): \(refused)")
                    #expect(!refused.errors.contains("of-alice") && refused.output.isEmpty, "\(refused)")
                }
            }
            #expect(try bob.run(["ls", "--json"]).value("jobs") as? [String] == [])
            #expect(try bob.run(["secret", "ls", "--json"]).value("secrets") as? [String] == [])
            #expect(
                try bob.run(["run", "main.orchest", "--secret", "TOKEN"], in: project.path).status == 78)
            let second = try bob.run(
                ["run", "main.orchest", "-p", "who=\"bob\"", "--name", "mine"], in: project.path)
            #expect(second.status == 0, "\(second.errors)")
            #expect(try bob.run(["logs", "mine/0", "--raw"]).output.contains("sees [] None"))

            // Whose each is, is in its document and in the database, and the administrator sees both.
            for user in [alice, bob] {
                #expect(try user.run(["show", "mine", "--json"]).value("job", "owner", "uid") as? Int == user.id)
            }
            let all = try Cloche.run("ls", "--json", "--limit", "0").value("jobs") as? [[String: Any]] ?? []
            let owners = all.compactMap { ($0["owner"] as? [String: Any])?["uid"] as? Int }
            #expect(owners.contains(alice.id) && owners.contains(bob.id), "\(owners)")
            #expect(try service.asOwner(alice, "show", "mine", "--json").value("job", "uuid") as? String == id)
            #expect(try service.asOwner(alice, "rm", "mine", "--yes").status == 0)
            #expect(try alice.run(["show", "mine"]).status == 5)
            #expect(try bob.run(["show", "mine"]).status == 0)
            #expect(try bob.run(["rm", "mine", "--yes"]).status == 0)
        }

        @Test("a policy is for whom it says, and the others hear why not")
        func policies() throws {
            let service = try SharedTestService()
            let (alice, bob) = (try service.user(), try service.user())
            let own = try PolicyFile("users: [\(alice.name)]\nlimits: {pids: 64}\n")
            let inherited = try PolicyFile("extends: \(own.name)\ndata: none\n")
            let group = try PolicyFile("users: ['@\(bob.name)']\n")
            let project = try Self.project("print(1)")
            func names(_ user: SharedTestService.Client) throws -> [String] {
                try user.run(["policy", "ls", "--json"]).value("policies") as? [String] ?? []
            }
            #expect(try names(alice).contains(own.name) && !names(bob).contains(own.name))
            #expect(try names(bob).contains(group.name) && !names(alice).contains(group.name))
            #expect(try names(bob).contains("default"))
            for policy in [own.name, inherited.name] {
                let allowed = try alice.run(
                    ["job", "create", "main.orchest", "--policy", policy, "--draft", "--name", policy], in: project.path
                )
                #expect(allowed.status == 0, "\(allowed.errors)")
                let refused = try bob.run(["run", "main.orchest", "--policy", policy], in: project.path)
                #expect(refused.status == 6, "\(refused)")
                #expect(
                    refused.errors.contains("it is for \(alice.name), and you are \(bob.name)"), "\(refused.errors)")
                #expect(try bob.run(["policy", "show", policy]).status == 6)
            }
            // What opens something of the host is for those alone whom it names.
            let host = try PolicyFile("network: host\n")
            let devices = try PolicyFile("extends: gpu\ndevices: {allow: [dri], need: none}\n")
            let granted = try PolicyFile("extends: \(devices.name)\nusers: [\(bob.name)]\n")
            for policy in [host.name, devices.name, "gpu"] {
                let refused = try bob.run(
                    ["job", "create", "main.orchest", "--policy", policy, "--draft"], in: project.path)
                #expect(refused.status == 6 && refused.errors.contains("of the host"), "\(policy): \(refused)")
                #expect(try !names(bob).contains(policy))
            }
            let open = try bob.run(
                ["job", "create", "main.orchest", "--policy", granted.name, "--draft"], in: project.path)
            #expect(open.status == 0, "\(open.errors)")

            let made = try bob.run(
                ["job", "create", "main.orchest", "--name", "draft", "--draft"], in: project.path)
            #expect(made.status == 0, "\(made.errors)")
            #expect(try bob.run(["job", "edit", "draft", "--policy", own.name]).status == 6)
            // Who may no longer use it makes nothing new of what he has.
            #expect(try alice.run(["job", "copy", own.name]).status == 0)
            try Data("users: [\(bob.name)]\n".utf8).write(to: URL(filePath: own.path))
            #expect(try alice.run(["job", "copy", own.name]).status == 6)
            for words in [["job", "start"], ["job", "resume"], ["job", "trigger"], ["retry"]] {
                let refused = try alice.run(words + [own.name])
                #expect(refused.status == 6 && refused.errors.contains("it is for \(bob.name)"), "\(words): \(refused)")
            }
            #expect(try alice.run(["show", own.name, "--json"]).value("job", "state") as? String == "draft")
            // The administrator is told whom a change concerns, and by whose name to look at it.
            let copied = URL(filePath: project.path + "/\(own.name).yaml")
            try Data("users: [\(bob.name)]\nlimits: {pids: 500}\n".utf8).write(to: copied)
            let applied = try Cloche.run("policy", "apply", copied.path, "--dry-run")
            #expect(applied.status == 0, "\(applied.errors)")
            #expect(applied.output.contains("job \(own.name) of \(alice.name) (draft)"), "\(applied.output)")
            #expect(applied.errors.contains("CLOCHE_OWNER=NAME cloche cancel JOB"), "\(applied.errors)")
            try FileManager.default.removeItem(at: copied)
            try Data("users: [\(alice.name)]\n".utf8).write(to: URL(filePath: own.path))
            let shown = try Cloche.run("policy", "show", inherited.name, "--origin").output
            #expect(shown.contains("users") && shown.contains(alice.name), "\(shown)")
        }

        @Test("nobody waits for another user's queue, and nobody's queue is endless", .timeLimit(.minutes(4)))
        func fair() throws {
            let service = try SharedTestService(["--max-parallel", "1", "--max-pending", "8"])
            let (alice, bob) = (try service.user(), try service.user())
            let slow = try Self.project("time.sleep(0.4)", grid: Array(1...7))
            let many = try Self.project("time.sleep(0.4)", grid: Array(1...9))
            let refused = try alice.run(["job", "create", "main.orchest"], in: many.path)
            #expect(refused.status == 6 && refused.errors.contains("--max-pending"), "\(refused)")
            let made = try alice.run(["job", "create", "main.orchest", "--name", "long", "--detach"], in: slow.path)
            #expect(made.status == 0, "\(made.errors)")
            let quick = try Self.project("print(1)")
            let other = try bob.run(["run", "main.orchest", "--name", "short"], in: quick.path)
            #expect(other.status == 0, "\(other.errors)")
            let left = try alice.run(["show", "long", "--json"]).value("job", "counts", "pending") as? Int
            #expect(try #require(left) > 0, "\(service.log)")
            #expect(try alice.run(["cancel", "long"]).status == 0)

            // Runs that are to be made once more wait as well.
            let failing = try Self.project("exit(3)", grid: Array(1...5))
            #expect(
                try alice.run(["job", "create", "main.orchest", "--name", "failing"], in: failing.path).status == 1)
            let again = try alice.run(["job", "create", "main.orchest", "--name", "filler", "--detach"], in: slow.path)
            #expect(again.status == 0, "\(again.errors)")
            #expect(try alice.run(["job", "pause", "filler"]).status == 0)
            let retried = try alice.run(["retry", "failing"])
            #expect(retried.status == 6 && retried.errors.contains("--max-pending"), "\(retried)")
            #expect(
                try alice.run(["show", "failing", "--json"]).value("job", "counts", "failed") as? Int == 5)
            #expect(try alice.run(["cancel", "filler"]).status == 0)
        }

        @Test("what users keep is counted for each, and the database of each can be made anew")
        func upkeep() throws {
            let service = try SharedTestService()
            let (alice, bob) = (try service.user(), try service.user())
            let project = try Self.project("open('big', 'wb').write(b'1' * 3000000)")
            for (user, count) in [(alice, 1), (bob, 2)] {
                for number in 0..<count {
                    let run = try user.run(["run", "main.orchest", "--name", "kept-\(number)"], in: project.path)
                    #expect(run.status == 0, "\(run.errors)")
                }
            }
            let used = try Cloche.run("system", "df", "--json").value("users") as? [[String: Any]] ?? []
            func bytes(_ user: SharedTestService.Client) throws -> Int {
                let own = try #require(used.first { $0["identity"] as? String == String(user.id) })
                #expect(own["name"] as? String == user.name)
                return try #require(own["own_bytes"] as? Int)
            }
            #expect(try bytes(alice) > 3_000_000 && bytes(bob) > 6_000_000 && bytes(alice) < bytes(bob))

            #expect(try Cloche.run("system", "stop", "--drain").status == 0)
            let plain = try Cloche.run("system", "reindex")
            #expect(plain.status == 0 && plain.errors.contains("were not looked at: --users"), "\(plain.errors)")
            let home = try Cloche.home.get()
            let database = "\(home)/owners/\(bob.id)/cloche.db"
            for ending in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: database + ending) }
            let rebuilt = try Cloche.run("system", "reindex", "--users", "--json")
            let users = try rebuilt.value("users") as? [[String: Any]] ?? []
            #expect(users.first { $0["user"] as? String == bob.name }?["jobs"] as? Int == 2, "\(rebuilt)")
            #expect(users.first { $0["user"] as? String == alice.name }?["runs"] as? Int == 1, "\(rebuilt)")
            let shown = try Cloche.start(
                ["show", "kept-1/0", "--json"], environment: ["CLOCHE_OWNER": bob.name]
            ).wait(timeout: 30)
            #expect(try shown.value("run", "state") as? String == "succeeded", "\(shown)")
            let unnamed = try Cloche.run("show", "kept-1")
            #expect(unnamed.status == 5 && unnamed.errors.contains("set CLOCHE_OWNER="), "\(unnamed)")
            for name in try FileManager.default.contentsOfDirectory(atPath: home)
            where name.hasPrefix("cloche.db.before-reindex-") {
                try FileManager.default.removeItem(atPath: home + "/" + name)
            }
        }

        @Test("what one user builds is no other's, and each builds one environment at a time", .timeLimit(.minutes(6)))
        func environments() throws {
            let service = try SharedTestService()
            let (alice, bob) = (try service.user(), try service.user())
            let project = try Self.project("print(open('/etc/who').read())")
            let uuid = "11111111-0000-4000-8000-000000000001"
            // The same inputs, and what comes of them is another thing each time.
            let script = "cat /proc/sys/kernel/random/uuid > /etc/who\n"
            try project.bringEnvironment(uuid, script)
            var built: [String] = []
            for user in [alice, bob, alice] {
                let run = try user.run(["run", "main.orchest", "--name", "of-it"], in: project.path)
                #expect(run.status == 0, "\(run.errors)")
                built.append(try user.run(["logs", "of-it/0", "--raw"]).output)
                #expect(try user.run(["rm", "of-it", "--yes"]).status == 0)
            }
            #expect(built[0].contains("-") && built[0] == built[2] && built[0] != built[1], "\(built)")
            // Each sees what was built for him, counts it as what he keeps, and can remove it.
            func names(_ user: SharedTestService.Client) throws -> [String] {
                let listed = try user.run(["env", "ls", "--json"]).value("environments") as? [[String: Any]] ?? []
                return listed.compactMap { $0["name"] as? String }.filter { $0.hasPrefix("u") }
            }
            let mine = try names(alice)
            #expect(mine.count == 1 && mine[0].hasPrefix("u\(alice.id)-"), "\(mine)")
            #expect(try names(bob).allSatisfy { $0.hasPrefix("u\(bob.id)-") })
            let used = try alice.run(["system", "df", "--json"])
            let environments = try used.value("environments") as? [[String: Any]] ?? []
            #expect(environments.map { $0["name"] as? String } == [mine[0]], "\(used)")
            let (whole, other) = (try used.value("total_bytes") as? Int, try used.value("other_bytes") as? Int)
            #expect(try #require(whole) > #require(environments.first?["own_bytes"] as? Int) && #require(other) >= 0)
            for words in [[mine[0]], ["python"], ["--unused"], ["--packages"]] {
                #expect(try bob.run(["env", "rm", "--yes"] + words).status == 6)
            }
            #expect(try alice.run(["env", "rm", "--yes", mine[0]]).status == 0)
            #expect(try names(alice) == [])

            // Somebody builds for her.
            let file = open("\(try Cloche.home.get())/owners/\(alice.id)/build.lock", O_RDWR | O_CLOEXEC)
            #expect(file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0)
            let words = ["job", "create", "main.orchest", "--draft"]
            let waiting = try alice.start(words, in: project.path)
            #expect(
                eventually(within: 30) { waiting.errors.contains("waiting for another build") }, "\(waiting.errors)")
            #expect(try bob.run(words, in: project.path).status == 0)
            #expect(!waiting.errors.contains("a draft of"), "\(waiting.errors)")
            close(file)
            #expect(waiting.wait(timeout: 60).status == 0, "\(waiting.errors)")
        }
    }
}

import Foundation
import Testing

extension EndToEndBeside {
    @Suite("telling servers and programs", .enabled(if: Cloche.isBuilt && TestWebhook.isPossible))
    struct Notifications {
        /// A notifier of a name that no other test has, removed with this value.
        private final class Added {
            let name = "n-" + UUID().uuidString.prefix(8).lowercased()

            convenience init(_ arguments: String...) throws { try self.init(arguments) }

            init(_ arguments: [String]) throws {
                let added = try Cloche.start(["notify", "add", name] + arguments).wait()
                guard added.status == 0 else { throw TestFailure("notify add: \(added.errors)") }
            }

            deinit { _ = try? Cloche.run("notify", "rm", name, "--yes") }

            func log() throws -> [[String: Any]] {
                try Cloche.run("notify", "log", name, "--json").value("deliveries") as? [[String: Any]] ?? []
            }
        }

        private static var failing: TestProject.Step { .init(file: "fails.sh", text: "echo no; exit 3\n") }

        /// What python's own hmac makes of it: another implementation than ours.
        private static func signature(_ request: TestWebhook.Request, _ secret: String) throws -> String {
            let program = """
                import base64, hashlib, hmac, os
                text = os.environ["TEXT"].encode()
                print("v1," + base64.b64encode(hmac.new(os.environ["KEY"].encode(), text, hashlib.sha256).digest()).decode())
                """
            let id = request.fields["webhook-id"] ?? "", time = request.fields["webhook-timestamp"] ?? ""
            return try StartedCommand(
                "/usr/bin/python3", ["-c", program],
                environment: ["TEXT": "\(id).\(time).\(request.body)", "KEY": secret]
            ).wait().output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        @Test("ends of runs and jobs are told by signed requests, with the verdict, and nobody is shown the address")
        func webhook() throws {
            let server = try TestWebhook()
            let key = "E2E_KEY_" + UUID().uuidString.prefix(8)
            let input = Pipe()
            try input.fileHandleForWriting.write(contentsOf: Data("correct horse".utf8))
            try input.fileHandleForWriting.close()
            #expect(try Cloche.run("secret", "set", key, stdin: input.fileHandleForReading).status == 0)
            defer { _ = try? Cloche.run("secret", "rm", key, "--yes") }
            let project = try TestProject([Self.failing], parameters: ["x": 1])
            let added = try Added(
                "--url", server.url("hook/t0ken"), "--secret", key, "--on", "run.failed,job.finished", "--job",
                project.name + "*")
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            let told = try server.requests("hook")
            #expect(try told.map { try $0.value("event") as? String } == ["run.failed", "job.failed"])
            let run = try #require(told.first)
            #expect(try run.value("job", "name") as? String == project.name)
            #expect(try run.value("run", "index") as? Int == 0)
            #expect(try run.value("run", "verdict", "cause") as? String == "exit")
            #expect(try run.value("id") as? String == run.fields["webhook-id"])
            #expect(run.fields["content-type"] == "application/json")
            #expect(try told.last?.value("job", "counts", "failed") as? Int == 1)
            for request in told {
                #expect(try request.fields["webhook-signature"] == Self.signature(request, "correct horse"))
                let time = Double(request.fields["webhook-timestamp"] ?? "") ?? 0
                #expect(abs(time - Date().timeIntervalSince1970) < 300)
            }
            let log = try added.log()
            #expect(log.map { $0["state"] as? String } == ["delivered", "delivered"])
            #expect(log.first?["answer"] as? String == "answered 200: thanks")
            // Neither the token in the address nor the secret is shown anywhere.
            for arguments in [["notify", "ls"], ["notify", "ls", "--json"], ["notify", "log", "--json"]] {
                let shown = try Cloche.start(arguments).wait()
                #expect(!shown.output.contains("t0ken") && !shown.output.contains("correct horse"))
            }
            let file = "\(try Cloche.home.get())/notifications/\(added.name).json"
            #expect(try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int == 0o600)
            // Other jobs, and other events, are not its affair.
            let other = try TestProject([.init(file: "fine.sh", text: "exit 3\n")])
            #expect(try other.cloche("run", "main.orchest", "--name", other.name).status == 1)
            #expect(try server.requests("hook").count == 2)
            try other.remove()
            try project.remove()
        }

        @Test("a test prints what was answered; redirections are not followed, and endless answers end")
        func answers() throws {
            let server = try TestWebhook()
            let good = try Added("--url", server.url("good"))
            let test = try Cloche.run("notify", "test", good.name)
            #expect(test.status == 0 && test.output.hasPrefix("answered 200: thanks"), "\(test.errors)")
            #expect(try server.requests("good").first?.value("event") as? String == "test")

            let elsewhere = try Added("--url", server.url("elsewhere"))
            let sent = try Cloche.run("notify", "test", elsewhere.name)
            #expect(sent.status == 1 && sent.output.contains("answered 302"), "\(sent.output)")
            #expect(try server.requests("stolen").isEmpty)

            // A host that led to the network of everybody does not lead to this machine later.
            let moved = try Added("--url", server.url("moved"))
            let file = "\(try Cloche.home.get())/notifications/\(moved.name).json"
            let text = try String(contentsOfFile: file, encoding: .utf8)
            try text.replacingOccurrences(of: "an address of this machine", with: "a public address")
                .write(toFile: file, atomically: false, encoding: .utf8)
            let lured = try Cloche.run("notify", "test", moved.name)
            #expect(lured.status == 1 && lured.output.contains("now leads to"), "\(lured.output)")
            #expect(try server.requests("moved").isEmpty)

            let refusing = try Added("--url", server.url("refuse"))
            let refused = try Cloche.run("notify", "test", refusing.name)
            #expect(refused.status == 1 && refused.errors.contains("would not be delivered again"))
            #expect(!refused.output.contains("\u{1b}"))

            let endlessly = try Added("--url", server.url("endless"))
            let endless = try Cloche.run("notify", "test", endlessly.name)
            #expect(endless.status == 0, "\(endless.errors)")

            let slow = try Added("--url", server.url("slow"), "--timeout", "1s")
            let late = try Cloche.run("notify", "test", slow.name)
            #expect(late.status == 1 && late.output.contains("no answer within the time"), "\(late.output)")
        }

        @Test("what was answered by an error is told again with the same id, and a job's name does no harm")
        func again() throws {
            let server = try TestWebhook()
            let hostile = "\u{202E}\u{1B}[31m\u{0}\u{2028}\u{1F600}"
            let project = try TestProject([Self.failing], parameters: ["x": hostile])
            let job = "e2e \"};drop\\n'$(id)\u{1F600}" + UUID().uuidString.prefix(6)
            let added = try Added("--url", server.url("once"), "--on", "run.failed", "--job", String(job))
            let service = try TestService()
            #expect(try project.cloche("run", "main.orchest", "--name", String(job)).status == 1)
            #expect(try eventually(within: 30) { try server.requests("once").count == 2 })
            let told = try server.requests("once")
            #expect(told.map { $0.fields["webhook-id"] }.first == told.map { $0.fields["webhook-id"] }.last)
            for request in told {
                #expect(request.body.utf8.allSatisfy { (0x20...0x7E).contains($0) })
                #expect(try request.value("job", "name") as? String == String(job))
                #expect(request.body.contains(#"\u202e\u001b[31m\u0000\u2028\ud83d\ude00"#), "\(request.body)")
            }
            #expect(try eventually(within: 10) { try added.log().first?["state"] as? String == "delivered" })
            #expect(try added.log().first?["attempts"] as? Int == 2)
            #expect(service.end().status == 0)
            _ = try Cloche.run("rm", String(job), "--yes")
        }

        @Test("who is slow keeps nobody else waiting")
        func slow() throws {
            let server = try TestWebhook()
            let project = try TestProject([Self.failing])
            let events = ["--on", "run.failed,job.failed", "--job", project.name]
            let slow = try Added(["--url", server.url("slow"), "--timeout", "30s"] + events)
            let quick = try Added(["--url", server.url("quick")] + events)
            let service = try TestService()
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            // The slow one takes 20 seconds to answer the first.
            #expect(try eventually(within: 10) { try server.requests("quick").count == 2 }, "\(service.log)")
            #expect(try eventually(within: 5) { try quick.log().allSatisfy { $0["state"] as? String == "delivered" } })
            #expect(try eventually(within: 5) { try server.requests("slow").count == 1 })
            #expect(try slow.log().map { $0["state"] as? String } == ["waiting", "waiting"])
            #expect(service.end().status == 0)
            try project.remove()
        }

        @Test("what could not be delivered is kept over the end of the service, also a sudden one")
        func restart() throws {
            let server = try TestWebhook()
            let added = try Added("--url", server.url("kept"), "--on", "run.failed,job.failed")
            server.stop()
            let project = try TestProject([Self.failing])
            let first = try TestService()
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            #expect(try eventually(within: 20) { try added.log().contains { $0["attempts"] as? Int ?? 0 > 0 } })
            #expect(first.end(SIGKILL).status == 137)
            #expect(try added.log().map { $0["state"] as? String } == ["waiting", "waiting"])
            let back = try server.again()
            let second = try TestService()
            #expect(try eventually(within: 60) { try back.requests("kept").count >= 2 })
            #expect(
                try Set(back.requests("kept").map { try $0.value("event") as? String ?? "" })
                    == ["run.failed", "job.failed"])
            #expect(
                try eventually(within: 20) {
                    try added.log().map { $0["state"] as? String } == ["delivered", "delivered"]
                })
            // The verdict is as it was.
            #expect(try project.states() == ["failed"])
            #expect(second.end().status == 0)
            try project.remove()
        }

        @Test("a program of the owner's is told on standard input, with next to no environment and a bounded time")
        func hook() throws {
            let directory = try Self.ownDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let script = """
                #!/bin/sh
                cat > \(directory)/told
                env > \(directory)/environment
                (setsid sleep 600 & echo $! > \(directory)/left) 2>/dev/null
                echo "so it is"
                """
            try Self.write(script, to: directory + "/hook")
            let project = try TestProject([Self.failing])
            let added = try Added(
                "--command", directory + "/hook", "--on", "run.failed", "--job", project.name)
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 1)
            let told =
                try JSONSerialization.jsonObject(
                    with: Data(contentsOf: URL(filePath: directory + "/told"))) as? [String: Any]
            #expect(told?["event"] as? String == "run.failed")
            let names = try String(contentsOfFile: directory + "/environment", encoding: .utf8).split(separator: "\n")
                .compactMap { $0.split(separator: "=").first.map(String.init) }.filter { $0 != "_" && $0 != "PWD" }
            #expect(
                Set(names).subtracting(["SHLVL", "OLDPWD"]) == [
                    "PATH", "LC_ALL", "CLOCHE_EVENT", "CLOCHE_NOTIFICATION", "CLOCHE_NOTIFIER",
                ])
            let log = "\(try Cloche.home.get())/notifications/\(added.name).log"
            #expect(try String(contentsOfFile: log, encoding: .utf8).contains("so it is"))
            // What it left running has ended with it, though in a session of its own.
            let left = try #require(
                Int32(
                    String(contentsOfFile: directory + "/left", encoding: .utf8).trimmingCharacters(
                        in: .whitespacesAndNewlines)))
            #expect(eventually(within: 5) { !ProcessTable.isAlive(left) })

            try Self.write("#!/bin/sh\nsleep 600\n", to: directory + "/hook")
            let slow = try Added("--command", directory + "/hook", "--timeout", "1s")
            let test = try Cloche.run("notify", "test", slow.name)
            #expect(test.status == 1 && test.output.contains("the longest it may take"), "\(test.output)")
            // Changed by others since: not run any more.
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: directory + "/hook")
            let open = try Cloche.run("notify", "test", slow.name)
            #expect(open.status == 1 && open.output.contains("others can change it"), "\(open.output)")
            try project.remove()
        }

        @Test("what others could change, links, and addresses that are none are refused")
        func refusals() throws {
            let directory = try Self.ownDirectory()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try Self.write("#!/bin/sh\n", to: directory + "/open", mode: 0o722)
            try Self.write("text\n", to: directory + "/text", mode: 0o600)
            try Self.write("#!/bin/sh\n", to: directory + "/good")
            try FileManager.default.createSymbolicLink(
                atPath: directory + "/link", withDestinationPath: directory + "/good")
            try FileManager.default.createDirectory(
                atPath: directory + "/shared", withIntermediateDirectories: false)
            try Self.write("#!/bin/sh\n", to: directory + "/shared/hook")
            try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: directory + "/shared")
            let wrong = [
                ["--command", directory + "/open"], ["--command", directory + "/text"],
                ["--command", directory + "/link"], ["--command", directory + "/shared/hook"],
                ["--command", "hook"], ["--command", directory + "/../good"], ["--command", directory + "/none"],
                ["--url", "file:///etc/passwd"], ["--url", "https://user:word@127.0.0.1/"], ["--url", "gopher://x/"],
                ["--url", "http://192.0.2.1/"], ["--url", "https://127.0.0.1/\" --output x"],
                ["--url", "http://127.0.0.1/", "--command", directory + "/good"], [],
                ["--url", "http://127.0.0.1/", "--on", "run.exploded"],
                ["--url", "http://127.0.0.1/", "--secret", "NONE-9"],
                ["--url", "http://127.0.0.1/", "--timeout", "6m"],
            ]
            for arguments in wrong {
                let refused = try Cloche.start(["notify", "add", "wrong"] + arguments).wait()
                #expect(refused.status != 0, "\(arguments): \(refused.errors)")
                #expect(refused.errors.contains("hint:") || refused.status == 64, "\(refused.errors)")
            }
            #expect(try Cloche.run("notify", "add", "../x", "--url", "http://127.0.0.1/").status == 64)
            #expect(try !Cloche.run("notify", "ls").output.contains("wrong"))
            for form in [[], ["--json"]] {
                #expect(try Cloche.start(["notify", "log", "wrong"] + form).wait().status == 5)
            }
        }

        /// A directory that only its owner can change, all the way up.
        private static func ownDirectory() throws -> String {
            let path = "/tmp/cloche-e2e-hook-" + UUID().uuidString
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            return path
        }

        private static func write(_ text: String, to path: String, mode: Int = 0o700) throws {
            try Data(text.utf8).write(to: URL(filePath: path))
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        }
    }
}

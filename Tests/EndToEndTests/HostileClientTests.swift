import Foundation
import Testing

extension EndToEnd {
    @Suite(
        "Hostile clients of a shared service", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "making users needs root"),
        .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "the helper for users needs /dev/net/tun"))
    struct HostileClients {
        /// What only root may read.
        private final class RootsFile {
            let directory: TemporaryDirectory
            let text = "canary-\(UUID().uuidString)"
            var path: String { directory.path + "/private/secret.orchest" }

            init() throws {
                directory = try TemporaryDirectory()
                for end in ["orchest", "py"] { try directory.write(text, to: "private/secret.\(end)") }
                chmod(directory.path, 0o700)
            }
        }

        @Test("a client is who the kernel says, and does only what a service does for its users")
        func commands() throws {
            let service = try SharedTestService()
            let (alice, mallory) = (try service.user(), try service.user())
            let canary = try RootsFile()
            let project = try TestProject([.init(file: "one.py", text: "print(1)")])
            let made = try alice.run(
                ["job", "create", "main.orchest", "--name", "of-alice", "--draft"], in: project.path)
            #expect(made.status == 0, "\(made.errors)")
            // Ids, names and variables that he only claims to have.
            let told = try mallory.python(
                """
                print(ask(request(["ls", "--json"], user=0, uid=0, owner=\(alice.id), is_administrator=True,
                                  project={"path": "/root", "pipeline": "x"}, CLOCHE_OWNER="\(alice.name)"), frame("B")))
                """)
            #expect(told.output.contains("\"jobs\": []"), "\(told)")
            #expect(!told.output.contains("of-alice"), "\(told)")

            let refused = [
                ["exec", "--", "true"], ["exec", "--explain", "--", "true"], ["serve"], ["system", "status"],
                ["system", "reindex"], ["system", "doctor", "--prove"], ["attend"],
                ["snapshot", "export", "of-alice"], ["snapshot", "create", canary.directory.path],
                ["snapshot", "diff", "/etc", "/root"], ["system", "measure", canary.directory.path, "1"],
                ["env", "build", canary.directory.path], ["env", "rm", "python", "--yes"],
                ["env", "rm", "--unused", "--yes"], ["env", "shell", "python"],
                ["env", "import", "x", canary.directory.path], ["policy", "diff", "/etc/shadow", "default"],
                ["policy", "diff", "default", canary.path], ["policy", "validate", canary.path],
                ["policy", "test", canary.path, "--can", "read /"], ["policy", "score", canary.path],
                ["policy", "apply", canary.path], ["policy", "rm", "x", "--yes"], ["policy", "log"],
                ["policy", "show", "../../../etc/passwd"], ["policy", "show", canary.path],
                ["policy", "explain", "default"], ["open", "x/0/one", "--output", canary.directory.path + "/page"],
                ["pipeline", "validate", canary.path], ["pipeline", "graph", canary.path],
                ["job", "plan", canary.path], ["diff", "of-alice/0", "--project"],
                ["job", "create", canary.path], ["run", canary.path],
                ["job", "edit", "of-alice", "--parameters", canary.path],
                ["completion", "bash"], ["---completion", "show", "--", "positional@0", "0", "0"],
            ]
            for words in refused {
                let list = words.map { "\"\($0)\"" }.joined(separator: ", ")
                // What his own `cloche` refuses to send he sends by himself.
                let answer = try mallory.python("print(ask(request([\(list)]), frame('B')))")
                #expect(
                    answer.output.hasPrefix("(6, '',") || answer.output.hasPrefix("(64, '',"), "\(words): \(answer)")
                #expect(!answer.output.contains(canary.text), "\(words): \(answer)")
            }
            // What is asked of a whole store is asked of his own.
            for words in [["system", "df"], ["snapshot", "ls"], ["snapshot", "prune", "--yes"], ["env", "ls"]] {
                let told = try mallory.run(words)
                #expect(told.status == 0 && !told.output.contains("of-alice"), "\(words): \(told)")
            }
            #expect(try (alice.run(["snapshot", "ls", "--json"]).value("snapshots") as? [Any])?.count == 1)
            #expect(canary.directory.names == ["private", "private/secret.orchest", "private/secret.py"])
            #expect(try mallory.run(["exec", "--", "true"]).status == 6)
            #expect(try mallory.run(["serve"]).status == 6)
            #expect(try alice.run(["show", "of-alice"]).status == 0)
        }

        @Test("nothing that is sent leads out of its project, and nothing of root's is read or written")
        func paths() throws {
            let service = try SharedTestService()
            let mallory = try service.user()
            let canary = try RootsFile()
            let target = try TemporaryDirectory()
            chmod(target.path, 0o755)
            let outcome = try mallory.python(
                #"""
                target, canary, parent = "\#(target.path)", "\#(canary.path)", "\#(canary.directory.path)/private"
                create = ["job", "create", "x", "--draft"]
                def sends(*entries, pipeline="main.orchest"):
                    return ask(request(create, pipeline=pipeline, name="p", source="/p"), *entries, frame("P"), frame("B"))
                root = entry("d", b"", mode=0o755)
                here = entry("f", b"main.orchest") + frame("C", b"{}")
                for path in [b"../x", b"/etc/cloche-x", b"a/../../x", b"a//x", b"./x", b"..", b".", b"x\0y", b"a/", b"a" * 300,
                             b"a/" * 2100 + b"x"]:
                    code, out, err = sends(root, here, entry("d", b"a"), entry("f", path) + frame("C", b"1"))
                    assert code == 65 and "does not lie in its project" in err, (path, code, out, err)
                # By a link that was sent before, and through it.
                for link in [target.encode(), b"../../../../../.." + target.encode()]:
                    for kind in "fdl":
                        last = entry(kind, b"out/x", b"y" if kind == "l" else b"")
                        code, out, err = sends(root, here, entry("l", b"out", link), last)
                        assert code not in (0, None), (link, kind, code, out, err)
                    code, out, err = sends(root, here, entry("l", b"out", link), entry("f", b"out"))
                    assert code not in (0, None), (link, code, out, err)
                # The same answers whether what a link leads to is there or not.
                def pipeline(link, path="main.orchest", name=b"main.orchest"):
                    return sends(root, entry("l", name, link), pipeline=path)
                there, missing = pipeline(canary.encode()), pipeline(canary.encode() + b"-not")
                assert there == missing and there[0] not in (0, None), (there, missing)
                answers = []
                for end in ["secret.orchest", "missing.orchest"]:
                    told = pipeline(parent.encode(), "d/" + end, b"d")
                    assert told[0] not in (0, None) and "canary" not in told[2], told
                    answers.append((told[0], told[2].replace(end, "")))
                assert answers[0] == answers[1], answers
                # The files of steps are looked for as well: also behind a link.
                def step(file, link):
                    document = {"name": "n", "uuid": "00000000-0000-4000-8000-0000000000ff", "version": "1.2.3",
                        "parameters": {}, "services": {}, "settings": {}, "steps": {"00000000-0000-4000-8000-000000000001": {
                        "uuid": "00000000-0000-4000-8000-000000000001", "title": "s", "file_path": file, "environment": "",
                        "incoming_connections": [], "kernel": {"name": "python", "display_name": "P"}, "parameters": {}}}}
                    main = entry("f", b"main.orchest") + frame("C", json.dumps(document).encode())
                    return sends(root, main, entry("l", b"d", link))
                there, missing = step("d/secret.py", parent.encode()), step("d/missing.py", parent.encode())
                assert there[0] == missing[0] != 0, (there, missing)
                assert there[2].replace("secret", "") == missing[2].replace("missing", ""), (there, missing)
                for path in ["../main.orchest", "/etc/passwd", "a/../../x", ""]:
                    told = sends(root, here, pipeline=path)
                    assert told[0] == 65 and "does not lie in its project" in told[2], told
                print("done")
                """#)
            #expect(outcome.output == "done\n", "\(outcome)")
            #expect(target.names == [])
        }

        @Test("what is too long, cut off or never read costs its sender alone", .timeLimit(.minutes(4)))
        func bounds() throws {
            let service = try SharedTestService(["--max-connections", "8", "--max-project", "1M"])
            let (alice, mallory) = (try service.user(), try service.user())
            let outcome = try mallory.python(
                #"""
                for data in [b"\xff" * 100, b"GET / HTTP/1.0\r\n\r\n", b"Q" + b"\xff" * 4, frame("Q", b"{" * 200000),
                             frame("Q", b"[1]"), frame("C", b"x"), frame("B"), b"Z" + b"\0" * 4,
                             request(["ls"]).replace(b'"version": 1', b'"version": 9'), request(["ls\0x"]),
                             request(["ls"]) + frame("I", b"x"), request(["ls"]) + frame("P"),
                             request(["run", "x"], pipeline="main.orchest", name="p", source="/p") + frame("C", b"x"),
                             request(["run", "x"], pipeline="main.orchest", name="p", source="/p") + frame("F", b"f")]:
                    code, out, err = ask(data)
                    assert code == 65 and out == "" and "he sent" in err, (data[:40], code, out, err)
                big = [request(["run", "x"], pipeline="main.orchest", name="p", source="/p"), entry("f", b"main.orchest")]
                code, out, err = ask(*big, *[frame("C", b"x" * 200000)] * 10)
                assert code == 6 and "1048576 bytes, the most" in err and ".clocheignore" in err, (code, err)
                # One that goes in the middle leaves nothing.
                s = connect()
                s.sendall(b"".join(big) + frame("C", b"x" * 1000))
                s.close()
                s = connect()
                s.sendall(b"".join(big)[:-3])
                s.shutdown(socket.SHUT_WR)
                s.close()
                print("done")
                """#)
            #expect(outcome.output == "done\n", "\(outcome)")

            let flood = try mallory.command(
                "/usr/bin/python3",
                [
                    "-c",
                    """
                    import os, resource, socket, sys, time
                    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                    held = []
                    while len(held) < 1000:
                        s = socket.socket(socket.AF_UNIX)
                        try:
                            s.connect(os.environ["SOCKET"])
                        except BlockingIOError:
                            continue
                        held.append(s)
                    print("held", flush=True)
                    time.sleep(600)
                    """,
                ])
            defer { flood.signal(SIGKILL) }
            #expect(eventually(within: 30) { flood.output.contains("held") }, "\(flood.errors)")
            let attending = ProcessTable.descendants(of: service.pid).values.filter { $0.contains("attend") }.count
            #expect(attending <= 8, "\(attending)")
            let began = Date()
            #expect(try alice.run(["ls"]).status == 0)
            #expect(Date().timeIntervalSince(began) < 30)
            let own = try mallory.run(["ls"])
            #expect(own.status == 75 && own.errors.contains("connections"), "\(own)")
            flood.signal(SIGKILL)
            _ = flood.wait(timeout: 10)
            #expect(try eventually(within: 20) { try mallory.run(["ls"]).status == 0 })
            #expect(
                eventually(within: 20) {
                    let incoming = (try? Cloche.home.get()).map { "\($0)/owners/\(mallory.id)/incoming" } ?? ""
                    return (try? FileManager.default.contentsOfDirectory(atPath: incoming)) == []
                })
            #expect(ProcessTable.descendants(of: service.pid).values.filter { $0.contains("attend") }.isEmpty)
        }

        @Test("an id that a user namespace can hand out is nobody's")
        func ids() throws {
            let service = try SharedTestService()
            let mallory = try service.user()
            // Ids that /etc/subuid gives to somebody, without an account; root takes one to see.
            let lines = (try? String(contentsOfFile: "/etc/subuid", encoding: .utf8)) ?? ""
            let first = lines.split(separator: "\n").compactMap {
                Int($0.split(separator: ":").dropFirst().first ?? "")
            }
            let free = (first.first ?? 1_900_544_000) + 5
            let foreign = try StartedCommand(
                "/usr/bin/setpriv",
                ["--reuid", String(free), "--clear-groups", "--inh-caps=-all", mallory.program, "ls"],
                environment: ["CLOCHE_SERVICE": service.socket, "HOME": "/"]
            ).wait()
            #expect(foreign.status == 6 && foreign.errors.contains("none of an account"), "\(foreign)")
        }

        @Test("only members of the group get in where a service is for one")
        func groups() throws {
            let service = try SharedTestService(["--group", "root"])
            let told = try service.user().run(["ls"])
            #expect(told.status == 69 && told.errors.contains("--group"), "\(told)")
        }
    }
}

import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Variables and secrets", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct Secrets {
        /// A secret of the shared store that is removed with this value.
        final class Secret {
            let name = "E2E_" + UUID().uuidString.prefix(8)
            let value: String

            init(_ value: String) throws {
                self.value = value
                #expect(try set(value).status == 0)
            }

            func set(_ value: String) throws -> CommandResult {
                let directory = try TemporaryDirectory()
                try directory.write(value, to: "value")
                let input = try FileHandle(forReadingFrom: URL(filePath: directory.path + "/value"))
                return try Cloche.run("secret", "set", name, stdin: input)
            }

            deinit { _ = try? Cloche.run("secret", "rm", name, "--yes") }
        }

        private static func files(with text: String, below directory: String) throws -> [String] {
            let found = try StartedCommand("/usr/bin/grep", ["-rlF", "--", text, directory]).wait(timeout: 60)
            return found.output.split(separator: "\n").map(String.init)
        }

        @Test("steps get a secret, and nothing else does: no file but its own, no process of ours, no log")
        func nowhere() throws {
            let random = UUID().uuidString
            let secret = try Secret("k/\(random)+")
            let home = try Cloche.home.get()
            let policy = try PolicyFile("extends: default\ndata: {access: rw, scope: job}\n")
            let project = try TestProject([
                .init(
                    file: "use.py",
                    text: """
                        import base64, hashlib, os, sys, time, urllib.parse
                        value = os.environ["TOKEN"]
                        print("digest", hashlib.sha256(value.encode()).hexdigest(), flush=True)
                        for part in (value[:5], value[5:11], value[11:]):
                            sys.stdout.write(part); sys.stdout.flush(); time.sleep(0.05)
                        print(); print(base64.b64encode(("me:" + value).encode()).decode())
                        print(urllib.parse.quote(value, safe=""), file=sys.stderr)
                        print("waiting", flush=True)
                        while not os.path.exists("/data/go"): time.sleep(0.05)
                        sys.exit(f"No space left on device: {value}")
                        """)
            ])
            let driver = try Cloche.start(
                [
                    "run", "main.orchest", "--name", project.name, "--policy", policy.name, "--secret",
                    "\(secret.name)=TOKEN",
                ], in: project.path)
            defer { driver.signal(SIGKILL) }
            try #require(
                eventually(within: 30) {
                    (try? Cloche.run("logs", "\(project.name)/0").output.contains("waiting")) == true
                })
            let processes = ProcessTable.descendants(of: driver.pid).merging(
                [driver.pid: "cloche"], uniquingKeysWith: { $1 })
            for (process, command) in processes {
                for file in ["environ", "cmdline"] where !command.contains("use.py") {
                    let text = (try? Data(contentsOf: URL(filePath: "/proc/\(process)/\(file)"))) ?? Data()
                    #expect(!String(decoding: text, as: UTF8.self).contains(random), "\(command) \(file)")
                }
            }
            let job = try #require(
                try Cloche.run("show", project.name, "--json").value("job", "uuid") as? String)
            try Data().write(to: URL(filePath: "\(home)/data/jobs/\(job)/go"))
            let ended = driver.wait(timeout: 30)
            #expect(ended.status == 1, "\(ended.errors)")
            #expect(!(ended.output + ended.errors).contains(random))

            let log = try Cloche.run("logs", "\(project.name)/0", "--raw").output
            let digest = try StartedCommand("/bin/sh", ["-c", "printf %s \"$1\" | sha256sum", "sh", secret.value])
                .wait()
            #expect(log.contains("digest \(digest.output.prefix(64))"), "\(log)")
            #expect(log.components(separatedBy: "***").count == 5, "\(log)")
            #expect(try Self.files(with: random, below: home) == ["\(home)/secrets/\(secret.name)"])
            let shown = try Cloche.run("show", "\(project.name)/0", "--json").output
            #expect(!shown.contains(random) && shown.contains("***"), "\(shown)")
            #expect(try Cloche.run("show", project.name).output.contains("\(secret.name) as TOKEN"))
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("values are for the owner alone, are never printed, and short ones do not ruin a log")
        func kept() throws {
            let secret = try Secret("abc\n")
            let home = try Cloche.home.get()
            for (path, mode) in [("secrets", 0o700), ("secrets/\(secret.name)", 0o600)] {
                let attributes = try FileManager.default.attributesOfItem(atPath: "\(home)/\(path)")
                #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == mode)
            }
            let listed = try Cloche.run("secret", "ls")
            #expect(listed.output.contains(secret.name) && !listed.output.contains("abc"))
            #expect(try secret.set("one\nsecond-line").errors.contains("lines of it with fewer than 8 bytes"))
            #expect(try !secret.set("first-line\nsecond-line").errors.contains("note:"))
            #expect(try secret.set("xy").errors.contains("not replaced in logs"))
            let project = try TestProject([.init(file: "a.sh", text: "echo \"$\(secret.name)|$OTHER|xylophone\"\n")])
            let run = try project.cloche("run", "main.orchest", "--name", project.name, "--secret", secret.name)
            #expect(run.status == 0, "\(run.errors)")
            #expect(try Cloche.run("logs", "\(project.name)/0", "--raw").output == "xy||xylophone\n")
            #expect(try Cloche.run("secret", "set", "../x").status == 64)
            #expect(try secret.set("a\0b").status == 78)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        /// A setup script that gives an environment an nbconvert that shows outputs, and nothing else.
        private static let plainConverter = """
            cd "$(python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
            cat >nbformat.py <<'END'
            import json
            class Cell(dict):
                source = property(lambda self: self["source"])
            class Notebook:
                def __init__(self, cells): self.cells = cells
            class v4:
                new_markdown_cell = staticmethod(lambda text: Cell(source=text))
            def read(file, as_version): return Notebook([Cell(cell) for cell in json.load(file)["cells"]])
            END
            cat >nbconvert.py <<'END'
            import html
            class HTMLExporter:
                def from_notebook_node(self, notebook):
                    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
                    return "".join("<pre>%s</pre>" % html.escape(repr(output)) for output in outputs), None
            END
            """

        @Test(
            "the page of a notebook shows no value of the run's secrets, and it is said which are not known any more",
            .enabled(if: FileManager.default.fileExists(atPath: "/dev/net/tun"), "builds need /dev/net/tun"))
        func page() throws {
            let random = UUID().uuidString
            let secret = try Secret(#"p<a>'s\"# + random)
            let outputs: [[String: Any]] = [
                ["output_type": "stream", "name": "stdout", "text": "printed \(secret.value)"],
                ["output_type": "error", "ename": "E", "evalue": "", "traceback": ["raised \(secret.value)"]],
            ]
            let cell: [String: Any] = ["cell_type": "code", "source": "1", "execution_count": 1, "outputs": outputs]
            let notebook = try JSONSerialization.data(withJSONObject: ["cells": [cell]])
            let project = try TestProject([.init(file: "book.ipynb", text: String(decoding: notebook, as: UTF8.self))])
            try project.bringEnvironment(UUID().uuidString.lowercased(), Self.plainConverter)
            // Nothing there can run it: the page is that of the project's file.
            let run = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--secret", secret.name, timeout: 300)
            #expect(run.status == 1, "\(run.errors)")

            let known = try Cloche.run("open", "\(project.name)/0", "--output", "-")
            #expect(known.status == 0 && !known.output.contains(random), "\(known.errors)")
            #expect(known.output.contains("printed ***") && known.output.contains("raised ***"), "\(known.output)")
            #expect(!known.errors.contains(secret.name), "\(known.errors)")
            _ = try secret.set("another value")
            let changed = try Cloche.run("open", "\(project.name)/0", "--output", "-")
            #expect(changed.status == 0 && changed.output.contains(random))
            #expect(changed.errors.contains("`\(secret.name)` was set since the job was made"), "\(changed.errors)")
            #expect(try Cloche.run("secret", "rm", secret.name, "--yes").status == 0)
            let removed = try Cloche.run("open", "\(project.name)/0", "--output", "-")
            #expect(removed.status == 0 && removed.output.contains(random))
            #expect(removed.errors.contains("`\(secret.name)` was removed"), "\(removed.errors)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("an empty value is set on purpose only") func empty() throws {
            let secret = try Secret("valuable")
            let file = "\(try Cloche.home.get())/secrets/\(secret.name)"
            for nothing in ["", "\n", "\r\n"] {
                let refused = try secret.set(nothing)
                #expect(refused.status == 65 && refused.errors.contains("its value is empty"), "\(refused)")
                #expect(refused.errors.contains("hint: ") && refused.errors.contains("--empty"), "\(refused.errors)")
                #expect(try String(contentsOfFile: file, encoding: .utf8) == "valuable")
            }
            #expect(try Cloche.run("secret", "set", secret.name, "--empty").status == 0)
            #expect(try String(contentsOfFile: file, encoding: .utf8) == "")
        }

        @Test("a single command gets a secret, and its explanation does not show it") func exec() throws {
            let secret = try Secret("one\nsecond-line")
            let command = ["--", "sh", "-c", "printf '%s' \"$SEEN\""]
            let seen = try Cloche.start(["exec", "--secret", "\(secret.name)=SEEN"] + command).wait(timeout: 60)
            #expect(seen.status == 0 && seen.output == "one\nsecond-line", "\(seen.errors)")
            let explained = try Cloche.run("exec", "--secret", secret.name, "--explain", "--", "true")
            #expect(explained.status == 0 && explained.output.contains("\(secret.name)=***"), "\(explained.output)")
            #expect(!explained.output.contains("second-line"))
            let unset = try Cloche.run("exec", "--secret", "NO_SUCH", "--", "true")
            #expect(unset.status == 78 && unset.errors.contains("cloche secret set NO_SUCH"), "\(unset.errors)")
            #expect(try Cloche.run("exec", "--secret", "A=B=C", "--", "true").status == 64)
            let twice = try Cloche.run("exec", "--env-var", "A=1", "--secret", "\(secret.name)=A", "--", "true")
            #expect(twice.status == 64, "\(twice.errors)")
        }

        @Test("a job without a secret or a variable that it needs does not begin, and says which")
        func missing() throws {
            let project = try TestProject([.init(file: "a.sh", text: "echo \"$A $B $C $NEEDED\"\n")])
            try project.directory.write(
                """
                {"project": {"A": "project", "B": "project", "C": "project"}, "required": ["NEEDED"],
                 "pipelines": {"00000000-0000-4000-8000-0000000000ff": {"B": "pipeline", "C": "pipeline"}}}
                """, to: ".orchest/variables.json")
            let bare = try project.cloche("run", "main.orchest", "--name", project.name)
            #expect(bare.status == 65, "\(bare.errors)")
            #expect(bare.errors.contains(".orchest/variables.json:1:"), "\(bare.errors)")
            let unset = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--secret", "NO_SUCH=NEEDED")
            #expect(unset.status == 78 && unset.errors.contains("cloche secret set NO_SUCH"), "\(unset.errors)")
            #expect(try Cloche.run("show", project.name).status == 5)

            let secret = try Secret("given")
            let twice = try project.cloche(
                "run", "main.orchest", "--secret", "\(secret.name)=C", "--env-var", "C=job")
            #expect(twice.status == 64, "\(twice.errors)")
            let run = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--secret", "\(secret.name)=NEEDED", "--env-var", "C=job"
            )
            #expect(run.status == 0, "\(run.errors)")
            #expect(try Cloche.run("logs", "\(project.name)/0", "--raw").output == "project pipeline job ***\n")

            // A job whose secret has gone since is not taken up, and nothing of it changes.
            let again = try TestProject([.init(file: "fail.sh", text: "exit 3\n")])
            let failed = try again.cloche("run", "main.orchest", "--name", again.name, "--secret", secret.name)
            #expect(failed.status == 1)
            #expect(try Cloche.run("secret", "rm", secret.name).status == 6)
            #expect(try Cloche.run("secret", "rm", secret.name, "--yes").status == 0)
            let refused = try Cloche.run("retry", "\(again.name)/0")
            #expect(refused.status == 78 && refused.errors.contains(secret.name), "\(refused.errors)")
            #expect(try Cloche.run("show", "\(again.name)/0", "--json").value("run", "state") as? String == "failed")
            for name in [project.name, again.name] { _ = try Cloche.run("rm", name, "--yes") }
        }

        @Test("a draft whose secret was removed cannot be started, and stays a draft")
        func ofDraft() throws {
            let secret = try Secret("sesame-\(UUID().uuidString)")
            let project = try TestProject([.init(file: "one.sh", text: "exit 0\n")])
            let made = try project.cloche(
                "job", "create", "main.orchest", "--name", project.name, "--draft", "--secret", secret.name)
            #expect(made.status == 0, "\(made.errors)")
            #expect(try Cloche.run("secret", "rm", secret.name, "--yes").status == 0)
            let refused = try Cloche.run("job", "start", project.name)
            #expect(refused.status == 78 && refused.errors.contains(secret.name), "\(refused.errors)")
            #expect(try Cloche.run("show", project.name, "--json").value("job", "state") as? String == "draft")
            #expect(try secret.set("another").status == 0)
            let started = try Cloche.run("job", "start", project.name)
            #expect(started.status == 0, "\(started.errors)")
            #expect(try Cloche.run("rm", project.name, "--yes").status == 0)
        }
    }
}

import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Snapshots", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct Snapshots {
        @Test("a snapshot is taken, listed, shown, compared, verified, exported and pruned", .timeLimit(.minutes(1)))
        func life() throws {
            let store = try TemporaryDirectory()
            let project = try TemporaryDirectory()
            try project.write("a,b\n1,2\n", to: "data/table.csv")
            try project.write("*.log\n", to: ".gitignore")
            try project.write("noise", to: "run.log")
            func cloche(_ arguments: String...) throws -> CommandResult {
                try StartedCommand(
                    Cloche.program(), arguments, environment: ["CLOCHE_HOME": store.path], directory: project.path
                ).wait(timeout: 60)
            }
            let large = try cloche("snapshot", "create", "--ask-above", "4", "--json")
            #expect(large.status == 6)
            #expect((try large.value("error", "message") as? String)?.contains("data/table.csv") == true)
            let first = try cloche("snapshot", "create", "--ask-above", "4", "--yes", "--json")
            let identity = try #require(try first.value("snapshot", "identity") as? String)
            #expect(try first.value("new") as? Bool == true)
            #expect(try first.value("snapshot", "ignored") as? Int == 1)
            let again = try cloche("snapshot", "create", ".")
            #expect(again.output == identity + "\n" && again.errors.contains("nothing was stored"))
            let explained = try cloche("snapshot", "create", "--explain", "run.log", "--explain", "data/table.csv")
            #expect(
                explained.output
                    == "run.log: left out: .gitignore:1:*.log\ndata/table.csv: taken: no rule matches\n",
                "\(explained.output)")
            #expect(try cloche("snapshot", "create", "--explain", "../x").status == 64)
            // Nothing is stored, so there is nothing to ask about.
            #expect(try cloche("snapshot", "create", "--ask-above", "4").status == 0)

            let short = String(identity.prefix(6))
            #expect(try cloche("snapshot", "ls", "--json").value("snapshots", 0, "identity") as? String == identity)
            let shown = try cloche("snapshot", "show", short, "data/table.csv", "--json")
            #expect(try shown.value("entries", 0, "bytes") as? Int == 8)
            #expect(try cloche("snapshot", "show", "0000000").status == 5)
            try project.write("a,b\n1,3\n", to: "data/table.csv")
            try project.write("", to: "new")
            let compared = try cloche("snapshot", "diff", short, ".")
            #expect(compared.output == "~ data/table.csv  (content, modified)\n+ new\n", "\(compared.output)")
            #expect(try cloche("snapshot", "verify", short).output == "\(identity.prefix(12)): sound\n")

            let empty = try cloche("snapshot", "export", short, "")
            #expect(empty.status == 64 && empty.errors.contains("its name is empty"), "\(empty.errors)")
            let full = try StartedCommand(
                "/bin/sh", ["-c", "exec \"$0\" snapshot export \"$1\" - > /dev/full", Cloche.program(), short],
                environment: ["CLOCHE_HOME": store.path]
            ).wait(timeout: 60)
            #expect(full.status != 0 && full.errors.contains("write to standard output"), "\(full.errors)")
            let archive = store.path + "/x.tar"
            #expect(try cloche("snapshot", "export", short, archive).status == 0)
            #expect(try cloche("snapshot", "export", short, archive).status == 6)
            let listed = try StartedCommand("/usr/bin/tar", ["--list", "--file", archive]).wait()
            #expect(listed.output == "./\n.gitignore\ndata/\ndata/table.csv\n", "\(listed.output)\(listed.errors)")

            // What a command left that was stopped is in nobody's way, and what is somebody else's stays.
            try store.write("half", to: "y.tar.cloche-part")
            #expect(try cloche("snapshot", "export", short, store.path + "/y.tar").status == 0)
            #expect(try store.read("y.tar") == store.read("x.tar"))
            #expect(!FileManager.default.fileExists(atPath: store.path + "/y.tar.cloche-part"))
            try FileManager.default.linkItem(atPath: archive, toPath: store.path + "/z.tar.cloche-part")
            let other = try cloche("snapshot", "export", short, store.path + "/z.tar")
            #expect(other.status == 6 && other.errors.contains("no file that an export left"), "\(other.errors)")
            #expect(try store.read("y.tar") == store.read("x.tar"))

            let stored = "\(store.path)/snapshots/\(identity)/tree/data/table.csv"
            try Data("a,b\n1,9\n".utf8).write(to: URL(filePath: stored))
            let damaged = try cloche("snapshot", "verify", "--json")
            #expect(damaged.status == 1)
            #expect(
                try damaged.value("snapshots", 0, "differences", 0, "path") as? String == "data/table.csv",
                "\(damaged.output)\(damaged.errors)")
            let dry = try cloche("snapshot", "prune", "--dry-run", "--json")
            #expect(try dry.value("snapshots", 0) as? String == identity)
            #expect(try cloche("snapshot", "prune").status == 6)
            #expect(try cloche("snapshot", "prune", "--yes").output == identity + "\n")
            #expect(try cloche("snapshot", "ls", "--json").value("snapshots", 0) == nil)
        }

        @Test("no store is frozen, and no step reads its secrets", .timeLimit(.minutes(1)))
        func stores() throws {
            let project = try TestProject([.init(file: "one.py", text: "print(1)")])
            func cloche(_ arguments: String..., input: String? = nil) throws -> CommandResult {
                let line = input.map { "printf %s \($0) | " } ?? ""
                return try StartedCommand(
                    "/bin/sh", ["-c", line + "exec \"$0\" \"$@\"", try Cloche.program()] + arguments,
                    environment: ["CLOCHE_HOME": project.path + "/st"], directory: project.path
                ).wait(timeout: 60)
            }
            #expect(try cloche("secret", "set", "S", input: "topsecret").status == 0)
            try project.directory.write("{}", to: "other/identity.json")
            try project.directory.write("", to: "other/cloche.db")
            let taken = try cloche("snapshot", "create", ".")
            #expect(
                taken.status == 0 && taken.errors.contains("a store of Cloche, where secrets lie, is in no snapshot"))
            #expect(
                taken.errors.contains("snapshot: st, other\n") || taken.errors.contains("snapshot: other, st\n"),
                "\(taken.errors)")
            let identity = taken.output.trimmingCharacters(in: .newlines)
            let entries = try cloche("snapshot", "show", identity, "--json").value("entries") as? [[String: Any]] ?? []
            #expect(entries.compactMap { $0["path"] as? String } == [".", "main.orchest", "one.py"], "\(entries)")
            let explained = try cloche("snapshot", "create", "--explain", "st/secrets/S", "--explain", "other")
            #expect(
                explained.output.split(separator: "\n").allSatisfy { $0.contains(": left out: a store of Cloche") },
                "\(explained.output)")
            // The store of the next command is another one, and its own is none of the project either.
            let elsewhere = try TemporaryDirectory()
            let other = try StartedCommand(
                Cloche.program(), ["snapshot", "create", "."], environment: ["CLOCHE_HOME": elsewhere.path],
                directory: project.path
            ).wait(timeout: 60)
            #expect(other.output == taken.output, "\(other)")
            let itself = try cloche("snapshot", "create", "st")
            #expect(itself.status == 65 && itself.errors.contains("it is a store of Cloche"), "\(itself.errors)")
        }

        @Test("an explanation takes absolute paths, and tells of links", .timeLimit(.minutes(1)))
        func explanations() throws {
            let store = try TemporaryDirectory()
            let project = try TemporaryDirectory()
            try project.write("trail\\ \n", to: ".gitignore")
            for name in ["dir/f", "trail "] { try project.write("x", to: name) }
            try FileManager.default.createSymbolicLink(
                atPath: project.path + "/baz", withDestinationPath: project.path + "/dir")
            func cloche(_ arguments: String...) throws -> CommandResult {
                try StartedCommand(
                    Cloche.program(), ["snapshot"] + arguments, environment: ["CLOCHE_HOME": store.path],
                    directory: project.path
                ).wait(timeout: 60)
            }
            func reason(_ path: String) throws -> String? {
                try cloche("create", "--json", "--explain", path).value("decisions", 0, "reason") as? String
            }
            #expect(try reason(project.path + "/dir/f") == "taken: no rule matches")
            #expect(try reason(project.path + "/baz") == "taken: no rule matches")
            #expect(try reason("baz/f") == "left out: `baz` is a link, with nothing below it")
            #expect(try reason("trail ") == #"left out: .gitignore:1:trail\ "#)
            #expect(try cloche("create", "--explain", "/etc/passwd").status == 64)
            let identity = try cloche("create").output.trimmingCharacters(in: .newlines)
            #expect(try cloche("show", identity, "baz", "--json").value("entries", 0, "mode") as? String == "0777")
        }

        @Test("what the repository above a project ignores is left out", .timeLimit(.minutes(1)))
        func repositories() throws {
            let store = try TemporaryDirectory()
            let top = try TemporaryDirectory()
            let made = try StartedCommand("/usr/bin/git", ["init", "-q", top.path]).wait(timeout: 60)
            #expect(made.status == 0, "\(made.errors)")
            try top.write("*.log\n/sub/only\n", to: ".gitignore")
            for name in ["a.log", "x/b.log", "only", "keep"] { try top.write("x", to: "sub/" + name) }
            func cloche(_ arguments: String...) throws -> CommandResult {
                try StartedCommand(
                    Cloche.program(), ["snapshot"] + arguments, environment: ["CLOCHE_HOME": store.path],
                    directory: top.path
                ).wait(timeout: 60)
            }
            let identity = try cloche("create", "sub").output.trimmingCharacters(in: .newlines)
            let entries = try cloche("show", identity, "--json").value("entries") as? [[String: Any]] ?? []
            #expect(entries.compactMap { $0["path"] as? String } == [".", "keep", "x"], "\(entries)")
            let explained = try cloche("create", "sub", "--explain", "only")
            #expect(explained.output == "only: left out: ../.gitignore:2:/sub/only\n", "\(explained)")
            try Data("DIRC".utf8).write(to: URL(filePath: top.path + "/.git/index"))
            let damaged = try cloche("create", "sub")
            #expect(damaged.output == identity + "\n" && damaged.errors.contains("`git reset` makes it anew"))
        }

        @Test("a run's changes are told against its snapshot, another run and the project", .timeLimit(.minutes(2)))
        func differences() throws {
            let project = try TestProject(
                [
                    .init(
                        file: "one.py",
                        text: """
                            import orchest, os, shutil
                            x = orchest.get_pipeline_param("x")
                            orchest.output(x, "x")
                            open("result", "w").write(f"result {x}")
                            os.remove("obsolete"); shutil.rmtree("old"); os.mkdir("old"); open("old/new", "w")
                            if x == 2: open("extra", "w")
                            """)
                ], parameters: ["x": 1], grid: ["pipeline": ["x": [1, 2]]])
            try project.directory.write("x", to: "obsolete")
            try project.directory.write("x", to: "old/file")
            let job = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(job.status == 0, "\(job.errors)")
            let own = try project.cloche("diff", "\(project.name)/0")
            // Whether the new directory has the mode of the old one is a matter of the umask.
            let lines = own.output.split(separator: "\n").filter { !$0.hasPrefix("~ old ") }
            #expect(lines == ["- obsolete", "- old/file", "+ old/new", "+ result"], "\(own.output)\(own.errors)")
            #expect(own.errors.contains("--all shows them"), "\(own.errors)")
            let all = try project.cloche("diff", "\(project.name)/0", "--all")
            #expect(all.output.contains("+ .orchest/pipelines/") && !all.errors.contains("--all"), "\(all)")
            let two = try project.cloche("diff", "\(project.name)/0", "\(project.name)/1", "--json")
            #expect((try two.value("differences") as? [Any])?.count == 2)
            #expect(try two.value("differences", 0, "path") as? String == "extra")
            #expect(try two.value("differences", 1, "aspects", 0) as? String == "content")
            try project.directory.write("y", to: "result")
            let live = try project.cloche("diff", "\(project.name)/0", "--project")
            #expect(live.output.contains("~ result  (size"), "\(live.output)\(live.errors)")
            let since = try project.cloche("snapshot", "diff", project.name)
            #expect(since.output == "+ result\n", "\(since.output)\(since.errors)")
            #expect(try project.cloche("diff", project.name).status == 64)

            #expect(try project.cloche("system", "df").output.contains("job\t\(project.name)\t"))
            let usage = try project.cloche("system", "df", "--json")
            let jobs = try usage.value("jobs") as? [[String: Any]]
            #expect(
                jobs?.contains { $0["name"] as? String == project.name && ($0["own_bytes"] as? Int ?? 0) > 0 } == true)
            let identity = try project.cloche("show", project.name, "--json").value("snapshot") as? String
            let kept = try project.cloche("snapshot", "prune", "--dry-run", "--json").value("snapshots") as? [String]
            #expect(kept?.contains(identity ?? "") == false)
            #expect(try project.cloche("rm", project.name, "--yes").status == 0)
            let free = try project.cloche("snapshot", "prune", "--dry-run", "--json").value("snapshots") as? [String]
            #expect(free?.contains(identity ?? "") == true)
        }

        @Test(
            "a run over a layer sees the project as it is, and a removed snapshot keeps the tree below it",
            .timeLimit(.minutes(2)))
        func layers() throws {
            let project = try TestProject([
                .init(
                    file: "one.py",
                    text: """
                        import os
                        names = sorted(os.path.join(d, f) for d, _, files in os.walk("files") for f in files)
                        print(len(names), open("files/d1/f1").read(), os.path.exists("files/d2/f2"), os.path.isdir("files/d3"))
                        print(open("files/d3").read() if os.path.isfile("files/d3") else "-")
                        open("files/d4/made", "w").write("x"); os.remove("files/d4/f4")
                        """)
            ])
            for number in 0..<320 { try project.directory.write("\(number)", to: "files/d\(number % 32)/f\(number)") }
            Thread.sleep(forTimeInterval: 0.2)
            let first = try project.cloche("snapshot", "create").output.trimmingCharacters(in: .newlines)
            try project.directory.write("changed", to: "files/d1/f1")
            for path in ["files/d2/f2", "files/d3"] {
                try FileManager.default.removeItem(atPath: project.path + "/" + path)
            }
            try project.directory.write("a file", to: "files/d3")
            let job = try project.cloche("job", "create", "main.orchest", "--name", project.name)
            #expect(job.status == 0, "\(job.errors)")
            let identity = try #require(
                try project.cloche("show", project.name, "--json").value("snapshot") as? String)
            let base = try String(
                contentsOfFile: "\(try Cloche.home.get())/snapshots/\(identity)/base", encoding: .utf8)
            #expect(base == first + "\n")
            let log = try project.cloche("logs", "\(project.name)/0").output
            #expect(log.contains("310 changed False False") && log.contains("a file"), "\(log)")
            let own = try project.cloche("diff", "\(project.name)/0").output.split(separator: "\n")
            #expect(own.filter { !$0.hasPrefix("~") } == ["- files/d4/f4", "+ files/d4/made"], "\(own)")
            #expect(try project.cloche("snapshot", "verify", identity).status == 0)
            #expect(try project.cloche("rm", project.name, "--yes").status == 0)
        }

        @Test("what refers to a snapshot keeps it, and what cannot be read keeps all", .timeLimit(.minutes(1)))
        func references() throws {
            let store = try TemporaryDirectory()
            let project = try TemporaryDirectory()
            try project.write("x", to: "file")
            func cloche(_ arguments: String...) throws -> CommandResult {
                try StartedCommand(
                    Cloche.program(), arguments, environment: ["CLOCHE_HOME": store.path], directory: project.path
                ).wait(timeout: 60)
            }
            let identity = try #require(try cloche("snapshot", "create").output.split(separator: "\n").first)
            func candidates() throws -> Int? {
                (try cloche("snapshot", "prune", "--dry-run", "--json").value("snapshots") as? [Any])?.count
            }
            #expect(try candidates() == 1)
            // A run whose job's document is gone.
            let run = "runs/00000000-0000-4000-8000-000000000001/0/spec.json"
            try store.write("{\"project_layers\":[\"\\/store\\/snapshots\\/\(identity)\\/tree\"]}", to: run)
            #expect(try candidates() == 0)
            try FileManager.default.removeItem(atPath: store.path + "/runs")
            #expect(try candidates() == 1)
            try store.write("{", to: "jobs/00000000-0000-4000-8000-000000000001/job.json")
            let refused = try cloche("snapshot", "prune", "--yes")
            #expect(refused.status == 78 && refused.errors.contains("job.json"), "\(refused.errors)")
            #expect(FileManager.default.fileExists(atPath: "\(store.path)/snapshots/\(identity)/snapshot.json"))
        }

        @Test("a changed file is told by all its names, and links that are broken only with the times")
        func hardLinks() throws {
            let store = try TemporaryDirectory()
            let project = try TemporaryDirectory()
            func snapshot(after script: String) throws -> String {
                let result = try StartedCommand(
                    "/bin/sh", ["-c", "\(script); exec \"$0\" snapshot create .", try Cloche.program()],
                    environment: ["CLOCHE_HOME": store.path], directory: project.path
                ).wait(timeout: 60)
                return try #require(result.output.split(separator: "\n").last.map(String.init), "\(result.errors)")
            }
            func difference(_ arguments: String...) throws -> String {
                try StartedCommand(
                    Cloche.program(), ["snapshot", "diff"] + arguments, environment: ["CLOCHE_HOME": store.path]
                ).wait(timeout: 60).output
            }
            let first = try snapshot(after: "echo a > f1; ln f1 f2; ln f1 f3; touch -d @7 f1")
            let written = try snapshot(after: "echo bbbb > f1; touch -d @7 f1")
            #expect(try difference(first, written) == "~ f1  (size)\n~ f2  (size)\n~ f3  (size)\n")
            let broken = try snapshot(after: "echo ccccc > n; touch -d @7 n; mv n f1")
            #expect(try difference(written, broken) == "~ f1  (size)\n")
            #expect(try difference(written, broken, "--times").contains("~ f2  (links)\n~ f3  (links)\n"))
        }

        @Test(
            "prune works on a full disk, next to a job that is being made", .timeLimit(.minutes(1)),
            .enabled(if: Cloche.isRoot, "mounting needs root"))
        func fullDisk() throws {
            let directory = try TemporaryDirectory()
            let project = try TemporaryDirectory()
            try project.write(String(repeating: "x", count: 3 << 20), to: "big")
            let script = """
                set -e
                mount -t tmpfs -o size=16m disk "$1"
                export CLOCHE_HOME=$1
                cd "$2"
                first=$("$3" snapshot create .)
                echo more > more
                second=$("$3" snapshot create .)
                dd if=/dev/zero of="$1/filling" bs=64k 2>/dev/null || true
                "$3" snapshot ls > "$2/listed"
                grep -q "$first" "$2/listed"
                for command in show verify; do "$3" snapshot $command "$second" > /dev/null; done
                exec 9< "$1/snapshots/$second"; flock --shared 9
                "$3" snapshot prune --yes
                exec 9<&-
                echo --
                "$3" snapshot prune --yes
                df --output=avail "$1" | tail -1
                """
            let result = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "bash", "-c", script, "bash", directory.path, project.path, Cloche.program()]
            ).wait(timeout: 50)
            let parts = result.output.split(separator: "--\n")
            #expect(result.status == 0, "\(result.errors)")
            #expect(parts.count == 2 && parts[0].split(separator: "\n").count == 1, "\(result.output)\(result.errors)")
            let available = parts.last?.split(separator: "\n").last.flatMap { Int($0.filter(\.isNumber)) } ?? 0
            #expect(available > 3000, "\(result.output)\(result.errors)")
        }
    }
}

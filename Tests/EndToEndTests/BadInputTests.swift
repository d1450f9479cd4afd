import Foundation
import Testing

extension EndToEndBeside {
    @Suite("What cannot be done", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct BadInput {
        /// What is asked for, the exit code, and a part of what is said.
        static let requests: [([String], Int32, String)] = [
            (["--cron", "61 * * * *"], 64, "`61` is not 0 to 59"),
            (["--cron", "0 0 31 2 *"], 64, "ever has a day `31`"),
            (["--cron", "@daily", "--time-zone", "Europe/Berln"], 64, "did you mean `Europe/Berlin`?"),
            (["--at", "2020-01-01T00:00:00Z"], 64, "is past"),
            (["--parameters", "empty.json"], 65, "empty.json:1:"),
            (["--parameters", "huge.json"], 65, "there are 1000000000 combinations"),
            (["--parameters", "huge.json", "--only", "0-3"], 65, "by --parameters; at most 1000000 runs"),
            (["--only", "9"], 65, "there is no run 9"),
            (["--name", "a/b"], 64, "invalid job name"),
            (["--max-parallel", "0"], 64, "--max-parallel"),
            (["--policy", "no-such"], 5, "no-such"),
            (["--metrics", "/etc/passwd"], 64, "below the project"),
        ]

        @Test("a job that cannot be made is refused with what to do, and nothing of it remains", arguments: requests)
        func jobs(arguments: [String], status: Int32, text: String) throws {
            let project = try TestProject(
                [.init(file: "a.sh", text: "true\n")], parameters: ["x": 0],
                grid: ["pipeline": ["x": [0, 1]]])
            try project.directory.write("{\"pipeline_parameters\": {\"x\": []}}", to: "empty.json")
            let values = (0..<1000).map(String.init).joined(separator: ",")
            try project.directory.write(
                "{\"pipeline_parameters\": {\"x\": [\(values)], \"y\": [\(values)], \"z\": [\(values)]}}",
                to: "huge.json")
            let home = try Cloche.home.get()
            let before = try FileManager.default.contentsOfDirectory(atPath: home + "/jobs").sorted()
            let name = arguments.contains("--name") ? [] : ["--name", project.name]
            let refused = try Cloche.start(["job", "create", "main.orchest"] + name + arguments, in: project.path)
                .wait(timeout: 60)
            #expect(refused.status == status && refused.errors.contains(text), "\(refused.errors)")
            #expect(try FileManager.default.contentsOfDirectory(atPath: home + "/jobs").sorted() == before)
        }

        /// Commands, and an option of theirs that takes a number.
        static let numbers: [([String], String)] = [
            (["compare", "none"], "--limit"), (["logs", "none"], "--tail"), (["logs", "none"], "--attempt"),
            (["open", "none/0/a"], "--attempt"),
            (["serve"], "--max-parallel"),
            (["serve", "--share"], "--max-parallel-per-user"), (["serve", "--share"], "--max-pending"),
            (["serve", "--share"], "--max-connections"), (["serve", "--share"], "--max-project"),
            (["serve", "--share"], "--max-disk"), (["job", "create", "main.orchest"], "--retries"),
            (["job", "create", "main.orchest"], "--keep"), (["job", "create", "main.orchest"], "--run-timeout"),
            (["job", "create", "main.orchest"], "--max-parallel"), (["retry", "none"], "--max-parallel"),
            (["job", "start", "none"], "--max-parallel"), (["snapshot", "create", "/none"], "--ask-above"),
            (["env", "import", "none", "/none"], "--max-files"), (["env", "import", "none", "/none"], "--max-size"),
            (["policy", "score", "default"], "--threshold"),
        ]

        @Test("a number below 0 is no number that an option takes, however it is written", arguments: numbers)
        func negative(command: [String], option: String) throws {
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            for words in [[option, "-1"], ["\(option)=-1"]] {
                let refused = try Cloche.start(command + words, in: project.path).wait(timeout: 60)
                let isNamed = refused.errors.contains(option) || refused.errors.contains("`-1`")
                #expect(refused.status == 64 && isNamed, "\(words): \(refused)")
                #expect(!refused.errors.lowercased().contains("missing value"), "\(words): \(refused.errors)")
                if words.count == 2 { #expect(refused.errors.contains("`-1`"), "\(refused.errors)") }
            }
        }

        @Test(
            "a store where no directory can be made is refused, whatever the file system says of it",
            arguments: ["/proc/store", "/proc/self/store", "/sys/store", "/dev/null/store"],
            [["ls"], ["exec", "--", "true"], ["run", "main.orchest"], ["env", "build", "python"]])
        func impossibleStore(home: String, words: [String]) throws {
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            let refused = try Cloche.start(words, in: project.path, environment: ["CLOCHE_HOME": home]).wait(
                timeout: 30)
            #expect(refused.status == 78, "\(refused)")
            #expect(refused.errors.contains("error: ") && refused.errors.contains("\nhint: "), "\(refused.errors)")
        }

        @Test("a step's file that is a link out of the project is refused with its place, and nothing runs")
        func linkOut() throws {
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            try FileManager.default.removeItem(atPath: project.path + "/a.sh")
            try FileManager.default.createSymbolicLink(
                atPath: project.path + "/a.sh", withDestinationPath: "/etc/hostname")
            for words in [["pipeline", "validate"], ["run"]] {
                let refused = try Cloche.start(words + ["main.orchest"], in: project.path).wait(timeout: 30)
                #expect(refused.status == 65, "\(refused.errors)")
                #expect(refused.errors.contains("leads out of the project by the link to `/etc/hostname`"))
                #expect(refused.errors.firstMatch(of: /main\.orchest:\d+:\d+:/) != nil, "\(refused.errors)")
            }
        }

        @Test("a draft that is to be retried is to be started first") func draft() throws {
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            #expect(try project.cloche("job", "create", "main.orchest", "--name", project.name, "--draft").status == 0)
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            for (reference, status) in [(project.name, 6), ("\(project.name)/0", 5)] as [(String, Int32)] {
                let refused = try Cloche.run("retry", reference)
                #expect(refused.status == status && refused.errors.contains("draft"), "\(refused)")
                #expect(refused.errors.contains("cloche job start"), "\(refused.errors)")
            }
        }

        @Test("a name that does not exist ends with 5, and the one that was meant is named") func nearestNames() throws
        {
            let project = try TestProject(
                [.init(file: "load.sh", text: "true\n"), .init(file: "train.sh", text: "true\n", after: [0])])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name).status == 0)
            let notifier = "n\(project.name.suffix(20))"
            #expect(try Cloche.run("notify", "add", notifier, "--command", "/usr/bin/true").status == 0)
            let home = try Cloche.home.get()
            try #require(
                try StartedCommand(
                    "/bin/sh", ["-c", "echo value | \(try Cloche.program()) secret set NEAREST_NAME"],
                    environment: ["CLOCHE_HOME": home]
                ).wait(timeout: 30).status == 0)
            defer {
                for words in [
                    ["rm", project.name], ["notify", "rm", notifier], ["secret", "rm", "NEAREST_NAME"],
                ] { _ = try? Cloche.start(words + ["--yes"]).wait(timeout: 30) }
            }
            let requests: [([String], String)] = [
                (["show", "\(project.name)/0/trian"], "`train`"),
                (["logs", "\(project.name)/0", "--step", "lod"], "`load`"),
                (["run", "mian.orchest"], "`main.orchest`"),
                (["pipeline", "validate", "man.orchest"], "`main.orchest`"),
                (["env", "show", "pyton"], "`python`"), (["env", "verify", "pyton"], "`python`"),
                (["env", "shell", "pyton"], "`python`"), (["env", "build", "pyton"], "`python`"),
                (["exec", "--environment", "pyton", "--", "true"], "`python`"),
                (["notify", "test", notifier + "x"], "`\(notifier)`"),
                (["notify", "rm", notifier + "x", "--yes"], "`\(notifier)`"),
                (["notify", "log", notifier + "x"], "`\(notifier)`"),
                (["secret", "rm", "NEAREST_NAM", "--yes"], "`NEAREST_NAME`"),
            ]
            for (words, meant) in requests {
                let refused = try Cloche.start(words, in: project.path).wait(timeout: 30)
                #expect(refused.status == 5, "\(words): \(refused.errors)")
                #expect(refused.errors.contains("did you mean \(meant)?"), "\(words): \(refused.errors)")
            }
            // A directory is no pipeline, however near its name.
            try project.directory.write("{}", to: ".orchest/any.json")
            let refused = try project.cloche("run", "x.orchest")
            #expect(refused.status == 5 && !refused.errors.contains("did you mean"), "\(refused.errors)")
        }

        @Test("what nothing is stored of yet is named with what to do about it") func emptyStore() throws {
            let store = try TemporaryDirectory()
            try store.write("1", to: "file")
            func refused(_ arguments: String...) throws -> CommandResult {
                try StartedCommand(
                    Cloche.program(), arguments, environment: ["CLOCHE_HOME": store.path + "/home"],
                    directory: store.path
                ).wait(timeout: 60)
            }
            for verb in ["show", "verify", "shell", "rm"] {
                let built = try refused("env", verb, "python")
                #expect(built.status == 5 && built.errors.contains("`cloche env build python` builds it"))
                let meant = try refused("env", verb, "pyhton")
                #expect(meant.status == 5 && meant.errors.contains("did you mean `python`?"), "\(meant.errors)")
            }
            #expect(try refused("env", "verify").errors.contains("no environment has been built yet"))
            #expect(try refused("snapshot", "create", "file").errors.contains("`file`: it is no directory"))
            let short = try refused("snapshot", "show", "3e")
            #expect(short.status == 5 && short.errors.contains("at least 4 digits"), "\(short.errors)")
            #expect(try refused("diff").errors.contains("cloche diff <run> "))
            try store.write("1", to: "project/file")
            let closed = try StartedCommand(
                "/bin/sh", ["-c", "exec \"$0\" snapshot create project >&-", try Cloche.program()],
                environment: ["CLOCHE_HOME": store.path + "/home"], directory: store.path
            ).wait(timeout: 60)
            #expect(closed.status == 1 && closed.errors.contains("it is closed"), "\(closed.errors)")
        }

        @Test("a recipe that is wrong is told problem by problem, and leaves the other environments as they are")
        func recipes() throws {
            let place = try TemporaryDirectory()
            let good = "description: It is good\nsuite: bookworm\n"
            try place.write("name: good\n" + good, to: "recipes/good/environment.yaml")
            try place.write("name: bad\n\(good)packages: 3\nx: 1\n", to: "recipes/bad/environment.yaml")
            func cloche(_ arguments: String...) throws -> CommandResult {
                try StartedCommand(
                    Cloche.program(), arguments,
                    environment: [
                        "CLOCHE_HOME": place.path + "/home", "CLOCHE_ENVIRONMENTS": place.path + "/recipes",
                    ], directory: place.path
                ).wait(timeout: 60)
            }
            let list = try cloche("env", "ls")
            #expect(list.status == 0 && list.output.contains("It is good"), "\(list)")
            #expect(list.output.contains("bad") && list.errors.contains("environment.yaml:4:11: "), "\(list)")
            let built = try cloche("env", "build", "--check", "bad")
            #expect(built.status == 78, "\(built)")
            let lines = built.errors.split(separator: "\n").filter { $0.hasPrefix("error: ") }
            #expect(lines.count == 2 && lines.allSatisfy { $0.contains("environment.yaml:") }, "\(built.errors)")
        }

        @Test("the variable that names recipes is named where there are none") func missingRecipes() throws {
            let place = try TemporaryDirectory()
            let list = try Cloche.start(["env", "ls"], environment: ["CLOCHE_ENVIRONMENTS": place.path + "/none"])
                .wait(timeout: 30)
            #expect(list.status == 78 && list.errors.contains("CLOCHE_ENVIRONMENTS names: open "), "\(list.errors)")
        }

        @Test("an environment whose properties are wrong is told with the place, and not as if there were none")
        func properties() throws {
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            let uuid = "e0000000-0000-4000-8000-000000000001"
            try project.bringEnvironment(uuid, "")
            let file = ".orchest/environments/\(uuid)/properties.json"
            try project.directory.write(
                try project.directory.read(file).replacingOccurrences(of: "false", with: "false,"), to: file)
            for words in [["run", "main.orchest"], ["job", "plan", "main.orchest"], ["env", "build", "."]] {
                let refused = try Cloche.start(words, in: project.path).wait(timeout: 60)
                #expect(refused.status == 65 && refused.errors.contains("properties.json:1:"), "\(refused.errors)")
                #expect(!refused.errors.contains("has none"), "\(refused.errors)")
            }
        }

        @Test("a command without the dashes before it is told where they belong") func dashes() throws {
            let refused = try Cloche.run("exec", "ls", "-l")
            #expect(refused.status == 64 && refused.errors.contains("`cloche exec -- ls -l`"), "\(refused.errors)")
            let behind = try Cloche.run("exec", "--policy", "strict", "ls")
            #expect(behind.errors.contains("`cloche exec --policy strict -- ls`"), "\(behind.errors)")
        }

        @Test("a step's file is not read as a pipeline, and a parameter that no step has is told")
        func mistakenFiles() throws {
            let project = try TestProject(
                [.init(file: "load.sh", text: "true\n")], parameters: ["rate": 1], grid: ["load": ["rate": [1, 2]]])
            let step = try project.cloche("run", "load.sh")
            #expect(step.status == 65 && step.errors.contains("such as `main.orchest`"), "\(step.errors)")
            let plan = try project.cloche("job", "plan", "main.orchest")
            #expect(
                plan.status == 0 && plan.errors.contains("the step `load` has no parameter `rate`"), "\(plan.errors)")
            #expect(plan.errors.contains("hint: the pipeline has one"), "\(plan.errors)")
            let typing = try project.cloche(
                "run", "main.orchest", "--name", project.name, "--step-param", "load.rate=1")
            #expect(typing.errors.contains("warning: the step `load` has no parameter `rate`; the pipeline has one"))
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test(
            "a store that is read-only is named as that, by every command", .enabled(if: Cloche.isRoot, "needs root"))
        func readOnly() throws {
            let store = try TemporaryDirectory()
            let project = try TestProject([.init(file: "a.sh", text: "true\n")])
            let commands = [
                "ls", "show job", "logs job/0", "cancel job", "job create \(project.path)/main.orchest", "exec -- true",
                "snapshot create \(project.path)", "secret ls", "system reindex",
            ]
            let program = try Cloche.program()
            let script = """
                mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" || exit 99
                for command in \(commands.map { "'\($0)'" }.joined(separator: " ")); do
                    \(program) $command < /dev/null 2>&1 | tr '\\n' ' '
                    echo
                done
                """
            for name in ["jobs", "runs", "environments", "snapshots", "policies"] {
                try FileManager.default.createDirectory(
                    atPath: "\(store.path)/\(name)", withIntermediateDirectories: true)
            }
            try FileManager.default.copyItem(
                atPath: try Cloche.home.get() + "/identity.json", toPath: store.path + "/identity.json")
            let result = try StartedCommand(
                "/usr/bin/unshare",
                ["-m", "--propagation", "private", "--", "sh", "-c", script, "sh", store.path],
                environment: ["CLOCHE_HOME": store.path]
            ).wait(timeout: 60)
            let lines = result.output.split(separator: "\n")
            #expect(result.status == 0 && lines.count == commands.count, "\(result.output)")
            for line in lines {
                #expect(line.contains("Read-only file system") && line.contains("CLOCHE_HOME"), "\(line)")
            }
        }
    }
}

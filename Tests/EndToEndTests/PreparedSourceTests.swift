import Foundation
import Testing

extension EndToEnd {
    /// Everything that a kept command was worked out from, changed one after the other.
    @Suite("What prepared commands come from", .enabled(if: Cloche.isBuilt, "the programs are not built"))
    struct PreparedSources {
        @Test(
            "a ceiling, and a document of the administrator's in the place of one of the store, count as soon as they are there",
            .enabled(if: Cloche.isRoot, "showing another /etc needs root"))
        func administrator() throws {
            let policy = try PolicyFile("extends: default\nlimits: {open_files: 77}\n")
            let script = """
                mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work || exit
                mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc || exit
                mkdir -p /etc/cloche/policies && chmod 755 /etc/cloche /etc/cloche/policies || exit
                umask 022
                run() { "$1" exec --policy "$2" -- sh -c 'ulimit -n; flock /tmp true && echo may' 2>&1 | grep -v ^hint; }
                "$1" exec --env-var A=1 -- true; sleep 0.3
                run "$1" "$2"; run "$1" "$2"
                echo 'limits: {open_files: 66}' > /etc/cloche/policies/ceiling.yaml
                run "$1" "$2"; sleep 0.3; run "$1" "$2"; run "$1" "$2"
                rm /etc/cloche/policies/ceiling.yaml
                run "$1" "$2"; sleep 0.3; run "$1" "$2"
                printf 'extends: default\\nlimits: {open_files: 55}\\n' > "/etc/cloche/policies/$2.yaml"
                run "$1" "$2"
                """
            let result = try StartedCommand(
                "/usr/bin/unshare", ["-m", "sh", "-c", script, "sh", try Cloche.program(), policy.name],
                environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 60)
            let lines = result.output.split(separator: "\n")
            #expect(
                lines.filter { !$0.contains(":") } == [77, 77, 66, 66, 66, 77, 77].flatMap { ["\($0)", "may"] })
            let told = lines.filter { $0.contains(":") }
            #expect(told.count == 4, "\(result.output)")
            for line in told.dropLast() {
                #expect(line.contains("is clipped: limits.open_files 77 to 66"), "\(result.output)")
            }
            #expect(told.last?.contains("has this name already") == true, "\(result.output)")
        }

        @Test("an environment that is made anew, damaged or removed counts at once")
        func environment() throws {
            let system = try SmallSystem()
            let name = "prepared-" + UUID().uuidString.prefix(8).lowercased()
            func make() throws { #expect(try Cloche.run("env", "import", name, system.path, "--refresh").status == 0) }
            func mark() throws -> CommandResult {
                try Cloche.run("exec", "--environment", name, "--", "cat", "/etc/mark")
            }
            try make()
            let place = try KeptCommands.prepare(mark)
            #expect(try mark().output == "made\n")
            try system.run("echo anew > root/etc/mark")
            try make()
            #expect(try mark().output == "anew\n")
            Thread.sleep(forTimeInterval: 0.3)
            #expect(try mark().output == "anew\n")
            #expect(FileManager.default.fileExists(atPath: place))

            let build = try #require(
                try Cloche.run("env", "show", name, "--json").value("environment", "id") as? String)
            let tree = "\(try Cloche.home.get())/environments/builds/\(build)/tree"
            try system.run("printf mEan > '\(tree)/etc/mark'")
            #expect(try Cloche.run("env", "verify", name).status != 0)
            let damaged = try mark()
            #expect(damaged.status != 0 && damaged.errors.contains("damaged"), "\(damaged.errors)")
            let removed = try Cloche.run("env", "rm", name, "--yes")
            #expect(removed.status == 0, "\(removed.errors)")
            let missing = try mark()
            #expect(missing.status == 5, "\(missing.errors)")
        }

        @Test("the environment of a command can lead it to a service or to another user's store")
        func elsewhere() throws {
            let policy = try PolicyFile("extends: default\n")
            _ = try KeptCommands.prepare { try policy.exec("--", "true") }
            for variables in [["CLOCHE_SERVICE": "/nowhere/cloche.sock"], ["CLOCHE_OWNER": "nobody-of-that-name"]] {
                let led = try Cloche.start(["exec", "--policy", policy.name, "--", "true"], environment: variables)
                    .wait()
                #expect(led.status != 0 && !led.errors.isEmpty, "\(variables)")
            }
            #expect(try policy.exec("--", "true").status == 0)
        }

        @Test("the data of a project is that of the directory where the command is")
        func projectData() throws {
            let policy = try PolicyFile("extends: default\ndata: {access: rw, scope: project}\n")
            let directory = try TemporaryDirectory()
            for name in ["one", "two"] {
                try directory.write("", to: "\(name)/file")
                func exec(_ command: String) throws -> CommandResult {
                    try Cloche.start(
                        ["exec", "--policy", policy.name, "--project", ".", "--", "sh", "-c", command],
                        in: "\(directory.path)/\(name)"
                    ).wait()
                }
                for _ in 0..<2 {
                    Thread.sleep(forTimeInterval: 0.3)
                    let result = try exec("cat /data/* 2>&- ; echo -n \(name) > /data/mark")
                    #expect(result.status == 0 && !result.output.contains(name == "one" ? "two" : "one"))
                }
            }
        }

        @Test("ids that are written anew, and an owner that the store is given, count at once")
        func identity() throws {
            let policy = try PolicyFile("extends: default\n")
            _ = try KeptCommands.prepare { try policy.exec("--", "true") }
            let home = try Cloche.home.get()
            let identity = URL(filePath: home + "/identity.json")
            let content = try Data(contentsOf: identity)
            try Data("{}".utf8).write(to: identity, options: .atomic)
            let unknown = try policy.exec("--", "true")
            try content.write(to: identity, options: .atomic)
            chmod(identity.path, 0o600)
            #expect(unknown.status != 0 && unknown.errors.contains("identity.json"), "\(unknown.errors)")
            try Data("{}".utf8).write(to: URL(filePath: home + "/owner.json"))
            let owned = try policy.exec("--", "true")
            try FileManager.default.removeItem(atPath: home + "/owner.json")
            #expect(owned.status != 0 && owned.errors.contains("owner.json"), "\(owned.errors)")
        }

        @Test("what a killed command has left on the disk is looked after first")
        func leftovers() throws {
            let policy = try PolicyFile("extends: default\n")
            _ = try KeptCommands.prepare { try policy.exec("--", "true") }
            let left = try Cloche.home.get() + "/scratch/" + UUID().uuidString.lowercased()
            try FileManager.default.createDirectory(atPath: left + "/upper", withIntermediateDirectories: true)
            #expect(try policy.exec("--", "true").status == 0)
            #expect(!FileManager.default.fileExists(atPath: left))
        }

        @Test("the beginning of an environment's name stands for another one as soon as there is one of that name")
        func beginningOfName() throws {
            let tree = try EndToEnd.HostileEnvironments.Environment.pythonTree()
            let short = "kept-\(UUID().uuidString.prefix(6).lowercased())"
            let names = [short + "-longer", short]
            defer { for name in names { _ = try? Cloche.run("env", "rm", name, "--yes") } }
            func add(_ name: String) throws {
                let directory = try TemporaryDirectory()
                let script = """
                    cd "$1" && mkdir -p bin lib64 lib/x86_64-linux-gnu && touch "is-$2" && cp "$0/usr/bin/dash" bin/sh &&
                    cp -L "$0/lib64/ld-linux-x86-64.so.2" lib64 && cp -L "$0/usr/lib/x86_64-linux-gnu/libc.so.6" lib/*/
                    """
                let made = try StartedCommand("/bin/sh", ["-c", script, tree, directory.path, name]).wait()
                #expect(made.status == 0, "\(made.errors)")
                let imported = try Cloche.run("env", "import", name, directory.path)
                #expect(imported.status == 0, "\(imported.errors)")
            }
            func shown() throws -> String {
                try Cloche.run("exec", "--environment", short, "--", "/bin/sh", "-c", "echo /is-*").output
            }
            try add(names[0])
            _ = try shown()
            Thread.sleep(forTimeInterval: 0.3)
            for _ in 0..<2 { #expect(try shown() == "/is-\(names[0])\n") }
            try add(names[1])
            #expect(try shown() == "/is-\(names[1])\n")
        }

        @Test("names of projects and of what is shown beside are looked up anew, from where one stands")
        func places() throws {
            let directory = try TemporaryDirectory()
            for name in ["one", "two"] { try directory.write(name + "\n", to: name + "/file") }
            let link = directory.path + "/link"
            func lead(to name: String) throws {
                try? FileManager.default.removeItem(atPath: link)
                try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: name)
            }
            Thread.sleep(forTimeInterval: 0.3)
            for options in [
                ["--project", ".", "--", "cat", "file"], ["--bind-ro", "file:/mnt/it", "--", "cat", "/mnt/it"],
            ] {
                for name in ["one", "one", "two"] {
                    let place = directory.path + "/" + name
                    #expect(try Cloche.start(["exec"] + options, in: place).wait().output == name + "\n", "\(options)")
                }
            }
            for options in [
                ["--project", link, "--", "cat", "file"],
                ["--bind-ro", link + ":/mnt/it", "--", "cat", "/mnt/it/file"],
            ] {
                for name in ["one", "one", "two"] {
                    try lead(to: name)
                    #expect(try Cloche.start(["exec"] + options).wait().output == name + "\n", "\(options)")
                }
            }
        }
    }
}

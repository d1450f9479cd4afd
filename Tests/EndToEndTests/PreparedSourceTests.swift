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
                run "$1" "$2"
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
                lines.filter { !$0.contains(":") } == ["77", "may", "77", "may", "66", "may", "77", "may", "77", "may"])
            let told = lines.filter { $0.contains(":") }
            #expect(told.count == 2 && told[0].contains("is clipped: limits.open_files 77 to 66"), "\(result.output)")
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
    }
}

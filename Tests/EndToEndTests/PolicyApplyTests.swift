import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Policies put into force", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct PolicyApply {
        /// A name that no other test has, and its removal at the end.
        private final class Name {
            let text = "applied-" + UUID().uuidString.prefix(8).lowercased()

            deinit {
                guard let home = try? Cloche.home.get() else { return }
                for path in ["\(text).yaml", ".history/\(text)"] {
                    try? FileManager.default.removeItem(atPath: "\(home)/policies/\(path)")
                }
            }
        }

        @Test("apply tells what changes and for whom, keeps the history, and rollback brings it back")
        func changes() throws {
            let name = Name()
            let directory = try TemporaryDirectory()
            let file = directory.path + "/draft.yaml"
            func write(_ text: String) throws { try directory.write(text, to: "draft.yaml") }
            func apply(_ options: String...) throws -> CommandResult {
                try Cloche.start(["policy", "apply", file, "--name", name.text] + options).wait()
            }
            try write("extends: default\nlimits: {pids: 77}\n")
            #expect(try apply("--dry-run").output.contains("limits.pids: 1024 -> 77"))
            #expect(try Cloche.run("policy", "show", name.text).status == 5)
            #expect(try apply().status == 0)
            #expect(try Cloche.run("policy", "show", name.text).output.contains("pids: 77"))
            #expect(try apply().errors.contains("in force already"))

            let project = try TestProject([.init(file: "one.py", text: "print(1)\n")])
            #expect(
                try project.cloche("run", "main.orchest", "--name", project.name, "--policy", name.text).status == 0)
            try write("extends: default\nlimits: {pids: 99}\nseccomp: {allow: [debug]}\n")
            let second = try apply()
            for part in [
                "allows more", "limits.pids: 77 -> 99", "ptrace", "job \(project.name) (succeeded)",
                "keeps what it pinned",
            ] {
                #expect(second.output.contains(part), "\(part): \(second.output) \(second.errors)")
            }
            #expect(try Cloche.run("show", project.name).output.contains("has moved on since"))
            let since = try Cloche.run("policy", "diff", "--live", project.name)
            #expect(
                since.status == 1 && since.output.contains("limits.pids: 77 -> 99"), "\(since.output) \(since.errors)")
            let drafts = try TemporaryDirectory()
            try drafts.write("extends: default\nlimits: {pids: 55}\n", to: "\(name.text).yaml")
            let draft = try Cloche.run("policy", "diff", "--live", "\(drafts.path)/\(name.text).yaml")
            #expect(
                draft.status == 1 && draft.output.contains("limits.pids: 99 -> 55"), "\(draft.output) \(draft.errors)")
            try drafts.write("extends: default\n", to: "unheard-of.yaml")
            #expect(try Cloche.run("policy", "diff", "--live", "\(drafts.path)/unheard-of.yaml").status == 5)
            #expect(try Cloche.run("policy", "diff", "--live", "default", "strict").status == 64)
            #expect(try Cloche.run("policy", "diff", "default").status == 64)

            try write("extends: default\nlimits: {pid: 99, memory: 5}\n")
            let wrong = try apply()
            #expect(wrong.status == 78 && wrong.errors.contains("draft.yaml:2:"), "\(wrong.errors)")
            #expect(try Cloche.run("policy", "show", name.text).output.contains("pids: 99"))

            #expect(try Cloche.run("policy", "rollback", name.text).status == 0)
            #expect(try Cloche.run("policy", "show", name.text).output.contains("pids: 77"))
            #expect(!(try Cloche.run("show", project.name).output.contains("has moved on since")))
            #expect(try Cloche.run("policy", "diff", "--live", project.name).status == 0)
            let log = try Cloche.run("policy", "log", name.text, "--json")
            let entries = try log.value("entries") as? [[String: Any]] ?? []
            #expect(entries.compactMap { $0["action"] as? String } == ["apply", "apply", "rollback"])
            #expect(entries.last?["digest"] as? String == entries.first?["digest"] as? String)
            #expect(entries.allSatisfy { $0["user"] as? UInt32 == getuid() && $0["time"] != nil })
            let newest = try #require(entries[1]["digest"] as? String)
            #expect(try Cloche.run("policy", "rollback", name.text, "--to", String(newest.prefix(8))).status == 0)
            #expect(try Cloche.run("policy", "show", name.text).output.contains("pids: 99"))
            #expect(try Cloche.run("policy", "rollback", name.text, "--to", "0000000000").status == 5)
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("what others extend is not broken, and not removed; what is removed comes back")
        func dependents() throws {
            let (base, above) = (Name(), Name())
            let directory = try TemporaryDirectory()
            func apply(_ name: Name, _ text: String) throws -> CommandResult {
                try directory.write(text, to: "\(name.text).yaml")
                return try Cloche.run("policy", "apply", "\(directory.path)/\(name.text).yaml")
            }
            #expect(try apply(base, "extends: default\nlimits: {memory: 1GiB}\n").status == 0)
            #expect(try apply(above, "extends: \(base.text)\nseccomp: {allow: [ptrace]}\n").status == 0)
            // The base would deny what the one above it allows.
            let broken = try apply(base, "extends: default\nseccomp: {deny: [ptrace]}\n")
            #expect(broken.status == 78 && broken.errors.contains("\(above.text).yaml:2:"), "\(broken.errors)")
            #expect(try Cloche.run("policy", "show", base.text).output.contains("memory: 1GiB"))
            let changed = try apply(base, "extends: default\nlimits: {memory: 2GiB}\n")
            #expect(changed.output.contains("policies that extend it: \(above.text)"), "\(changed.output)")

            let refused = try Cloche.run("policy", "rm", base.text, "--yes")
            #expect(refused.status == 6 && refused.errors.contains(above.text), "\(refused.errors)")
            #expect(try Cloche.run("policy", "rm", above.text).status == 6)
            #expect(try Cloche.run("policy", "rm", above.text, "--yes").status == 0)
            #expect(try Cloche.run("exec", "--policy", above.text, "--", "true").status == 5)
            #expect(try Cloche.run("policy", "rollback", above.text).status == 0)
            #expect(try Cloche.run("exec", "--policy", above.text, "--", "true").status == 0)
            #expect(try Cloche.run("policy", "rm", "default", "--yes").status == 6)
            #expect(try Cloche.run("policy", "rm", "nothing", "--yes").status == 5)
            try directory.write("network: none\n", to: "default.yaml")
            #expect(try Cloche.run("policy", "apply", directory.path + "/default.yaml").status == 78)
            try directory.write("network: none\n", to: "ceiling.yaml")
            #expect(try Cloche.run("policy", "apply", directory.path + "/ceiling.yaml").status == 64)
        }

        @Test("a line that is changed or taken out of the log shows")
        func tampering() throws {
            let home = try TemporaryDirectory()
            try home.write("extends: default\n", to: "one.yaml")
            func cloche(_ arguments: String...) throws -> CommandResult {
                try Cloche.start(arguments, environment: ["CLOCHE_HOME": home.path + "/store"]).wait()
            }
            for pids in [10, 20, 30] {
                try home.write("limits: {pids: \(pids)}\n", to: "one.yaml")
                #expect(try cloche("policy", "apply", home.path + "/one.yaml").status == 0)
            }
            #expect(try cloche("policy", "log").status == 0)
            let whole = try home.read("store/policies/.log.jsonl")
            try home.write(whole.replacingOccurrences(of: "apply", with: "rollback"), to: "store/policies/.log.jsonl")
            #expect(try cloche("policy", "log").status == 1)
            let lines = whole.split(separator: "\n")
            try home.write("\(lines[0])\n\(lines[2])\n", to: "store/policies/.log.jsonl")
            let told = try cloche("policy", "log")
            #expect(told.status == 1 && told.errors.contains("before line 2"), "\(told.errors)")
        }

        @Test("--system writes to /etc/cloche/policies", .enabled(if: Cloche.isRoot, "it needs root"))
        func system() throws {
            let directory = try TemporaryDirectory()
            try directory.write("extends: online\nlimits: {pids: 88}\n", to: "site.yaml")
            let script = """
                mount -t tmpfs none /mnt && mkdir /mnt/upper /mnt/work && mount -t overlay overlay \
                -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work /etc || exit 99
                "$1" policy apply --system "$2/site.yaml" && stat -c %a /etc/cloche/policies/site.yaml \
                && "$1" policy show site --origin && "$1" policy log --system && "$1" policy rm --system site --yes
                """
            let result = try StartedCommand(
                "/usr/bin/unshare", ["-m", "sh", "-c", script, "sh", try Cloche.program(), directory.path],
                environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait()
            #expect(result.status == 0, "\(result.errors)")
            for part in ["644\n", "limits.pids\t88\tsystem\t/etc/cloche/policies/site.yaml:2:16", "root\tapply\tsite"] {
                #expect(result.output.contains(part), "\(part): \(result.output)")
            }
        }

        @Test("validate tells all at once, and rules without effect as warnings; keys and schema are printed")
        func reference() throws {
            let directory = try TemporaryDirectory()
            try directory.write(
                "extends: default\nnetwrk: none\nlimits: {memory: 5, pids: many}\nseccomp: {allow: [mounts], deny: [flok]}\n",
                to: "wrong.yaml")
            try directory.write("extends: default\nseccomp: {allow: [read]}\n", to: "right.yaml")
            let result = try Cloche.run(
                "policy", "validate", directory.path + "/wrong.yaml", directory.path + "/right.yaml")
            #expect(result.status == 78)
            for part in [
                "wrong.yaml:2:1", "wrong.yaml:3:18", "needs a unit", "wrong.yaml:3:27", "wrong.yaml:4:", "warning: ",
                "`read` has no effect",
            ] {
                #expect(result.errors.contains(part), "\(part): \(result.errors)")
            }
            #expect(!result.errors.contains("\n\n"), "\(result.errors)")
            let folder = try Cloche.run("policy", "validate", directory.path)
            #expect(folder.status == 65 && folder.errors.contains("it is a directory\nhint: "), "\(folder.errors)")
            let json = try Cloche.run("policy", "validate", "--json", directory.path + "/wrong.yaml")
            #expect((try json.value("files", 0, "problems") as? [Any])?.count == 4, "\(json.output)")
            #expect(
                try Cloche.run("policy", "keys", "limits.memory").output.contains("a control group, else a watchdog"))
            #expect(try Cloche.run("policy", "keys", "nothing").status == 5)
            #expect(try Cloche.run("policy", "schema").value("properties", "limits", "properties", "pids") != nil)
        }
    }
}

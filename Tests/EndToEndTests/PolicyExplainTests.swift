import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Policies explained", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct PolicyExplained {
        @Test("policy explain tells each refusal of a run, its rule and place, and a document that allows it")
        func run() throws {
            var policy: PolicyFile? = try PolicyFile("extends: default\nlimits: {pids: 40}\nseccomp: {deny: [flock]}\n")
            let name = try #require(policy).name
            let project = try TestProject([
                .init(
                    file: "calls.py",
                    text: """
                        import ctypes, fcntl, os
                        libc = ctypes.CDLL(None, use_errno=True)
                        libc.ptrace(0, 0, 0, 0); libc.ptrace(0, 0, 0, 0)
                        try: fcntl.flock(os.open("/tmp", 0), fcntl.LOCK_EX)
                        except OSError: pass
                        os.system("true")
                        raise SystemExit(3)
                        """)
            ])
            #expect(try project.cloche("run", "main.orchest", "--name", project.name, "--policy", name).status == 1)
            let explained = try Cloche.run("policy", "explain", "\(project.name)/0")
            #expect(explained.status == 0, "\(explained.errors)")
            for part in [
                "rule `debug`", "2 times", "rule `policy`, at ", "\(name).yaml:3:18", "take `flock` out",
                "extends: \(name)", "seccomp: {allow: [debug]}",
            ] {
                #expect(explained.output.contains(part), "\(part): \(explained.output)")
            }
            let step = try Cloche.run("policy", "explain", "\(project.name)/0/calls", "--json")
            let refusals = try step.value("refusals") as? [[String: Any]] ?? []
            #expect(refusals.compactMap { $0["rule"] as? String } == ["debug", "policy"], "\(step.output)")
            #expect(try step.value("policy", "state") as? String == "current")

            // The document that it proposes does what it says.
            let edit = try #require(try step.value("edit") as? String)
            let opened = try PolicyFile(edit)
            let program = "import ctypes; print(ctypes.CDLL(None).ptrace(0, 0, 0, 0))"
            #expect(try opened.exec("--", "python3", "-c", program).output == "0\n")

            #expect(!(try Cloche.run("show", project.name).output.contains("moved on")))
            try Data("extends: default\n".utf8).write(to: URL(filePath: try #require(policy).path))
            #expect(try Cloche.run("show", project.name).output.contains("has moved on since"))
            #expect(
                try Cloche.run("show", project.name, "--json").value("pinned_policy", "state") as? String == "moved_on")
            let later = try Cloche.run("policy", "explain", "\(project.name)/0").output
            #expect(later.contains("pids 40") && later.contains("take `flock` out of `seccomp.deny` of policy"))
            policy = nil
            #expect(try Cloche.run("show", project.name).output.contains("has been removed since"))
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test(
            "attempts to reach a network are explained with a policy that has one",
            arguments: [
                "import socket; s = socket.socket(); s.connect(('93.184.215.14', 80))\n",
                "import urllib.request as r; r.urlopen('http://data.example.org')\n",
            ])
        func network(_ text: String) throws {
            let project = try TestProject([.init(file: "network.py", text: text)])
            _ = try project.cloche("run", "main.orchest", "--name", project.name)
            let explained = try Cloche.run("policy", "explain", "\(project.name)/0").output
            #expect(explained.contains("rule `network`: the policy gives no network"), "\(explained)")
            #expect(explained.contains("extends: default\nnetwork: outbound"), "\(explained)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a limit that a step ended at is explained with a larger one; a run without refusals says so")
        func limits() throws {
            let policy = try PolicyFile("extends: default\nlimits: {output: 64KiB}\n")
            let project = try TestProject([.init(file: "one.py", text: "print('x' * 1000000)\n")])
            _ = try project.cloche("run", "main.orchest", "--name", project.name, "--policy", policy.name)
            let explained = try Cloche.run("policy", "explain", "\(project.name)/0").output
            #expect(explained.contains("rule `limits.output`, at "), "\(explained)")
            #expect(explained.contains("limits: {output: 128KiB}"), "\(explained)")
            _ = try Cloche.run("rm", project.name, "--yes")
            let quiet = try TestProject([.init(file: "one.py", text: "print(1)\n")])
            _ = try quiet.cloche("run", "main.orchest", "--name", quiet.name)
            let nothing = try Cloche.run("policy", "explain", "\(quiet.name)/0").output
            #expect(nothing.contains("nothing that is known was refused"), "\(nothing)")
            _ = try Cloche.run("rm", quiet.name, "--yes")
        }

        @Test("policy show prints the document; with --origin where each value comes from")
        func show() throws {
            let text = "# of the laboratory\nextends: online\nlimits: {pids: 77}\n"
            let policy = try PolicyFile(text)
            #expect(try Cloche.run("policy", "show", policy.name).output == text + "\n")
            let origin = try Cloche.run("policy", "show", policy.name, "--origin").output
            let lines = origin.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
            #expect(
                lines.contains {
                    $0.starts(with: ["limits.pids", "77", "store"]) && $0.last?.hasSuffix(".yaml:3:16") == true
                }, "\(origin)")
            #expect(lines.contains { $0.starts(with: ["network", "outbound", "built-in"]) }, "\(origin)")
            let json = try Cloche.run("policy", "show", policy.name, "--json")
            #expect(try json.value("document", "text") as? String == text)
            #expect(try json.value("lineage") as? [String] == [policy.name, "online"])
            #expect(try Cloche.run("policy", "show", "nothing").status == 5)
        }
    }
}

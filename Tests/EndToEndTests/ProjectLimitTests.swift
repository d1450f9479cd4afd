import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Room of a project", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct ProjectRoom {
        private static let policy = "extends: default\nlimits: {project: 24MiB, scratch: 24MiB}\n"

        /// What a step does to the disk: what takes too much of it then waits, and is ended.
        private struct Case: Sendable, CustomTestStringConvertible {
            var name: String
            var program: String
            /// What the verdict says; nil for a step that succeeds.
            var said: [String]?
            var testDescription: String { name }
        }

        private static let block = "block = b'1' * (1 << 20)\n"
        private static let cases = [
            Case(
                name: "a large file", program: block + "open('big\\n.bin', 'wb').write(block * 60)",
                said: ["`/project-dir/big\\x0a.bin`", "24MiB"]),
            Case(
                name: "a directory that the step itself may not read",
                program: block
                    + "os.mkdir('d'); open('d/x', 'wb').write(block * 60); os.chmod('d/x', 0); os.chmod('d', 0)",
                said: ["`/project-dir/d`"]),
            Case(
                name: "a file that is open and has no name",
                program: block
                    + "f = open('gone', 'wb'); os.unlink('gone')\nfor _ in range(60): f.write(block)\nf.flush()",
                said: ["/project-dir/gone (removed, and open)"]),
            Case(
                name: "a file that never had a name",
                program: block
                    + """
                    f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o600)
                    for _ in range(60): os.write(f, block)
                    """, said: ["(removed, and open)"]),
            Case(
                name: "empty files", program: "os.mkdir('m')\nfor n in range(9000): open(f'm/{n}', 'w').close()",
                said: ["`/project-dir/m`", "4096 files"]),
            Case(
                name: "directories in each other",
                program: "for n in range(1500): os.mkdir('d'); os.chdir('d')", said: ["too deep"]),
            Case(
                name: "what the step writes beside the project",
                program: block + "open('/run/cloche/x', 'wb').write(block * 60)", said: ["`/run/cloche/x`"]),
            Case(
                name: "a sparse file, and many names of one file",
                program: block
                    + """
                    open('one', 'wb').write(block * 8)
                    for n in range(20): os.link('one', f'name{n}')
                    with open('sparse', 'wb') as f: f.truncate(1 << 40)
                    time.sleep(1.5); sys.exit(0)
                    """, said: nil),
            Case(
                name: "what lies elsewhere",
                program: block
                    + """
                    f = open('/tmp/gone', 'wb'); os.unlink('/tmp/gone'); f.write(block * 12); f.flush()
                    g = open('/data/room-test', 'wb'); os.unlink('/data/room-test'); g.write(block * 40); g.flush()
                    open('small', 'w').write('x')
                    time.sleep(1.5); sys.exit(0)
                    """, said: nil),
        ]

        @Test("what is written to a project is limited, whatever it looks like", arguments: cases)
        private func written(_ one: Case) throws {
            let policy = try PolicyFile(Self.policy)
            let text = "import os, sys, time\n\(one.program)\ntime.sleep(40)\n"
            let project = try TestProject([.init(file: "one.py", text: text)])
            let result = try project.cloche(
                "run", "main.orchest", "--policy", policy.name, "--name", project.name, timeout: 60)
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            let verdict = try shown.value("run", "verdict") as? [String: Any] ?? [:]
            #expect(result.status == (one.said == nil ? 0 : 1), "\(result.errors)")
            #expect(verdict["cause"] as? String == (one.said == nil ? "succeeded" : "disk-full"), "\(verdict)")
            for part in one.said ?? [] {
                #expect((verdict["summary"] as? String)?.contains(part) == true, "\(verdict)")
            }
            guard one.said != nil else { return }
            #expect((verdict["remedy"] as? String)?.contains("`limits.project` of policy `\(policy.name)`") == true)
            let explained = try Cloche.run("policy", "explain", "\(project.name)/0")
            #expect(explained.output.contains("project: 48MiB"), "\(explained.output)")
        }

        @Test("what earlier steps have written counts, and how the limit is held is told")
        func layers() throws {
            let policy = try PolicyFile(Self.policy)
            let write = "import sys, time\nopen(__file__ + '.out', 'wb').write(b'1' * (16 << 20))\ntime.sleep(%)\n"
            let project = try TestProject([
                .init(file: "one.py", text: write.replacing("%", with: "0")),
                .init(file: "two.py", text: write.replacing("%", with: "40"), after: [0]),
            ])
            let result = try project.cloche(
                "run", "main.orchest", "--policy", policy.name, "--name", project.name, timeout: 60)
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            #expect(result.status == 1, "\(result.errors)")
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            let verdict = try shown.value("run", "verdict") as? [String: Any] ?? [:]
            #expect(verdict["cause"] as? String == "disk-full", "\(verdict)")
            #expect(
                (verdict["summary"] as? String)?.contains("`/project-dir/one.py.out` (16MiB)") == true, "\(verdict)")
            let text = try Cloche.run("show", "\(project.name)/0").output
            #expect(
                text.contains("project 24MiB: watchdog, measured now and then")
                    || text.contains("project 24MiB: quota"),
                "\(text)")
        }

        @Test("a policy can refuse a limit that only a watchdog holds")
        func hard() throws {
            let policy = try PolicyFile("extends: default\nlimits: {project: {value: 24MiB, enforce: hard}}\n")
            let project = try TestProject([.init(file: "one.py", text: "open('ran', 'w')")])
            let result = try project.cloche("run", "main.orchest", "--policy", policy.name, "--name", project.name)
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            if try Cloche.run("show", "\(project.name)/0").output.contains("project 24MiB: quota") { return }
            #expect(result.status != 0)
            let summary = try shown.value("run", "verdict", "summary") as? String ?? ""
            #expect(summary.contains("hold the limit `project`") && summary.contains("now and then"), "\(summary)")
            // A command writes nothing that stays.
            let command = try policy.exec("--project", project.path, "--", "true")
            #expect(command.status == 125 && command.errors.contains("hold the limit `project`"), "\(command.errors)")
        }

        @Test("changes that are thrown away are limited on a disk as well")
        func scratch() throws {
            let policy = try PolicyFile(Self.policy)
            let program = "import time; open('/var/tmp/x', 'wb').write(b'1' * (60 << 20)); time.sleep(40)"
            let result = try Cloche.start(
                ["exec", "--policy", policy.name, "--", "python3", "-c", program],
                environment: ["CLOCHE_SCRATCH": "disk"]
            ).wait(timeout: 60)
            #expect(result.status == 137, "\(result.errors)")
            #expect(result.errors.contains("24MiB or 4096 files for changes that are thrown away"), "\(result.errors)")
            #expect(result.errors.contains("`/var/tmp"), "\(result.errors)")
            #expect(result.errors.contains("limits.scratch"), "\(result.errors)")
        }
    }
}

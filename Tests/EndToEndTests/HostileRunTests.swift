import Foundation
import Testing

extension EndToEnd {
    /// What a step leaves in the places that it may write to is read by commands of the author's, or of root's.
    @Suite("Hostile runs", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct HostileRuns {
        private static let mark = "canary-\(UUID().uuidString)"

        @Test(
            "what stands in place of the metrics is not followed, waited for or read to its end",
            arguments: [
                "os.symlink(outside, path)", "os.mkfifo(path)", "os.mkdir(path)", "open(path, 'w').truncate(1 << 40)",
                "open(path, 'wb').write(b'\\x1b[2J\\xff' * 4096)",
                "open(path, 'w').write('{\"name\": \"\\\\u001b[2Jx\", \"value\": 1}\\n')",
            ])
        func metrics(_ act: String) throws {
            let outside = try TemporaryDirectory()
            chmod(outside.path, 0o755)
            try outside.write("{\"name\": \"\(Self.mark)\", \"value\": 7}\n", to: "file")
            let text = """
                import os
                path, outside = "/run/cloche/metrics.jsonl", "\(outside.path)/file"
                if os.path.lexists(path): os.unlink(path)
                \(act)
                """
            try expectHarmless(text, outside)
        }

        @Test(
            "what stands in the project is not followed either, and its names are shown as text",
            arguments: [
                "os.symlink(outside, 'link'); os.symlink('/', 'root'); os.symlink('link', 'loop')",
                "os.unlink('one.py'); os.mkfifo('one.py'); os.mkfifo('fifo')",
                "os.unlink('one.py'); os.symlink(outside, 'one.py')",
                "open('a\\x1b[2J\\nb', 'w').write('x'); os.mkdir('c\\r'); open(b'\\xff\\xfe', 'w').close()",
                "open('sparse', 'w').truncate(1 << 40)",
                "os.mkdir('closed'); open('closed/x', 'w').close(); os.chmod('closed', 0)",
                // A path of 200 KB, of which the kernel takes 4 at a time.
                "[(os.mkdir('d' * 200), os.chdir('d' * 200)) for _ in range(1000)]; open('x', 'w').close()",
                "[open('n' * 240 + '\\n\\x1b%06d' % number, 'w').close() for number in range(3000)]",
                "os.mkdir('flags'); [tryIt(name) for name in ['user.' + 'x' * 200, 'user.overlay.opaque', 'user.\\x1b[2J']]",
            ])
        func project(_ act: String) throws {
            let outside = try TemporaryDirectory()
            chmod(outside.path, 0o755)
            try outside.write(Self.mark, to: "file")
            let begin = """
                import os
                outside = "\(outside.path)/file"
                def tryIt(name):
                    try: os.setxattr("flags", name, b"y" * 1000)
                    except OSError: pass

                """
            try expectHarmless(begin + act + "\n", outside)
        }

        private func expectHarmless(_ text: String, _ outside: TemporaryDirectory) throws {
            let project = try TestProject([.init(file: "one.py", text: text)])
            let run = try project.cloche("run", "main.orchest", "--name", project.name, timeout: 60)
            #expect(run.status == 0, "\(run.errors)")
            let commands = [
                ["show", "\(project.name)/0"], ["show", "\(project.name)/0", "--json"], ["ls", project.name],
                ["compare", project.name], ["logs", "\(project.name)/0"], ["system", "df"],
            ]
            // Content of that size is not for a comparison.
            let all = commands + (text.contains("1 << 40") ? [] : [["diff", "\(project.name)/0"]])
            for words in all {
                let result = try Cloche.start(words).wait(timeout: 20)
                #expect(result.status < 128, "\(words): \(result.status) \(result.errors)")
                for shown in [result.output, result.errors] {
                    #expect(!shown.contains(Self.mark) && !shown.contains("\u{1B}"), "\(words): \(shown)")
                }
            }
            #expect(try Cloche.run("rm", project.name, "--yes", timeout: 30).status == 0)
            #expect(outside.names == ["file"])
        }

        @Test("steps of a run share no network, neither one after the other nor side by side")
        func networks() throws {
            let send = """
                import os, socket
                one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                one.bind(("127.0.0.1", 0))
                before = [line.split()[2] for line in open("/proc/net/dev") if "lo:" in line]
                for _ in range(50): one.sendto(b"x", one.getsockname())
                after = [line.split()[2] for line in open("/proc/net/dev") if "lo:" in line]
                print(before, after)

                """
            let wait = """
                import time
                name = os.readlink("/proc/self/ns/net")
                open("/data/networks-\(Self.mark)", "a").write(name + "\\n")
                for _ in range(100):
                    names = open("/data/networks-\(Self.mark)").read().split()
                    if len(names) > 1: break
                    time.sleep(0.1)
                print(len(set(names)))
                """
            let project = try TestProject([
                .init(file: "one.py", text: send), .init(file: "two.py", text: send, after: [0]),
                .init(file: "three.py", text: send + wait, after: [1]),
                .init(file: "four.py", text: send + wait, after: [1]),
            ])
            let run = try project.cloche("run", "main.orchest", "--name", project.name, timeout: 60)
            #expect(run.status == 0, "\(run.errors)")
            for (step, rest) in [("one", ""), ("two", ""), ("three", "2\n"), ("four", "2\n")] {
                let log = try Cloche.run("logs", "\(project.name)/0/\(step)", "--raw").output
                #expect(log == "['0'] ['50']\n" + rest, "\(step): \(log)")
            }
            _ = try Cloche.run("exec", "--", "sh", "-c", "rm /data/networks-\(Self.mark)")
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("who made a refused call is told also where it ended at once")
        func hasty() throws {
            let project = try TestProject([
                .init(
                    file: "one.py",
                    text: """
                        import ctypes, os
                        libc = ctypes.CDLL(None)
                        for number in range(60):
                            if os.fork() == 0:
                                libc.prctl(15, b"hasty")
                                libc.socket(16, 3, number)
                                os._exit(0)
                            os.wait()
                        """)
            ])
            let run = try project.cloche("run", "main.orchest", "--name", project.name, timeout: 60)
            #expect(run.status == 0, "\(run.errors)")
            let shown = try Cloche.run("show", "\(project.name)/0").output.split(separator: "\n")
            let directory = try #require(shown.first { $0.hasPrefix("directory ") }?.split(separator: " ").last)
            let denials = try String(contentsOfFile: directory + "/denials.jsonl", encoding: .utf8).split(
                separator: "\n")
            #expect(denials.count > 50)
            for denial in denials { #expect(denial.contains("\"hasty\""), "\(denial)") }
            _ = try Cloche.run("rm", project.name, "--yes")
        }

        @Test("a flood of empty lines ends at its limit, and takes no more of the disk than that")
        func flood() throws {
            let policy = try PolicyFile("extends: default\nlimits: {output: 1MiB}\n")
            let project = try TestProject([
                .init(file: "one.py", text: "import os\nwhile True: os.write(1, b'\\n' * 65536)\n")
            ])
            let run = try project.cloche(
                "run", "main.orchest", "--policy", policy.name, "--name", project.name, timeout: 60)
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            #expect(run.status == 1, "\(run.errors)")
            let shown = try Cloche.run("show", "\(project.name)/0", "--json")
            #expect(try shown.value("run", "verdict", "cause") as? String == "output-limit")
            #expect((try shown.value("run", "verdict", "remedy") as? String)?.contains("`limits.output`") == true)
            let log = try Cloche.run("logs", "\(project.name)/0/one", "--raw").output
            #expect(log.utf8.count == 1 << 20)
            let runs = try Cloche.home.get() + "/runs"
            let files = FileManager.default.enumerator(atPath: runs)?.compactMap { $0 as? String } ?? []
            let index = files.first { $0.hasSuffix("\(TestProject.uuid(0)).idx") && $0.contains("/0/") }
            if let index {
                let size = try FileManager.default.attributesOfItem(atPath: "\(runs)/\(index)")[.size] as? Int ?? 0
                #expect(size < 1 << 18, "\(size)")
            }
        }
    }
}

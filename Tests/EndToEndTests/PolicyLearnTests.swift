import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Policies that are learnt", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct LearntPolicies
    {
        /// A program, what it is given to do, and what of the host has to be there.
        struct Work: Sendable, CustomTestStringConvertible {
            var name: String
            var script: String
            var needs: [String] = []
            var testDescription: String { name }
        }

        /// The host's own programs, in a sandbox that shows its /usr.
        static let works: [Work] = [
            Work(name: "bash", script: "for i in 1 2 3; do echo $((i * i)) | cat; done; (sleep 0 & wait)"),
            Work(name: "sort", script: "seq 20000 | shuf --random-source=/usr/bin/env | sort -n | tail -1"),
            Work(name: "awk", script: "seq 100 | awk '{ s += $1 } END { print s }'", needs: ["mawk"]),
            Work(name: "sed and grep", script: "seq 1000 | sed 's/1/x/g' | grep -c x"),
            Work(
                name: "tar",
                script:
                    "mkdir a && seq 99 > a/b && tar czf c.tar.gz a && rm -r a && tar xzf c.tar.gz && cat a/b | wc -l"),
            Work(
                name: "find", script: "find /usr/share -maxdepth 2 -type d | xargs ls -d | wc -l >/dev/null; echo done"),
            Work(
                name: "cp and rm",
                script: "cp -a /etc/hostname x && chmod 640 x && ln x y && mv y z && stat -c %h z && rm x z"),
            Work(name: "xz", script: "seq 50000 | xz | xz -d | sha256sum", needs: ["xz"]),
            Work(name: "bzip2", script: "seq 50000 | bzip2 | bunzip2 | md5sum", needs: ["bzip2"]),
            Work(
                name: "perl",
                script:
                    "perl -e 'my %h; $h{$_ % 7}++ for 1..1000; print join(\",\", map { $h{$_} } sort keys %h), \"\\n\"; print `echo sub`'",
                needs: ["perl"]),
            Work(
                name: "git",
                script:
                    "export HOME=/tmp; git init -q r && cd r && git config user.email a@example.org && git config user.name a && seq 9 > f && git add f && git commit -qm one && seq 8 > f && git diff --stat && git log --oneline | wc -l",
                needs: ["git"]),
            Work(
                name: "gcc",
                script:
                    "printf '#include <stdio.h>\\nint main(void){puts(\"built\");}' > a.c && gcc -O2 -o a a.c && ./a",
                needs: ["gcc"]),
            Work(
                name: "make",
                script: "printf 'all: b\\nb: a\\n\\tcp a b\\n' > Makefile && touch a && make -s -j2 && ls b",
                needs: ["make"]),
            Work(
                name: "node",
                script:
                    "node -e 'const fs = require(\"fs\"); fs.writeFileSync(\"n\", \"x\".repeat(1e5)); setTimeout(() => console.log(fs.readFileSync(\"n\").length, require(\"crypto\").createHash(\"sha1\").update(\"a\").digest(\"hex\")), 10)'",
                needs: ["node"]),
            Work(
                name: "sqlite3",
                script: "sqlite3 d.db 'create table t(a); insert into t values (1), (2); select sum(a) from t'",
                needs: ["sqlite3"]),
            Work(name: "openssl", script: "echo a | openssl dgst -sha256", needs: ["openssl"]),
            Work(name: "jq", script: "echo '{\"a\": [1, 2]}' | jq -c .a", needs: ["jq"]),
            Work(
                name: "rsync", script: "mkdir a && seq 9 > a/x && rsync -a a/ b/ && cat b/x | wc -l", needs: ["rsync"]),
            Work(
                name: "diff and patch",
                script: "seq 9 > a; seq 8 > b; diff -u a b > p; patch -s a p && cmp a b && echo same", needs: ["patch"]),
            Work(name: "curl", script: "echo hello > f && curl -s file://$PWD/f", needs: ["curl"]),
            Work(name: "bc", script: "echo '2^64' | bc", needs: ["bc"]),
            Work(
                name: "host python3",
                script:
                    "/usr/bin/python3 -c 'import json, threading as t; x = t.Thread(target=print, args=(json.dumps([1]),)); x.start(); x.join()'",
                needs: ["python3"]),
            Work(
                name: "python3 processes",
                script:
                    "/usr/bin/python3 -c 'import subprocess, sqlite3, tempfile; print(subprocess.run([\"ls\", \"/\"], capture_output=True).returncode, sqlite3.connect(\":memory:\").execute(\"select 1\").fetchall())'",
                needs: ["python3"]),
        ]

        private static func until(_ condition: () -> Bool) -> Bool {
            for _ in 0..<600 {
                if condition() { return true }
                usleep(50_000)
            }
            return false
        }

        /// Those whose programs this host has.
        static let present = works.filter { work in
            work.needs.allSatisfy { FileManager.default.fileExists(atPath: "/usr/bin/" + $0) }
        }

        @Test("at least twenty programs are tried", .enabled(if: present.count >= 20, "this host has too few of them"))
        func enough() { #expect(Self.present.count >= 20) }

        private static func calls(of policy: String) throws -> Set<String> {
            let shown = try Cloche.run("policy", "show", policy, "--json")
            let open = ["allow", "conditional"].flatMap { (try? shown.value("calls", $0) as? [String]) ?? [] }
            return Set(open)
        }

        /// Learns what a command does, with the host's /usr or without, and gives the document.
        private static func learn(
            _ arguments: [String], status: Int32 = 0, in directory: String = "/"
        ) throws -> (document: String, result: CommandResult) {
            let result = try Cloche.start(["policy", "learn"] + arguments, in: directory).wait(timeout: 120)
            #expect(result.status == status, "\(result.errors)")
            return (result.output, result)
        }

        @Test(
            "what was learnt of a program allows it, and no more than a third of what `default` allows",
            arguments: present)
        func programs(work: Work) throws {
            let command = ["--bind-ro", "/usr", "--", "sh", "-c", "cd $(mktemp -d) && " + work.script]
            let learnt = try Self.learn(["default"] + command)
            let policy = try PolicyFile(learnt.document)
            let again = try Cloche.start(["exec", "--policy", policy.name] + command).wait()
            #expect(again.status == 0, "\(again.errors)\n\(learnt.document)")
            let plain = try Cloche.start(["exec"] + command).wait()
            #expect(again.output == plain.output, "\(again.errors)")
            let (own, usual) = (try Self.calls(of: policy.name), try Self.calls(of: "default"))
            #expect(own.isSubset(of: usual) && own.count * 3 <= usual.count, "\(own.count) of \(usual.count)")
            let trial = try Cloche.start(["policy", "diff", "default", policy.name]).wait()
            #expect(trial.status == 1 && !trial.output.contains("allows more"), "\(trial.output)")
        }

        @Test("calls beyond what was learnt fail, are named, and can be learnt as well")
        func drift() throws {
            let learnt = try Self.learn(["default", "--", "sh", "-c", "true"])
            let policy = try PolicyFile(learnt.document)
            let lock = "import fcntl; fcntl.flock(open('/tmp/x', 'w'), fcntl.LOCK_EX); print('locked')"
            let base = try Self.learn([
                "default", "--", "python3", "-c", lock.replacingOccurrences(of: "fcntl.flock", with: "(lambda *a: 0)"),
            ])
            let python = try PolicyFile(base.document)
            let refused = try python.exec("--", "python3", "-c", lock)
            #expect(refused.status == 1)
            let tried = try Cloche.run("policy", "test", python.path, "--", "python3", "-c", lock)
            #expect(tried.status == 1 && tried.errors.contains("`unlisted`"), "\(tried.errors)")
            #expect(tried.errors.contains("seccomp: {allow: [flock]}"), "\(tried.errors)")
            // What `default` allows is no danger: it is added without being asked, and told.
            let more = try Self.learn([python.name, "--", "python3", "-c", lock], status: 1)
            #expect(more.result.errors.contains("beyond what `\(python.name)` lists: flock"), "\(more.result.errors)")
            let wider = try PolicyFile(more.document)
            #expect(try wider.exec("--", "python3", "-c", lock).output == "locked\n", "\(more.document)")
            let less = try Self.learn([python.name, "--", "sh", "-c", "true"])
            #expect(less.result.errors.contains("and not used: "), "\(less.result.errors)")
            #expect(try policy.exec("--", "sh", "-c", "true").status == 0)
        }

        @Test("what is dangerous is left out until it is granted by name")
        func dangers() throws {
            let program = """
                import ctypes
                libc = ctypes.CDLL(None)
                libc.ptrace(0, 0, 0, 0); libc.unshare(0x10000000); libc.mount(None, b"/tmp", b"tmpfs", 0, None)
                """
            let command = ["--", "python3", "-c", program]
            let learnt = try Self.learn(["default"] + command, status: 1)
            for name in ["debug", "namespaces", "mounts"] {
                #expect(learnt.result.errors.contains("--allow \(name)"), "\(learnt.result.errors)")
            }
            #expect(!learnt.document.contains("allow:") && !learnt.document.contains("ptrace"), "\(learnt.document)")
            let one = try Self.learn(["default", "--allow", "debug"] + command, status: 1)
            #expect(one.document.contains("allow: [debug]") && one.document.contains("- ptrace"), "\(one.document)")
            #expect(!one.document.contains("unshare") && !one.document.contains("mount"), "\(one.document)")
            let unknown = try Cloche.start(["policy", "learn", "default", "--allow", "all"] + command).wait()
            #expect(unknown.status == 64 && unknown.output == "", "\(unknown.errors)")
            // What the named policy opens is asked for all the same.
            let open = try PolicyFile("extends: default\nseccomp: {allow: [debug, mounts, namespaces]}\n")
            let narrowed = try Self.learn([open.name] + command, status: 1)
            #expect(
                !narrowed.document.contains("ptrace") && !narrowed.document.contains("mount"), "\(narrowed.document)")
        }

        @Test("a network, data and limits that were not used are taken away")
        func rest() throws {
            let learnt = try Self.learn(["online", "--", "sh", "-c", "true"])
            for line in ["network: none", "data: none", "  memory: ", "  pids: 16", "  wall_time: 60s"] {
                #expect(learnt.document.contains(line), "\(learnt.document)")
            }
            let name = "learnt-\(UUID().uuidString.prefix(8))"
            let reading = "ls /data > /dev/null"
            #expect(try Self.learn(["default", "--", "sh", "-c", reading]).document.contains("data: {access: ro"))
            let writing = "mkdir /data/\(name) && echo x > /data/\(name)/x && rm -r /data/\(name)"
            #expect(try !Self.learn(["default", "--", "sh", "-c", writing]).document.contains("data:"))
            let sending = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9))"
            let asked = try Self.learn(
                ["default", "--", "python3", "-c", "try:\n  \(sending)\nexcept OSError: pass"], status: 1)
            #expect(asked.result.errors.contains("--allow network"), "\(asked.result.errors)")
            let granted = try Self.learn(
                ["default", "--allow", "network", "--", "python3", "-c", "try:\n  \(sending)\nexcept OSError: pass"])
            #expect(granted.document.contains("network: outbound"), "\(granted.document)")
        }

        @Test("runs that were recorded are learnt from, and others are not")
        func runs() throws {
            let project = try TestProject([
                .init(
                    file: "one.py",
                    text:
                        "import os; os.getpriority(0, 0); open('/data/learnt-\(getpid())', 'w'); os.remove('/data/learnt-\(getpid())')\n"
                ),
                .init(file: "two.sh", text: "sort one.py > two.txt\n", after: [0]),
            ])
            defer { _ = try? Cloche.run("rm", project.name, "--yes") }
            let made = try project.cloche("run", "main.orchest", "--record", "--name", project.name)
            #expect(made.status == 0, "\(made.errors)")
            let file = project.path + "/learnt.yaml"
            // The name of the job is enough, for it has one run.
            let learnt = try Cloche.run("policy", "learn", "default", "--from", project.name, "--output", file)
            #expect(learnt.status == 0 && learnt.output == "", "\(learnt.errors)")
            let text = try project.directory.read("learnt.yaml")
            #expect(text.contains("- getpriority") && !text.contains("data:"), "\(text)")
            #expect(
                try Cloche.run("policy", "learn", "default", "--from", "\(project.name)/0", "--output", file).status
                    == 6)
            let step = try Cloche.run("policy", "learn", "default", "--from", "\(project.name)/0/two", "--json")
            let calls = try #require(try step.value("document") as? String)
            #expect(!calls.contains("- getpriority") && calls.contains("data: none"), "\(calls)")
            let policy = try PolicyFile(text)
            let other = project.name + "-again"
            defer { _ = try? Cloche.run("rm", other, "--yes") }
            let again = try project.cloche("run", "main.orchest", "--policy", policy.name, "--name", other)
            #expect(again.status == 0, "\(again.errors)\n\(text)")
            // Both tell of themselves which they are.
            let shown = try Cloche.run("show", "\(project.name)/0").output
            #expect(shown.contains("cloche policy learn default --from \(project.name)/0"), "\(shown)")
            #expect(try Cloche.run("show", "\(project.name)/0", "--json").value("recorded") as? Bool == true)
            #expect(try !Cloche.run("show", "\(other)/0").output.contains("policy learn"))
            #expect(try Cloche.run("show", "\(other)/0", "--json").value("recorded") as? Bool == false)
            let plain = try Cloche.run("policy", "learn", policy.name, "--from", "\(other)/0")
            #expect(plain.status == 5 && plain.errors.contains("--record"), "\(plain.errors)")
        }

        @Test("recording allows nothing that the policy refuses, and ends with the one who asked")
        func contained() throws {
            let program =
                "import ctypes, os; l = ctypes.CDLL(None, use_errno=True); print(l.unshare(0x10000000), ctypes.get_errno(), os.getuid())"
            let result = try Self.learn(["default", "--", "python3", "-c", program], status: 1).result
            #expect(result.errors.contains("-1 1 1000"), "\(result.errors)")
            let marker = "42\(getpid())"
            let started = try Cloche.start(["policy", "learn", "default", "--", "sleep", marker])
            defer { kill(started.pid, SIGKILL) }
            // The command line of the one who asks has the marker too.
            #expect(Self.until { ProcessTable.withMarker("sleep \(marker)").count >= 2 })
            kill(started.pid, SIGKILL)
            _ = started.wait()
            #expect(Self.until { ProcessTable.withMarker("sleep \(marker)").isEmpty })
        }
    }
}

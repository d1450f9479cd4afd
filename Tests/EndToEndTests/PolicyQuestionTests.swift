import Foundation
import Testing

extension EndToEndBeside {
    @Suite("Questions to policies", .enabled(if: Cloche.isBuilt, "the programs are not built")) struct PolicyQuestions {
        /// One question, and the two answers to it.
        private struct Answer {
            var question: String, answer: String, proof: String?, outcome: String?
        }

        private func ask(_ policy: String, _ questions: [String], project: String? = nil) throws -> [Answer] {
            let options = ["--prove", "--json"] + (project.map { ["--project", $0] } ?? [])
            let result = try Cloche.start(
                ["policy", "test", policy] + options + questions.flatMap { ["--can", $0] }
            ).wait(timeout: 240)
            let answers = try #require(try? result.value("answers") as? [[String: Any]], "\(result.errors)")
            return answers.map {
                Answer(
                    question: $0["question"] as? String ?? "", answer: $0["answer"] as? String ?? "",
                    proof: $0["proof"] as? String, outcome: $0["outcome"] as? String)
            }
        }

        /// Every system call that a policy has a rule for.
        private func calls(_ policy: String) throws -> [String] {
            let shown = try Cloche.run("policy", "show", policy, "--json")
            let calls = try shown.value("calls") as? [String: Any] ?? [:]
            let refused = (calls["refuse"] as? [[String: Any]] ?? []).flatMap { $0["calls"] as? [String] ?? [] }
            let conditional = calls["conditional"] as? [String] ?? []
            return ((calls["allow"] as? [String] ?? []) + refused + conditional).sorted()
        }

        /// Uses of calls that depend on their arguments.
        private static let uses = [
            "syscall clone 0x10000000", "syscall clone 0x20011", "syscall clone 0x40000000", "syscall clone3 0 0",
            "syscall socket 1 1 0", "syscall socket 1 2 0", "syscall socket 1 3 0", "syscall socket 2 1 0",
            "syscall socket 2 1 6", "syscall socket 2 2 17", "syscall socket 2 3 255", "syscall socket 2 1 262",
            "syscall socket 2 1 132", "syscall socket 10 1 6", "syscall socket 10 3 58", "syscall socket 16 3 0",
            "syscall socket 16 3 9", "syscall socket 16 3 12", "syscall socket 17 3 0", "syscall socket 38 5 0",
            "syscall socket 40 1 0", "syscall socket 33 2 0", "syscall socket 15 3 2", "syscall socket 44 3 0",
            "syscall socket 0x100000002 1 0", "syscall socketpair 1 1 0", "syscall socketpair 2 1 0",
            "syscall fcntl -1 1024", "syscall fcntl -1 1026", "syscall fcntl -1 5", "syscall fcntl -1 38",
            "syscall fcntl -1 3", "syscall ioctl -1 0x5412", "syscall ioctl -1 0x5423", "syscall ioctl -1 0x5401",
            "syscall ioctl -1 0x100005412", "syscall chmod -1 0o4755", "syscall chmod -1 0o755",
            "syscall fchmod -1 0o2755", "syscall fchmodat -1 -1 0o6755", "syscall mkdir -1 0o2777",
            "syscall open -1 0x40 0o4755", "syscall open -1 0 0o4755", "syscall openat -1 -1 0x410000 0o2755",
            "syscall creat -1 0o4000", "syscall mknod -1 0o20644", "syscall mknod -1 0o10644",
            "syscall mknodat -1 -1 0o60644", "syscall mknodat -1 -1 0o140644", "syscall setsockopt -1 6 31",
            "syscall setsockopt -1 6 1", "syscall prlimit64 0 4 -1 0", "syscall prlimit64 0 4 0 -1",
            "syscall prlimit64 1 7 -1 0", "syscall setrlimit 4", "syscall setrlimit 7", "syscall setpriority 0 1 0",
            "syscall setpriority 2 0 5", "syscall ioprio_set 1 1 0", "syscall personality 0",
            "syscall personality 0x40000", "syscall personality 0x400000", "syscall sched_setaffinity 1 8 -1",
            "syscall prctl 22 1", "syscall prctl 22 2 -1", "syscall prctl 15 -1", "syscall seccomp 1 0 -1",
        ]

        private static let files = [
            "read /etc/passwd", "read /etc/shadow", "read /etc/hosts", "read /etc/resolv.conf", "read /nothing",
            "read /", "read /root", "read /root/x", "read /etc/passwd/x", "read /bin/sh", "read /usr/bin/../bin/env",
            "read /home/jovyan", "read /tmp", "read /proc/kcore", "read /proc/kallsyms", "read /proc/keys",
            "read /proc/meminfo", "read /proc/timer_list", "read /dev/null", "read /dev/zero", "read /dev/urandom",
            "read /dev/mem", "read /dev/kmsg", "read /dev/sda", "read /dev/net/tun", "read /sys", "read /sys/kernel",
            "read /boot", "read /data", "read /data/nothing", "read /run/docker.sock", "read /var/lib/cloche",
            "write /etc/passwd", "write /etc/hosts", "write /etc/new", "write /tmp/new", "write /tmp",
            "write /home/jovyan/new", "write /usr/bin/env", "write /usr/new", "write /new", "write /dev/null",
            "write /dev/new", "write /dev/shm/new", "write /dev/pts/new", "write /proc/sysrq-trigger",
            "write /proc/sys/kernel/core_pattern", "write /proc/sys/vm/overcommit_memory", "write /proc/kcore",
            "write /proc/meminfo", "write /data/cloche-question", "write /data", "write /run/new",
            "write /run/lock/new",
            "write /nothing/new", "write /root/new", "exec /bin/sh", "exec /usr/bin/python3", "exec /etc/passwd",
            "exec /nothing", "exec /tmp", "exec /dev/null", "exec /proc/meminfo",
        ]

        private static let connections = [
            "connect 127.0.0.1:9", "connect [::1]:9", "connect 10.0.0.1:443", "connect 172.16.0.1:80",
            "connect 192.168.0.1:22", "connect 169.254.169.254:80", "connect 100.64.0.1:80", "connect 198.18.0.1:80",
            "connect 240.0.0.1:80", "connect [2001:db8::1]:80", "connect [fe80::1]:80", "connect [::ffff:10.0.0.1]:80",
        ]

        @Test(
            "what a policy says to over 400 questions is what happens when they are done",
            arguments: ["default", "strict", "online", "build"])
        func truth(_ policy: String) throws {
            guard policy != "online" && policy != "build" || Cloche.isRoot else { return }
            let calls = try calls(policy).map { "syscall \($0)" }
            #expect(calls.count > 380)
            let answers = try ask(policy, calls + Self.uses + Self.files + Self.connections)
            let proved = answers.filter { $0.proof == "allowed" || $0.proof == "refused" }
            let told = proved.filter { $0.answer != "unknown" }
            #expect(told.count > 450, "\(told.count)")
            for answer in told where answer.answer != answer.proof {
                Issue.record("\(policy): \(answer)")
            }
            // Those that the kernel answers as the filter would, and calls of other machines and newer kernels.
            let unproved = answers.filter { $0.proof != "allowed" && $0.proof != "refused" }
            let native = unproved.filter { $0.question.hasPrefix("syscall") && $0.proof != nil }
            #expect(native.count <= 8, "\(native.map(\.question))")
            #expect(told.contains { $0.answer == "allowed" } && told.contains { $0.answer == "refused" })
        }

        @Test("a project, data of other kinds, and calls that a policy opens and denies are answered truly too")
        func ownPolicies() throws {
            let policy = try PolicyFile(
                "extends: default\ndata: ro\nseccomp: {allow: [debug, io-uring, bpf], deny: [flock, statx]}\n")
            let project = try TemporaryDirectory()
            try project.write("x\n", to: "readable")
            try project.write("x\n", to: "hidden")
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: project.path + "/hidden")
            try FileManager.default.createSymbolicLink(
                atPath: project.path + "/link", withDestinationPath: "../etc/passwd")
            try FileManager.default.createSymbolicLink(atPath: project.path + "/circle", withDestinationPath: "circle")
            let questions =
                [
                    "read /project-dir/readable", "read /project-dir/hidden", "read /project-dir/link",
                    "read /project-dir/circle", "write /project-dir/new", "write /project-dir/readable",
                    "exec /project-dir/readable", "read /project-dir/link/x", "write /data/new", "read /data",
                ] + (try calls(policy.name).map { "syscall \($0)" })
            let answers = try ask(policy.name, questions, project: project.path)
            for answer in answers where answer.proof != nil && answer.proof != "unknown" && answer.answer != "unknown" {
                #expect(answer.answer == answer.proof, "\(answer)")
            }
            let told = Dictionary(answers.map { ($0.question, $0.answer) }) { first, _ in first }
            #expect(told["read /project-dir/link"] == "allowed" && told["read /project-dir/circle"] == "refused")
            #expect(told["write /data/new"] == "refused" && told["write /project-dir/new"] == "allowed")
            #expect(told["syscall ptrace"] == "allowed" && told["syscall flock"] == "refused")
        }

        @Test("answers have reasons, rules and exit codes; what is no question is refused with a hint")
        func answers() throws {
            let allowed = try Cloche.run(
                "policy", "test", "default", "--can", "read /etc/passwd", "--can", "exec python3")
            #expect(allowed.status == 0 && allowed.output.hasPrefix("allowed  read /etc/passwd: "), "\(allowed.errors)")
            let refused = try Cloche.run(
                "policy", "test", "default", "--can", "connect 10.0.0.1:443", "--can", "syscall io_uring_setup",
                "--can", "read /etc/passwd")
            #expect(refused.status == 1)
            #expect(refused.output.contains("there is no network (ENETUNREACH) (by `network`)"), "\(refused.output)")
            #expect(refused.output.contains("(by `io-uring`)"))
            for wrong in [
                "fly", "read etc/passwd", "connect host", "connect 1.2.3.4:0", "connect 1.2.3:80", "syscall mounty",
                "syscall open x", "read ",
            ] {
                let result = try Cloche.run("policy", "test", "default", "--can", wrong)
                #expect(result.status == 64 && result.errors.contains("hint: "), "\(wrong): \(result.errors)")
            }
            #expect(try Cloche.run("policy", "test", "default").status == 64)
            let place = try TemporaryDirectory()
            let empty = ["CLOCHE_HOME": place.path + "/store"]
            #expect(
                try Cloche.start(["policy", "test", "default", "--can", "fly"], environment: empty).wait().status == 64)
            #expect(try Cloche.run("policy", "test", "nothing", "--can", "read /x").status == 5)
        }

        @Test("policy test -- CMD runs it, tells everything that was refused, and a document that allows it")
        func command() throws {
            let program = """
                import ctypes, socket
                libc = ctypes.CDLL(None, use_errno=True)
                libc.ptrace(0, 0, 0, 0); libc.mount(0, 0, 0, 0, 0)
                try: socket.socket(40, 1)
                except OSError: pass
                print("done")
                """
            let result = try Cloche.run("policy", "test", "default", "--", "python3", "-c", program)
            #expect(result.status == 1 && result.output == "done\n", "\(result.errors)")
            for part in [
                "rule `debug`", "rule `mounts`", "a sandbox has none; no policy allows it", "rule `network`",
                "AF_VSOCK", "allow: [debug, socket]",
            ] {
                #expect(result.errors.contains(part), "\(part): \(result.errors)")
            }
            #expect(try Cloche.run("policy", "test", "default", "--", "true").status == 0)
            #expect(try Cloche.run("policy", "test", "default", "--", "false").status == 1)
            let json = try Cloche.run("policy", "test", "default", "--json", "--", "python3", "-c", program)
            #expect(try json.value("refusals", 0, "rule") as? String == "debug", "\(json.output)")
            #expect(json.errors.contains("done"))
        }
    }
}

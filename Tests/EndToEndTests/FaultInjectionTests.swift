import Foundation
import Testing

extension EndToEnd {
    /// Every system call of a set-up is made to fail, one at a time, and with it the rule is tried that no command runs
    /// in a sandbox of which a part is missing.
    ///
    /// By default the first, the middle and the last call of each name are taken in each process;
    /// `CLOCHE_TEST_SWEEP=full` takes every one of them.
    @Suite(
        "Fault injection", .enabled(if: Cloche.isBuilt, "the programs are not built"),
        .enabled(if: Cloche.isRoot, "following processes that are not dumpable needs root"),
        .enabled(if: FileManager.default.isExecutableFile(atPath: FaultyLaunch.strace), "strace(1) is not installed"))
    struct FaultInjection {
        @Test(
            "no command runs when a part of its sandbox could not be set up", .timeLimit(.minutes(30)),
            arguments: FaultyLaunch.Part.allCases.map { ($0, false) } + [(.keeper, true), (.supervisor, true)])
        func failsClosed(_ part: FaultyLaunch.Part, isPrepared: Bool) throws {
            let before = try HostFootprint()
            if isPrepared {
                // What is worked out is kept when nothing has changed for a moment.
                Thread.sleep(forTimeInterval: 0.3)
                #expect(try FaultyLaunch(part, isPrepared: true).run().result.status == 0)
            }
            let whole = try FaultyLaunch(part, isPrepared: isPrepared).run()
            try #require(whole.result.status == 0, "\(whole.result.errors)")
            let faults = part.faults(of: whole.trace)
            try #require(!faults.isEmpty)
            var violations: [String] = []
            var hits = 0
            for fault in faults {
                let outcome = try FaultyLaunch(part, fault, isPrepared: isPrepared).run()
                hits += outcome.injected.isEmpty ? 0 : 1
                if let text = outcome.violation { violations.append("\(part) \(fault): \(text)") }
            }
            #expect(violations.isEmpty, "\(violations.count) faults:\n\(violations.joined(separator: "\n"))")
            // A call that did not happen this time says nothing; few may depend on how processes are scheduled.
            #expect(hits * 10 >= faults.count * 9, "\(hits) of \(faults.count) faults were met")
            // What a command could not clear away, the next one does.
            #expect(try FaultyLaunch(part, isPrepared: isPrepared).run().result.status == 0)
            try before.expectNothingLeft()
        }

        @Test("however long process 1 takes to give up its rights, the command does not begin before that")
        func order() throws {
            let trace = try TemporaryDirectory()
            // In process 1 these are the last two before its filter; the command makes fewer.
            let result = try StartedCommand(
                FaultyLaunch.strace,
                [
                    "-D", "-f", "-q", "-o", trace.path + "/trace", "-e", "trace=prctl", "-e",
                    "inject=prctl:delay_enter=300000:when=45+", try Cloche.program(), "exec", "--", "grep", "-hE",
                    "^(NoNewPrivs|Seccomp|CapPrm):", "/proc/1/status",
                ], environment: ["CLOCHE_HOME": try Cloche.home.get()]
            ).wait(timeout: 30)
            #expect(
                result.output == "CapPrm:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n",
                "\(result.output) \(result.errors)")
            #expect(try eventually { try trace.read("trace").contains("(DELAYED)") })
        }

        @Test(
            "a run whose sandbox cannot be set up ends as such, and says what failed", .timeLimit(.minutes(10)),
            arguments: [
                ("unshare", 1), ("open_tree", 3), ("mount_setattr", 1), ("move_mount", 2), ("pivot_root", 1),
                ("mount", 2),
                ("mount", 12), ("capset", 1), ("setresuid", 1), ("setgroups", 1), ("prctl", 5), ("prctl", 30),
                ("seccomp", 1), ("sethostname", 1), ("setns", 1), ("execveat", 1), ("dup3", 4), ("memfd_create", 3),
            ])
        func run(_ call: String, _ number: Int) throws {
            let before = try HostFootprint()
            let project = try TestProject([.init(file: "one.sh", text: "echo payload-ran\n")])
            let trace = try TemporaryDirectory()
            let command = try StartedCommand(
                FaultyLaunch.strace,
                [
                    "-D", "-f", "-q", "-o", trace.path + "/trace", "-e", "trace=\(call)", "-e",
                    "inject=\(call):error=EPERM:when=\(number)", try Cloche.program(), "run", "main.orchest", "--name",
                    project.name,
                ], environment: ["CLOCHE_HOME": try Cloche.home.get()], directory: project.path)
            let result = command.wait(timeout: 20)
            let isHit =
                try eventually { try trace.read("trace").contains("exited") }
                && trace.read("trace").contains("(INJECTED)")
            if isHit {
                #expect(!result.output.contains("payload-ran"))
                #expect([1, 78, 125].contains(result.status), "\(result.errors)")
                let runs = try Cloche.run("ls", project.name, "--json")
                // Before the run was made there is nothing that could tell of it.
                if runs.status == 0, let state = try runs.value("runs", 0, "state") as? String {
                    #expect(state == "failed" || state == "pending", "\(runs.output)")
                    if state == "failed" {
                        #expect(try runs.value("runs", 0, "verdict", "cause") as? String == "setup", "\(runs.output)")
                        let summary = try runs.value("runs", 0, "verdict", "summary") as? String ?? ""
                        #expect(summary.contains("failed to"), "it says what failed: \(summary)")
                    }
                } else {
                    #expect(result.errors.contains("error: "), "\(result.errors)")
                }
            } else {
                #expect(result.status == 0, "\(result.errors)")
            }
            _ = try Cloche.run("rm", project.name, "--yes")
            try before.expectNothingLeft()
        }
    }
}

/// `cloche exec` under strace(1), which makes one system call of one of its processes fail.
struct FaultyLaunch {
    static let strace = "/usr/bin/strace"

    /// The number-th call of a name in a process.
    struct Fault: CustomStringConvertible {
        var call: String
        var number: Int
        var description: String { "\(call) #\(number)" }
    }

    /// A process of a launch.
    ///
    /// strace(1) counts calls in each process by itself, so that a fault in one would hide the same fault in those that
    /// come later. Each part is therefore met alone: the launch is stopped where the part begins, and strace(1) is
    /// attached to nothing else.
    enum Part: String, CaseIterable {
        case keeper, supervisor, launcher, sandbox, initProcess, command

        /// The call at which a process is stopped to meet the part; nil is from the beginning.
        var beginning: Fault? {
            switch self {
            case .keeper: nil
            case .supervisor: Fault(call: "prctl", number: 1)
            // The two before it make one such call each.
            case .launcher: Fault(call: "rt_sigaction", number: 5)
            // The supervisor makes one pair for the launcher and one for the sandbox that it is about to launch.
            case .sandbox: Fault(call: "socketpair", number: 2)
            case .initProcess: Fault(call: "sethostname", number: 1)
            case .command: Fault(call: "setsid", number: 1)
            }
        }

        /// Whether what the process starts is followed.
        var follows: Bool { self == .sandbox }

        /// The last call that belongs to the set-up: the next thing that the process does is to wait for an end.
        func isLast(_ call: FaultyLaunch.Call) -> Bool {
            switch self {
            case .keeper: call.name == "poll" || call.name == "ppoll"
            case .supervisor: call.name == "recvmsg"
            case .launcher, .initProcess: call.name == "sendmsg"
            case .sandbox, .command: call.name == "execve" && call.text.hasSuffix("= 0")
            }
        }

        /// The faults to try, from a trace in which nothing failed.
        func faults(of trace: [FaultyLaunch.Call]) -> [Fault] {
            var counts: [String: [String: Int]] = [:]
            for call in trace {
                counts[call.name, default: [:]][call.process, default: 0] += 1
                if isLast(call) { break }
            }
            let isFull = ProcessInfo.processInfo.environment["CLOCHE_TEST_SWEEP"] == "full"
            return counts.sorted { $0.key < $1.key }.flatMap { name, processes in
                let most = processes.values.max() ?? 0
                let numbers = isFull ? Array(1...most) : Set([1, (most + 1) / 2, most]).sorted()
                return numbers.map { Fault(call: name, number: $0) }
            }
        }
    }

    /// A line of a trace.
    struct Call {
        var process: String
        var text: String
        var name: String { String(text.prefix { $0 != "(" }) }
    }

    /// What came of a launch.
    struct Outcome {
        /// The part and the fault, as in `keeper flock #1`.
        var fault: String
        var result: CommandResult
        var trace: [Call]
        var isStuck: Bool

        var injected: [Call] { trace.filter { $0.text.hasSuffix("(INJECTED)") } }

        /// Whether the fault only had the command worked out anew, by another program.
        private var isWorkedOutAnew: Bool {
            guard let fault = trace.firstIndex(where: { $0.text.hasSuffix("(INJECTED)") }) else { return false }
            return trace[fault...].dropFirst().contains {
                $0.name == "execve" && $0.process == trace[fault].process && $0.text.contains("/cloche-commands\"")
            }
        }

        /// What is wrong with it, in words.
        var violation: String? {
            let calls = injected.map(\.text).joined(separator: "; ")
            let errors = result.errors
            guard !injected.isEmpty else { return isStuck ? "hangs" : nil }
            if isStuck { return "hangs after \(calls)" }
            if result.output.contains("payload-ran") {
                if isWorkedOutAnew { return nil }
                if injected.contains(where: { Harmless.reason(for: $0, as: fault) != nil }) { return nil }
                return "the command ran in spite of \(calls)"
            }
            let isDocumented = [1, 78, 125].contains(result.status)
            if !isDocumented { return "exit status \(result.status) after \(calls): \(errors)" }
            let isSaid = errors.split(separator: "\n").contains { line in
                ["error: ", "cloche: "].contains { line.hasPrefix($0) && line.count > $0.count + 10 }
            }
            if !isSaid { return "no word of what failed after \(calls): `\(errors)`" }
            return nil
        }
    }

    /// The calls that are counted: all that make, change or hand on a part of a sandbox, and those that look at one.
    ///
    /// Left out are those that cannot fail, and those of the C library's own start.
    private static let calls = """
        mount mkdir mkdirat pivot_root umount2 open_tree move_mount mount_setattr fsopen fsconfig fsmount mknodat \
        openat openat2 unshare setns setresuid setresgid setgroups capset capget prctl prlimit64 sethostname seccomp \
        dup2 dup3 close_range chdir fchdir setsid ioctl fork clone clone3 vfork write memfd_create fcntl execveat \
        execve landlock_create_ruleset landlock_add_rule landlock_restrict_self sched_setaffinity symlink symlinkat \
        chown lchown fchown fchownat chmod fchmod fchmodat socket socketpair sendmsg recvmsg signalfd4 epoll_create1 \
        epoll_ctl pidfd_open poll ppoll pipe2 newfstatat fstatfs statfs flock getdents64 sendfile readlinkat \
        fsetxattr unlinkat getcwd
        """.split(separator: " ").map { "?" + $0 }.joined(separator: ",")

    private let part: Part
    private let fault: Fault?
    private let isPrepared: Bool
    private let directory: TemporaryDirectory
    private let marker = "marker_" + UUID().uuidString.prefix(8)

    init(_ part: Part, _ fault: Fault? = nil, isPrepared: Bool = false) throws {
        self.part = part
        self.fault = fault
        self.isPrepared = isPrepared
        directory = try TemporaryDirectory()
    }

    func run() throws -> Outcome {
        guard let beginning = part.beginning else {
            let command = try start(["-D", "-q", "-o", directory.path + "/trace"] + expressions + launch)
            return try outcome(of: command) { try directory.read("trace").contains("+++ ") }
        }
        let stop = ["trace=" + beginning.call, "inject=\(beginning.call):signal=SIGSTOP:when=\(beginning.number)"]
        let command = try start(
            ["-D", "-f", "-q", "-o", directory.path + "/start"] + stop.flatMap { ["-e", $0] } + launch)
        do {
            let stopped = try stoppedProcess()
            let target = try part == .sandbox ? launcher(below: stopped) : stopped
            // Killed and not asked to end: it would wait for the launcher, which waits for the process that is stopped.
            kill(try tracer(of: stopped), SIGKILL)
            try wait("strace lets go") { try tracer(of: target) == 0 && tracer(of: stopped) == 0 }
            let attached = try start(
                (part.follows ? ["-f"] : []) + ["-q", "-o", directory.path + "/trace"] + expressions
                    + ["-p", String(target)])
            defer { attached.signal(SIGKILL) }
            // Attaching makes a call that waits begin anew; where that is the one that fails, the process ends at once.
            try wait("strace attaches") {
                try !ProcessTable.isAlive(target) || tracer(of: target) == attached.pid
            }
            kill(stopped, SIGCONT)
            return try outcome(of: command) { attached.wait(timeout: 10).status != 137 }
        } catch {
            command.signal(SIGKILL)
            ProcessTable.withMarker(marker).forEach { kill($0, SIGKILL) }
            throw error
        }
    }

    private var launch: [String] {
        get throws {
            // What is worked out for a command with variables is not kept.
            [try Cloche.program(), "exec"] + (isPrepared ? [] : ["--env-var", "A=1"])
                + ["--", "sh", "-c", "echo payload-ran; : \(marker)"]
        }
    }

    private var expressions: [String] {
        guard let fault else { return ["-e", "trace=" + Self.calls] }
        // Which file a descriptor is of tells what a look at it is for.
        return (["newfstatat", "fcntl"].contains(fault.call) ? ["-y"] : [])
            + ["-e", "trace=" + fault.call + ",execve", "-e", "inject=\(fault.call):error=EPERM:when=\(fault.number)"]
    }

    private func start(_ arguments: [String]) throws -> StartedCommand {
        try StartedCommand(Self.strace, arguments, environment: ["CLOCHE_HOME": try Cloche.home.get()])
    }

    private func outcome(of command: StartedCommand, whenTraced isTraced: () throws -> Bool) throws -> Outcome {
        let started = Date()
        let result = command.wait(timeout: 20)
        let isStuck = result.status == 137 && Date().timeIntervalSince(started) > 19
        if isStuck { ProcessTable.withMarker(marker).forEach { kill($0, SIGKILL) } }
        _ = try eventually(within: 10, isTraced)
        let isGone = eventually { ProcessTable.withMarker(marker).isEmpty }
        #expect(isGone, "processes of a launch live on: \(part) \(fault?.description ?? "")")
        return Outcome(
            fault: "\(part) \(fault?.description ?? "")", result: result,
            trace: try Self.parse(directory.read("trace")), isStuck: isStuck)
    }

    /// Lines of a trace, those in two halves put together.
    private static func parse(_ text: String) -> [Call] {
        var calls: [Call] = []
        var unfinished: [String: Int] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 1)
            let hasNumber = words.count == 2 && words[0].allSatisfy(\.isNumber)
            let process = hasNumber ? String(words[0]) : ""
            var text = hasNumber ? words[1].drop { $0 == " " } : line
            if text.hasPrefix("+++") || text.hasPrefix("---") { continue }
            if text.hasPrefix("<... "), let end = text.range(of: " resumed>") {
                if let index = unfinished.removeValue(forKey: process) { calls[index].text += text[end.upperBound...] }
                continue
            }
            if let end = text.range(of: " <unfinished ...>") {
                text = text[..<end.lowerBound]
                unfinished[process] = calls.count
            }
            calls.append(Call(process: process, text: String(text)))
        }
        return calls
    }

    private func stoppedProcess() throws -> pid_t {
        var found: pid_t?
        try wait("a process is stopped") {
            let lines = (try? directory.read("start"))?.split(separator: "\n") ?? []
            let line = lines.first { $0.contains("--- stopped by SIGSTOP") }
            found = line.flatMap { pid_t($0.prefix { $0.isNumber }) }
            return found != nil
        }
        guard let found else { throw TestFailure("no process was stopped") }
        return found
    }

    private func launcher(below supervisor: pid_t) throws -> pid_t {
        var found: pid_t?
        try wait("the launcher runs") {
            found = ProcessTable.descendants(of: supervisor).first { $0.value.hasPrefix("cloche-launcher") }?.key
            return found != nil
        }
        guard let found else { throw TestFailure("there is no launcher") }
        return found
    }

    private func tracer(of process: pid_t) throws -> pid_t {
        let text = try String(contentsOf: URL(filePath: "/proc/\(process)/status"), encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("TracerPid:") }
        return line.flatMap { pid_t($0.dropFirst(10).trimmingCharacters(in: .whitespaces)) } ?? 0
    }

    private func wait(_ what: String, _ condition: () throws -> Bool) throws {
        guard try eventually(within: 10, condition) else { throw TestFailure("\(what): not within 10 seconds") }
    }
}

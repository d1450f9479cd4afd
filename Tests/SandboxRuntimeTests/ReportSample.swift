import Isolation
import LinuxSystem
import Policies
import SeccompFilters
import Testing

@testable import SandboxRuntime

/// A report of a sandbox, and what its verdict has to be.
struct ReportSample: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var report: SandboxReport
    let cause: Verdict.Cause
    /// Parts of the summary, in their order.
    let summary: [String]
    /// A part of the remedy; nil where there is none.
    let remedy: String?
    let exitCode: Int32
    var detail: [String: Verdict.Fact] = [:]

    /// Each limit has a value of its own.
    static let policy: SandboxPolicy = {
        var policy = BuiltInPolicies.standard
        policy.name = "lab"
        policy.data = .readOnly
        policy.limits = ResourceLimits(
            memory: .mebibytes(512), pids: 64, wallTime: .seconds(90), cpuTime: .seconds(30), openFiles: 256,
            scratch: .mebibytes(64), output: .mebibytes(1))
        return policy
    }()

    /// `what` stands for the command.
    static func verdict(_ report: SandboxReport, under policy: SandboxPolicy = policy) -> Verdict {
        report.verdict(of: "step `fit`", under: policy)
    }

    init(
        _ description: String, _ ending: SandboxReport.Ending, _ cause: Verdict.Cause, _ summary: [String],
        remedy: String? = nil, exitCode: Int32, detail: [String: Verdict.Fact] = [:],
        _ change: (inout SandboxReport) -> Void = { _ in }
    ) {
        testDescription = description
        report = SandboxReport(
            ending: ending, intervention: nil, usage: nil, seconds: 1.23456, outputBytes: 0, denials: [],
            unrecordedDenials: 0, unroutedDatagrams: 0, outOfMemoryKills: 0, pidsLimitHits: 0, peakMemory: nil)
        change(&report)
        self.cause = cause
        self.summary = summary
        self.remedy = remedy
        self.exitCode = exitCode
        self.detail = detail
    }

    static func denial(_ attempt: String, opens: String? = nil, count: Int = 1) -> Denial {
        Denial(
            program: "python3", process: 77, attempt: attempt, answer: "EPERM", rule: "network", reason: "none",
            opensWith: opens, count: count)
    }
}

extension ReportSample {
    /// Ends of the command itself.
    static let ends = [
        Self(
            "success", .ended(.exited(0)), .succeeded, ["succeeded"], exitCode: 0, detail: ["seconds": .number(1.235)]),
        Self(
            "an exit code", .ended(.exited(3)), .exit, ["exit code 3"], exitCode: 3, detail: ["exit_code": .integer(3)]),
        Self(
            "a signal", .ended(.signalled(11)), .signal, ["ended by signal SIGSEGV"], exitCode: 139,
            detail: ["signal": .text("SIGSEGV")]),
        Self("a kill from inside", .ended(.signalled(9)), .signal, ["signal SIGKILL"], exitCode: 137),
        Self("a signal of real time", .ended(.signalled(40)), .signal, ["signal SIGRTMIN+6"], exitCode: 168),
        Self("a lost process 1", .lost, .signal, ["process 1", "killed"], exitCode: 125),
        Self(
            "a missing program", .notExecuted(missing: true, reason: "No such file or directory"), .exit,
            ["could not be executed", "No such file"], remedy: "setup script", exitCode: 127,
            detail: ["exit_code": .integer(127)]),
        Self(
            "a program of another machine", .notExecuted(missing: false, reason: "Exec format error"), .exit,
            ["could not be executed", "Exec format error"], remedy: "this machine's kind", exitCode: 126,
            detail: ["exit_code": .integer(126)]),
        Self(
            "success after a refusal", .ended(.exited(0)), .succeeded, ["succeeded"], exitCode: 0,
            detail: ["denials": .list(["python3 (pid 77 inside) called mount(): refused with EPERM by network"])]
        ) {
            $0.denials = [denial("mount()")]
            $0.fullPlaces = ["/"]
            $0.complaint = .init(kind: .readOnly, line: "a")
        },
    ]

    /// Ends at a limit.
    static let limits = [
        Self(
            "memory, where the kernel kills one process", .ended(.exited(1)), .outOfMemory,
            ["ran out of memory at 512MiB", "peak of 510MiB", "a process of it was killed"],
            remedy: "`limits.memory` of policy `lab`", exitCode: 1,
            detail: ["memory_limit_bytes": .integer(512 << 20), "oom_kills": .integer(1)]
        ) {
            $0.outOfMemoryKills = 1
            $0.peakMemory = 510 << 20 | 4096
        },
        Self(
            "memory, where it kills the command", .ended(.signalled(9)), .outOfMemory, ["512MiB", "it was killed"],
            remedy: "limits.memory", exitCode: 137
        ) { $0.outOfMemoryKills = 2 },
        Self(
            "memory, where it kills the whole group", .lost, .outOfMemory, ["512MiB", "all its processes"],
            remedy: "limits.memory", exitCode: 137
        ) { $0.outOfMemoryKills = 3 },
        Self(
            "memory, by the watchdog", .ended(.signalled(9)), .outOfMemory, ["512MiB", "it was killed"],
            remedy: "limits.memory", exitCode: 137
        ) { $0.intervention = .outOfMemory },
        Self(
            "time", .ended(.signalled(15)), .timeout, ["time limit of 90 s"],
            remedy: "`limits.wall_time` of policy `lab`", exitCode: 124
        ) { $0.intervention = .timeLimit },
        Self("time, ended well", .ended(.exited(0)), .timeout, ["90 s"], remedy: "wall_time", exitCode: 124) {
            $0.intervention = .timeLimit
        },
        Self(
            "processor time, by the kernel", .ended(.signalled(24)), .cpuLimit, ["processor time of 30 s"],
            remedy: "`limits.cpu_time` of policy `lab`", exitCode: 152),
        Self(
            "processor time, by the watchdog", .ended(.signalled(9)), .cpuLimit, ["30 s"], remedy: "cpu_time",
            exitCode: 137
        ) { $0.intervention = .processorTime },
        Self(
            "processes", .ended(.exited(2)), .pidsLimit, ["exit code 2", "refused processes at the limit of 64"],
            remedy: "`limits.pids` of policy `lab`", exitCode: 2
        ) { $0.pidsLimitHits = 9 },
        Self(
            "output", .ended(.signalled(15)), .outputLimit, ["after 1MiB of output"],
            remedy: "`limits.output` of policy `lab`", exitCode: 143
        ) { $0.intervention = .outputLimit },
    ]

    /// Ends for want of room, and after refusals.
    static let refusals = [
        Self(
            "a full place", .ended(.exited(1)), .diskFull, ["filled the file system of /tmp and the root", "of 64MiB"],
            remedy: "`limits.scratch` of policy `lab`", exitCode: 1, detail: ["full": .list(["/"])]
        ) { $0.fullPlaces = ["/"] },
        Self(
            "full places and what was said", .ended(.exited(1)), .diskFull, ["the root and /dev/shm of 64MiB"],
            remedy: "limits.scratch", exitCode: 1, detail: ["output": .text("no room")]
        ) {
            $0.fullPlaces = ["/", "/dev/shm"]
            $0.complaint = .init(kind: .noSpace, line: "no room")
        },
        Self(
            "a place that is not full any more", .ended(.exited(1)), .diskFull, ["want of space", "`cp: no room`"],
            remedy: "where /project-dir is kept", exitCode: 1, detail: ["output": .text("cp: no room")]
        ) { $0.complaint = .init(kind: .noSpace, line: "cp: no room") },
        Self(
            "a read-only place", .ended(.exited(1)), .denied, ["after a refusal", "`sh: /usr/a: read-only`"],
            remedy: "write to /project-dir", exitCode: 1
        ) { $0.complaint = .init(kind: .readOnly, line: "sh: /usr/a: read-only") },
        Self(
            "/data that is read-only", .ended(.exited(1)), .denied, ["`/data/a: no`"], remedy: "`data: rw`", exitCode: 1
        ) { $0.complaint = .init(kind: .readOnly, line: "/data/a: no") },
        Self(
            "a file of root", .ended(.exited(1)), .exit, ["ended with exit code 1"], remedy: "setup script",
            exitCode: 1,
            detail: ["output": .text("/etc/a: no")]
        ) { $0.complaint = .init(kind: .permission, line: "/etc/a: no") },
        Self(
            "a name that nobody resolves", .ended(.exited(1)), .denied,
            ["after it tried to reach a network", "policy `lab` has none", "`a: name resolution`"], remedy: "online",
            exitCode: 1, detail: ["output": .text("a: name resolution")]
        ) { $0.complaint = .init(kind: .unreachable, line: "a: name resolution") },
        Self(
            "a module that is not installed", .ended(.exited(1)), .exit, ["ended with exit code 1"],
            remedy: "setup script of the environment", exitCode: 1, detail: ["output": .text("no numpy")]
        ) { $0.complaint = .init(kind: .missingModule, line: "no numpy") },
        Self(
            "a file that the snapshot may lack", .ended(.exited(1)), .exit, ["ended with exit code 1"],
            remedy: "--explain", exitCode: 1
        ) { $0.complaint = .init(kind: .missingFile, line: "no data.csv") },
        Self(
            "a refused call", .ended(.exited(1)), .denied,
            ["python3 (pid 77 inside) called socket(AF_NETLINK)", "EPERM", "policy `lab`", "3 times"],
            remedy: "`extends: lab` and `seccomp: {allow: [socket]}`", exitCode: 1
        ) { $0.denials = [denial("socket(AF_NETLINK)", opens: "seccomp: {allow: [socket]}", count: 3)] },
        Self(
            "a disk that is nearly full", .ended(.signalled(9)), .diskFull, ["the disk that runs are kept on"],
            remedy: "cloche rm", exitCode: 137
        ) { $0.intervention = .diskReserve },
        Self(
            "a user who keeps too much", .ended(.signalled(15)), .diskFull, ["its user kept more on the disk"],
            remedy: "cloche serve --max-disk", exitCode: 143, detail: ["limit": .text("max_disk")]
        ) { $0.intervention = .userLimit },
        Self(
            "refused calls that nothing opens", .ended(.exited(1)), .denied,
            ["called mount()", "(and 2 other kinds of calls)"], exitCode: 1
        ) { $0.denials = ["mount()", "bpf()", "reboot()"].map { denial($0) } },
        Self(
            "attempts at a network", .ended(.exited(6)), .denied,
            ["exit code 6", "policy `lab` has none", "4 attempts"],
            remedy: "--policy online", exitCode: 6, detail: ["network_attempts": .integer(4)]
        ) { $0.unroutedDatagrams = 4 },
    ]

    /// Ends by the hand of somebody.
    static let interventions = [
        Self("cancelled", .ended(.signalled(15)), .cancelled, ["was cancelled"], exitCode: 143) {
            $0.intervention = .cancelled
        },
        Self("a failed sibling", .ended(.signalled(9)), .cancelled, ["another step failed"], exitCode: 137) {
            $0.intervention = .siblingFailed
        },
        Self("interrupted", .ended(.signalled(15)), .interrupted, ["was interrupted"], exitCode: 143) {
            $0.intervention = .interrupted
        },
    ]
}

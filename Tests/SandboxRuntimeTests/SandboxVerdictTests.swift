import Glibc
import Isolation
import Policies
import Testing

@testable import LinuxSystem
@testable import SandboxLaunch
@testable import SandboxRuntime

struct SandboxVerdictTests {
    @Test(
        "every end has its cause, its words, its remedy and its exit code",
        arguments: ReportSample.ends + ReportSample.limits + ReportSample.refusals + ReportSample.interventions)
    func verdicts(sample: ReportSample) {
        let verdict = ReportSample.verdict(sample.report)
        #expect(verdict.cause == sample.cause)
        #expect(verdict.summary.contains("step `fit`"))
        #expect(!verdict.summary.hasSuffix("."))
        var rest = verdict.summary[...]
        for part in sample.summary {
            let range = rest.firstRange(of: part)
            #expect(range != nil, "`\(part)` in `\(verdict.summary)`")
            if let range { rest = rest[range.upperBound...] }
        }
        #expect((verdict.remedy == nil) == (sample.remedy == nil))
        if let remedy = sample.remedy { #expect(verdict.remedy?.contains(remedy) == true, "\(verdict.remedy ?? "")") }
        for (name, fact) in sample.detail { #expect(verdict.detail[name] == fact) }
        #expect(sample.report.exitCode == sample.exitCode)
    }

    private func report(
        _ ending: SandboxReport.Ending, _ change: (inout SandboxReport) -> Void = { _ in }
    ) -> SandboxReport {
        ReportSample("", ending, .exit, [], exitCode: 0, change).report
    }

    @Test func `the first cause explains the rest`() {
        var all = report(.ended(.exited(1))) {
            $0.intervention = .timeLimit
            $0.outOfMemoryKills = 1
            $0.pidsLimitHits = 1
            $0.fullPlaces = ["/"]
            $0.denials = [ReportSample.denial("mount()")]
            $0.unroutedDatagrams = 1
            $0.complaint = .init(kind: .readOnly, line: "a")
        }
        func cause() -> Verdict.Cause { ReportSample.verdict(all).cause }
        #expect(cause() == .timeout)
        all.intervention = nil
        #expect(cause() == .outOfMemory)
        all.outOfMemoryKills = 0
        #expect(cause() == .pidsLimit)
        all.pidsLimitHits = 0
        #expect(cause() == .diskFull)
        all.fullPlaces = []
        #expect(ReportSample.verdict(all).summary.contains("mount()"))
        all.denials = []
        #expect(ReportSample.verdict(all).summary.contains("network"))
        all.unroutedDatagrams = 0
        #expect(cause() == .denied)
        all.complaint = nil
        #expect(cause() == .exit)
    }

    @Test func `what is a limit only in part of the cases is none elsewhere`() {
        // Under a policy with a network, packets that found none are the program's own affair.
        var online = ReportSample.policy
        online.network = .outbound
        let attempts = report(.ended(.exited(1))) { $0.unroutedDatagrams = 3 }
        #expect(ReportSample.verdict(attempts, under: online).cause == .exit)
        // Read-only /data under a policy that lets it be written was shown so by hand.
        var writable = ReportSample.policy
        writable.data = .readWrite
        let refused = report(.ended(.exited(1))) { $0.complaint = .init(kind: .readOnly, line: "/data/a") }
        #expect(ReportSample.verdict(refused, under: writable).remedy?.contains("data: rw") == false)
    }

    @Test("a kill at the end of the processor time is the limit's", arguments: [(29.9, false), (30.1, true)])
    func killedAtTheLimit(seconds: Double, isLimit: Bool) {
        let usage = usage(user: seconds - 1, system: 1)
        let killed = report(.ended(.signalled(9))) { $0.usage = usage }
        #expect(ReportSample.verdict(killed).cause == (isLimit ? .cpuLimit : .signal))
        let failed = report(.ended(.exited(1))) { $0.usage = usage }
        #expect(ReportSample.verdict(failed).cause == .exit)
    }

    private func usage(user: Double, system: Double) -> ProcessUsage {
        var usage = rusage()
        usage.ru_utime = timeval(tv_sec: Int(user), tv_usec: Int((user - user.rounded(.down)) * 1e6))
        usage.ru_stime = timeval(tv_sec: Int(system), tv_usec: 0)
        return ProcessUsage(usage)
    }

    @Test func `the evidence is what was measured`() {
        let ended = report(.ended(.exited(0))) {
            $0.usage = usage(user: 2.5, system: 1)
            $0.peakMemory = 4096
            $0.traffic = DiskTraffic(readBytes: 5, writtenBytes: 6)
        }
        #expect(
            ReportSample.verdict(ended).detail == [
                "seconds": .number(1.235), "cpu_seconds": .number(3.5), "memory_peak_bytes": .integer(4096),
                "read_bytes": .integer(5), "written_bytes": .integer(6),
            ])
    }

    @Test func `of many refused calls only the first are told`() {
        let many = report(.ended(.exited(1))) { report in
            report.denials = (0..<20).map { ReportSample.denial("call\($0)()") }
        }
        let verdict = ReportSample.verdict(many)
        #expect(verdict.summary.contains("call0()"))
        #expect(verdict.summary.contains("19 other kinds"))
        guard case .list(let told) = verdict.detail["denials"] else {
            Issue.record("there is no list of refusals")
            return
        }
        #expect(told.count == 8)
    }

    @Test func `a verdict without limits says so`() {
        var policy = ReportSample.policy
        policy.limits = ResourceLimits()
        for (intervention, words) in [
            (SandboxReport.Intervention.timeLimit, "its limit"), (.outputLimit, "its limit"),
            (.outOfMemory, "at its limit"), (.processorTime, "processor time"),
        ] {
            let ended = report(.ended(.signalled(9))) { $0.intervention = intervention }
            #expect(ReportSample.verdict(ended, under: policy).summary.contains(words))
        }
    }

    @Test func `a time limit is told with its parts of seconds`() {
        var policy = ReportSample.policy
        policy.limits.wallTime = .milliseconds(1500)
        let ended = report(.ended(.signalled(15))) { $0.intervention = .timeLimit }
        #expect(ReportSample.verdict(ended, under: policy).summary.contains("1.5 s"))
    }

    @Test func `a signal of processor time without such a limit is a signal`() {
        var policy = ReportSample.policy
        policy.limits.cpuTime = nil
        let verdict = ReportSample.verdict(report(.ended(.signalled(24))), under: policy)
        #expect(verdict.cause == .signal)
    }

    @Test func `what was written too much is named, with the limit to raise`() {
        var ended = report(.ended(.signalled(9)))
        ended.intervention = .projectLimit
        var written = WrittenRoom()
        (written.bytes, written.files) = (12 << 20, 3)
        written.largest = [.init(path: "/project-dir/x", bytes: 11 << 20, files: 1)]
        ended.written = written
        var policy = ReportSample.policy
        policy.limits.project = .mebibytes(10)
        let verdict = ReportSample.verdict(ended, under: policy)
        #expect(verdict.cause == .diskFull)
        #expect(verdict.summary.contains("10MiB or 4096 files"), "\(verdict.summary)")
        #expect(verdict.summary.contains("12MiB in 3 files, most of it in `/project-dir/x` (11MiB)"))
        #expect(verdict.remedy?.contains("`limits.project`") == true)
        #expect(verdict.detail["limit"] == .text("project"))
    }

    @Test(
        "large files are sent where they are kept only",
        arguments: [
            (false, .readWrite, ", or write large files to /project-dir or /data"),
            (false, .readOnly, ", or write large files to /project-dir"),
            (true, .readWrite, ", or write large files to /data"),
            (true, .none, "policy `lab`"),
        ] as [(Bool, SandboxPolicy.DataAccess, String)])
    func fullScratch(throwsProjectAway: Bool, data: SandboxPolicy.DataAccess, end: String) {
        var policy = ReportSample.policy
        policy.data = data
        let full = report(.ended(.exited(1))) {
            $0.fullPlaces = ["/"]
            $0.throwsProjectAway = throwsProjectAway
        }
        let stopped = report(.ended(.signalled(9))) {
            $0.intervention = .scratchLimit
            $0.throwsProjectAway = throwsProjectAway
        }
        for ended in [full, stopped] {
            let remedy = ReportSample.verdict(ended, under: policy).remedy ?? ""
            #expect(remedy.hasPrefix("raise `limits.scratch`") && remedy.hasSuffix(end), "\(remedy)")
        }
    }

    @Test("/data is named as a way out only where it can be written", arguments: [true, false])
    func writablePlaces(isWritable: Bool) {
        var policy = ReportSample.policy
        policy.data = isWritable ? .readWrite : .none
        for (kind, line) in [(SandboxReport.Complaint.Kind.readOnly, "/usr/a: EROFS"), (.permission, "/etc/a: EACCES")]
        {
            let refused = report(.ended(.exited(1))) { $0.complaint = .init(kind: kind, line: line) }
            let remedy = ReportSample.verdict(refused, under: policy).remedy ?? ""
            #expect(remedy.contains("/tmp") && remedy.contains("/data") == isWritable, "\(remedy)")
        }
    }

    @Test(
        "a refused file of the project, or of the data, is a matter of its mode",
        arguments: [
            ("python: can't open file '/project-dir/b.py': [Errno 13] Permission denied", true),
            ("cat: /data/x: Permission denied", true), ("/project-dir/a.sh: Permission denied", true),
            ("cat: /etc/shadow: Permission denied", false), ("cat: /usr/share/data/x: Permission denied", false),
            ("cat: b.py: Permission denied", false),
        ])
    func permission(line: String, isMode: Bool) {
        let refused = report(.ended(.exited(1))) { $0.complaint = .init(kind: .permission, line: line) }
        let remedy = ReportSample.verdict(refused).remedy ?? ""
        #expect(remedy.contains("chmod") == isMode && remedy.contains("setup script") != isMode, "\(remedy)")
    }

    @Test func `a quota is the project's, also when there is room again at the end`() {
        var policy = ReportSample.policy
        policy.limits.project = .mebibytes(8)
        let ended = report(.ended(.exited(1))) {
            $0.complaint = .init(kind: .noSpace, line: "OSError: [Errno 122] Disk quota exceeded")
        }
        let verdict = ReportSample.verdict(ended, under: policy)
        #expect(verdict.cause == .diskFull && verdict.detail["limit"] == .text("project"))
        #expect(verdict.summary.contains("project's room of 8MiB or 4096 files"), "\(verdict.summary)")
    }

    @Test(
        "signals have their names",
        arguments: [
            (1, "SIGHUP"), (2, "SIGINT"), (6, "SIGABRT"), (7, "SIGBUS"), (8, "SIGFPE"), (9, "SIGKILL"), (11, "SIGSEGV"),
            (13, "SIGPIPE"), (15, "SIGTERM"), (24, "SIGXCPU"), (25, "SIGXFSZ"), (31, "SIGSYS"), (32, "32"),
            (34, "SIGRTMIN"),
            (64, "SIGRTMIN+30"),
        ])
    func signals(number: Int32, name: String) {
        #expect(SignalName.of(number) == name)
    }

    @Test("signals that end a process by default have a name", arguments: [16, 26, 27, 29, 30] as [Int32])
    func otherSignals(number: Int32) {
        #expect(SignalName.of(number).hasPrefix("SIG"))
    }

    @Test func `a refused call is one sentence`() {
        let words = "python3 (pid 77 inside) called bpf(0): refused with EPERM by network"
        #expect(ReportSample.denial("bpf(0)").summary() == words)
        #expect(ReportSample.denial("bpf(0)").summary(policy: "lab") == words + " of policy `lab`")
        #expect(ReportSample.denial("bpf(0)", count: 12).summary().hasSuffix("; 12 times"))
    }
}

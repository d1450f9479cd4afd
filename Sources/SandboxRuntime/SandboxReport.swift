package import Isolation
package import LinuxSystem
package import SandboxLaunch

/// What happened to one sandbox.
package struct SandboxReport: Sendable {
    /// How it came to its end.
    package enum Ending: Sendable {
        /// The command ran and ended by itself or by a signal.
        case ended(ProcessEnd)
        /// The sandbox could not be set up.
        case setup(LaunchError)
        /// The program could not be executed: `missing` when there is no such file.
        case notExecuted(missing: Bool, reason: String)
        /// Process 1 vanished without a word.
        case lost
    }

    /// Why the supervisor ended it before its time.
    package enum Intervention: String, Sendable, Hashable {
        case timeLimit
        case outputLimit
        case outOfMemory
        case cancelled
        case siblingFailed
        case interrupted
    }

    package var ending: Ending
    package var intervention: Intervention?
    package var usage: ProcessUsage?
    /// Seconds from the launch to the end.
    package var seconds: Double
    package var outputBytes: Int64
    package var denials: [Denial]
    /// Refused calls of kinds beyond those in `denials`.
    package var unrecordedDenials: Int
    /// Packets that found no network.
    package var unroutedDatagrams: UInt64
    /// Growth of the run's counters while it ran.
    package var outOfMemoryKills: Int64, pidsLimitHits: Int64
    /// Most memory of the run so far, where a control group tells.
    package var peakMemory: Int64?
}

extension SandboxReport {
    /// The verdict on it under a policy: the first cause that explains the rest.
    package func verdict(of what: String, under policy: SandboxPolicy) -> Verdict {
        switch ending {
        case .setup(let error):
            return Verdict(
                .setup, "the sandbox of \(what) could not be set up: \(error)",
                detail: error.facts, remedy: SetupRemedy.of(error))
        case .notExecuted(let missing, let reason):
            return Verdict(
                .exit, "\(what) could not be executed: \(reason)", detail: ["exit_code": .integer(missing ? 127 : 126)],
                remedy: missing
                    ? "check the name, or install the program in the environment's setup script"
                    : "check that the file is a program of this machine's kind and may be executed")
        case .lost where outOfMemoryKills > 0:
            // With control groups of version 2 the kernel ends everything in the group, process 1 too.
            return outOfMemory(what, policy)
        case .lost:
            return Verdict(.signal, "\(what) was lost: process 1 of its sandbox was killed", detail: [:])
        case .ended(let end):
            return verdict(of: what, end, policy)
        }
    }

    private func verdict(of what: String, _ end: ProcessEnd, _ policy: SandboxPolicy) -> Verdict {
        let limits = policy.limits
        if let intervention { return verdict(of: what, intervention, policy) }
        if end == .exited(0) { return Verdict(.succeeded, "\(what) succeeded", detail: evidence) }
        if outOfMemoryKills > 0 { return outOfMemory(what, policy) }
        if case .signalled(let signal) = end {
            if signal == 24 || (signal == 9 && usedProcessorTime(limits)) {
                return Verdict(
                    .cpuLimit, "\(what) used up its processor time", detail: evidence,
                    remedy: "raise `limits.cpu_time` of policy `\(policy.name)`")
            }
            return Verdict(
                .signal, "\(what) was ended by signal \(SignalName.of(signal))",
                detail: evidence.merging(["signal": .text(SignalName.of(signal))]) { $1 })
        }
        guard case .exited(let code) = end else { return Verdict(.exit, "\(what) failed") }
        var detail = evidence
        detail["exit_code"] = .integer(Int64(code))
        if pidsLimitHits > 0 {
            return Verdict(
                .pidsLimit,
                "\(what) ended with exit code \(code) after it was refused processes at the limit of "
                    + "\(limits.pids ?? 0)", detail: detail,
                remedy: "raise `limits.pids` of policy `\(policy.name)`")
        }
        if let denial = denials.first { return denied(what, code, denial, detail, policy) }
        if unroutedDatagrams > 0 && policy.network == .none {
            detail["network_attempts"] = .integer(Int64(clamping: unroutedDatagrams))
            return Verdict(
                .denied,
                "\(what) ended with exit code \(code) after it tried to reach a network: policy `\(policy.name)` has none "
                    + "(\(unroutedDatagrams) attempts)", detail: detail,
                remedy: "run it under a policy with a network, such as `--policy online`")
        }
        return Verdict(.exit, "\(what) ended with exit code \(code)", detail: detail)
    }

    private func denied(
        _ what: String, _ code: Int32, _ denial: Denial, _ detail: [String: Verdict.Fact], _ policy: SandboxPolicy
    ) -> Verdict {
        let more = denials.count > 1 ? " (and \(denials.count - 1) other kinds of calls)" : ""
        return Verdict(
            .denied,
            "\(what) ended with exit code \(code) after a refusal: \(denial.summary) of policy `\(policy.name)`\(more)",
            detail: detail, remedy: denial.opensWith.map { "to allow it, a policy needs `\($0)`" })
    }

    private func outOfMemory(_ what: String, _ policy: SandboxPolicy) -> Verdict {
        let limit = policy.limits.memory?.description ?? "its limit"
        return Verdict(
            .outOfMemory, "\(what) ran out of memory at \(limit)", detail: evidence,
            remedy: "raise `limits.memory` of policy `\(policy.name)`, or use less")
    }

    private func verdict(of what: String, _ intervention: Intervention, _ policy: SandboxPolicy) -> Verdict {
        switch intervention {
        case .timeLimit:
            let limit = policy.limits.wallTime.map { "\($0.components.seconds) s" } ?? "its limit"
            return Verdict(
                .timeout, "\(what) was ended at its time limit of \(limit)", detail: evidence,
                remedy: "raise `limits.wall_time` of policy `\(policy.name)`")
        case .outputLimit:
            let limit = policy.limits.output?.description ?? "its limit"
            return Verdict(
                .outputLimit, "\(what) was ended after \(limit) of output", detail: evidence,
                remedy: "raise `limits.output` of policy `\(policy.name)`, or print less")
        case .outOfMemory: return outOfMemory(what, policy)
        case .cancelled: return Verdict(.cancelled, "\(what) was cancelled", detail: evidence)
        case .siblingFailed:
            return Verdict(.cancelled, "\(what) was ended because another step failed", detail: evidence)
        case .interrupted: return Verdict(.interrupted, "\(what) was interrupted", detail: evidence)
        }
    }

    private func usedProcessorTime(_ limits: ResourceLimits) -> Bool {
        guard let limit = limits.cpuTime, let usage else { return false }
        return usage.userSeconds + usage.systemSeconds >= Double(limit.components.seconds)
    }

    private var evidence: [String: Verdict.Fact] {
        var facts: [String: Verdict.Fact] = ["seconds": .number((seconds * 1000).rounded() / 1000)]
        if let usage {
            facts["cpu_seconds"] = .number(((usage.userSeconds + usage.systemSeconds) * 1000).rounded() / 1000)
        }
        if let peakMemory { facts["memory_peak_bytes"] = .integer(peakMemory) }
        if outOfMemoryKills > 0 { facts["oom_kills"] = .integer(outOfMemoryKills) }
        if !denials.isEmpty { facts["denials"] = .list(denials.prefix(8).map(\.summary)) }
        return facts
    }
}

extension LaunchError {
    /// The failure by its parts, for a verdict's detail.
    fileprivate var facts: [String: Verdict.Fact] {
        var facts: [String: Verdict.Fact] = ["stage": .text(step), "reason": .text(reason)]
        if let call { facts["call"] = .text(call) }
        if let object { facts["path"] = .text(object) }
        if let errno { facts["errno"] = .text(SystemCallErrno.symbol(of: errno)) }
        return facts
    }
}

/// Names of signals as signal(7) has them.
package enum SignalName {
    private static let names: [Int32: String] = [
        1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
        9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
        24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
    ]

    /// The name, or the number where there is none.
    package static func of(_ signal: Int32) -> String { names[signal] ?? "\(signal)" }
}

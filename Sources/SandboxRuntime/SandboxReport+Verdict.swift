package import Isolation
import LinuxSystem
import SandboxLaunch

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
            return outOfMemory(what, "all its processes", policy)
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
        if outOfMemoryKills > 0 {
            return outOfMemory(what, end == .signalled(9) ? "it" : "a process of it", policy)
        }
        if case .signalled(let signal) = end {
            if (signal == 24 && limits.cpuTime != nil) || (signal == 9 && usedProcessorTime(limits)) {
                return processorTime(what, policy)
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
        if let verdict = diskFull(what, code, detail, policy) { return verdict }
        if let denial = denials.first { return denied(what, code, denial, detail, policy) }
        if let verdict = networkVerdict(what, code, detail, policy) { return verdict }
        if let complaint { return complained(what, code, complaint, detail, policy) }
        return Verdict(.exit, "\(what) ended with exit code \(code)", detail: detail)
    }

    private func diskFull(
        _ what: String, _ code: Int32, _ detail: [String: Verdict.Fact], _ policy: SandboxPolicy
    ) -> Verdict? {
        let said = complaint?.kind == .noSpace ? complaint : nil
        guard said != nil || !fullPlaces.isEmpty else { return nil }
        var detail = detail
        if let said { detail["output"] = .text(said.line) }
        // EDQUOT is told by quotas only, also when there is room again at the end.
        let hadNoQuota = said?.line.contains("quota exceeded") == true && policy.limits.project != nil
        if hadNoQuota || fullPlaces.contains(StagePath.projectInside) {
            detail["limit"] = .text(LimitName.project.rawValue)
            let size = policy.limits.project.map { " of \($0) or \($0.files) files" } ?? ""
            return Verdict(
                .diskFull, "\(what) ended with exit code \(code) after the run had filled its project's room\(size)",
                detail: detail, remedy: projectRemedy(policy))
        }
        guard !fullPlaces.isEmpty else {
            // ENOSPC is the answer as well where there may be no more namespaces, of which a sandbox has none to make.
            let makesNamespaces = policy.seccomp.verdict(call: "unshare", arguments: [0x1000_0000]) == .allow
            let kept = roomyPlaces(policy).joined(separator: " or ")
            return Verdict(
                .diskFull,
                "\(what) ended with exit code \(code) for want of space: its output says `\(said?.line ?? "")`",
                detail: detail,
                remedy: (makesNamespaces ? "if it was to make a namespace, no policy gives it one; else " : "")
                    + (kept.isEmpty ? "" : "make room where \(kept) is kept, or ")
                    + "raise `limits.scratch` of policy `\(policy.name)` if it had filled /tmp and has removed it "
                    + "since")
        }
        detail["full"] = .list(fullPlaces)
        detail["limit"] = .text(LimitName.scratch.rawValue)
        let places = fullPlaces.map { $0 == "/" ? "the file system of /tmp and the root" : $0 }
        let size = policy.limits.scratch.map { " of \($0)" } ?? ""
        return Verdict(
            .diskFull,
            "\(what) ended with exit code \(code) after it had filled \(places.joined(separator: " and "))\(size)",
            detail: detail,
            remedy: scratchRemedy(policy))
    }

    /// Places whose content is kept, and takes no room of what is thrown away.
    private func roomyPlaces(_ policy: SandboxPolicy) -> [String] {
        (throwsProjectAway ? [] : ["/project-dir"]) + (policy.data == .readWrite ? ["/data"] : [])
    }

    private func scratchRemedy(_ policy: SandboxPolicy) -> String {
        let places = roomyPlaces(policy).joined(separator: " or ")
        return "raise `limits.scratch` of policy `\(policy.name)`"
            + (places.isEmpty ? "" : ", or write large files to \(places)")
    }

    /// The kernel tells nobody of refused or missing files, so this is what the command itself says of them.
    private func complained(
        _ what: String, _ code: Int32, _ complaint: Complaint, _ detail: [String: Verdict.Fact], _ policy: SandboxPolicy
    ) -> Verdict {
        var detail = detail
        detail["output"] = .text(complaint.line)
        let verdict = Verdict(
            .exit, "\(what) ended with exit code \(code)", detail: detail,
            remedy: remedy(for: complaint.kind, complaint.line, policy))
        guard complaint.kind == .readOnly else { return verdict }
        return Verdict(
            .denied, "\(verdict.summary) after a refusal: its output says `\(complaint.line)`", detail: detail,
            remedy: verdict.remedy)
    }

    private func remedy(for kind: Complaint.Kind, _ line: String, _ policy: SandboxPolicy) -> String? {
        let ignored = "`cloche snapshot create --explain PATH` tells whether an ignore rule leaves it out"
        switch kind {
        case .readOnly where line.contains("/data") && policy.data == .readOnly:
            return "use a policy with `data: rw`: `\(policy.name)` shows /data read-only"
        case .readOnly:
            return "write to \(writablePlaces(policy)); what is read-only in a sandbox is the kernel's, or was shown "
                + "read-only"
        case .permission where ["/project-dir", "/data"].contains(where: { Self.names($0, in: line) }):
            return "the mode of what is named, or of a directory above it, forbids it: `ls -l` shows it, and `chmod` "
                + "changes it"
        case .permission:
            return "files of the environment that belong to root can be changed in its setup script only: write to "
                + "\(writablePlaces(policy)); if it is a file of the project, see its mode"
                + (policy.data == .readWrite ? "; no socket can be made in /data: make it in /tmp" : "")
        case .missingModule:
            return "install what is missing in the setup script of the environment; if it is a file of the project, "
                + ignored
        case .missingFile:
            return "if the file is one of the project, \(ignored)"
                + (policy.data == .none ? "" : "; other files can be kept in /data")
        // Both have been told of, or are no matter of the sandbox.
        case .noSpace, .unreachable: return nil
        }
    }

    private func writablePlaces(_ policy: SandboxPolicy) -> String {
        "/project-dir, /tmp" + (policy.data == .readWrite ? ", the home directory or /data" : " or the home directory")
    }

    /// Whether a line names something below a directory, and not below one whose path only ends so.
    private static func names(_ directory: String, in line: String) -> Bool {
        line.ranges(of: directory + "/").contains { range in
            guard let before = line[..<range.lowerBound].last else { return true }
            return !before.isLetter && !before.isNumber && !"/._-".contains(before)
        }
    }

    private func denied(
        _ what: String, _ code: Int32, _ denial: Denial, _ detail: [String: Verdict.Fact], _ policy: SandboxPolicy
    ) -> Verdict {
        let more = denials.count > 1 ? " (and \(denials.count - 1) other kinds of calls)" : ""
        return Verdict(
            .denied,
            "\(what) ended with exit code \(code) after a refusal: \(denial.summary(policy: policy.name))\(more)",
            detail: detail,
            remedy: denial.opensWith.map {
                "to allow it, write a policy with `extends: \(policy.name)` and `\($0)` to `policies/NAME.yaml` in the store"
                    + (denial.remark.map { "; \($0)" } ?? "")
            } ?? denial.remark.map { "no policy can allow it: \($0)" })
    }

    /// `who` was killed for it.
    private func outOfMemory(_ what: String, _ who: String, _ policy: SandboxPolicy) -> Verdict {
        let limit = policy.limits.memory
        let peak = peakMemory.flatMap { ByteCount(($0 >> 20) << 20) }.map { ", with a peak of \($0)" } ?? ""
        var detail = evidence
        if let limit { detail["memory_limit_bytes"] = .integer(limit.bytes) }
        detail["killed"] = .text(who)
        return Verdict(
            .outOfMemory, "\(what) ran out of memory at \(limit?.description ?? "its limit")\(peak): \(who) was killed",
            detail: detail,
            remedy: "raise `limits.memory` of policy `\(policy.name)`, or use less")
    }

    private func verdict(of what: String, _ intervention: Intervention, _ policy: SandboxPolicy) -> Verdict {
        switch intervention {
        case .timeLimit:
            let limit =
                policy.limits.value(of: .wallTime).map { $0 == $0.rounded() ? "\(Int64($0)) s" : "\($0) s" }
                ?? "its limit"
            return Verdict(
                .timeout, "\(what) was ended at its time limit of \(limit)", detail: evidence,
                remedy: "raise `limits.wall_time` of policy `\(policy.name)`")
        case .runTimeLimit, .jobTimeLimit:
            let limit: TimeLimit = intervention == .runTimeLimit ? .run : .job
            return Verdict(
                .timeout, "\(what) was ended when the time of its \(limit == .run ? "run" : "job") was over",
                detail: evidence.merging(limit.detail(nil)) { first, _ in first }, remedy: limit.remedy)
        case .outputLimit:
            let limit = policy.limits.output?.description ?? "its limit"
            return Verdict(
                .outputLimit, "\(what) was ended after \(limit) of output", detail: evidence,
                remedy: "raise `limits.output` of policy `\(policy.name)`, or print less")
        case .outOfMemory: return outOfMemory(what, outOfMemoryKills > 0 ? "a process of it" : "it", policy)
        case .processorTime: return processorTime(what, policy)
        case .diskReserve:
            return Verdict(
                .diskFull, "\(what) was ended when the disk that runs are kept on was nearly full", detail: evidence,
                remedy: "make room there: remove jobs with `cloche rm`, or write less to /project-dir and /data")
        case .userLimit:
            return Verdict(
                .diskFull, "\(what) was ended when its user kept more on the disk of the service than he may",
                detail: evidence.merging(["limit": .text(DiskExcess.limitName)]) { first, _ in first },
                remedy: DiskExcess.remedy)
        case .projectLimit: return tooMuch(what, .project, policy.limits.project, policy)
        case .scratchLimit: return tooMuch(what, .scratch, policy.limits.scratch, policy)
        case .cancelled: return Verdict(.cancelled, "\(what) was cancelled", detail: evidence)
        case .siblingFailed:
            return Verdict(.cancelled, "\(what) was ended because another step failed", detail: evidence)
        case .interrupted: return Verdict(.interrupted, "\(what) was interrupted", detail: evidence)
        }
    }

    /// It was ended for what had been written.
    private func tooMuch(_ what: String, _ name: LimitName, _ limit: ByteCount?, _ policy: SandboxPolicy) -> Verdict {
        var detail = evidence
        detail["limit"] = .text(name.rawValue)
        if let limit {
            detail["limit_bytes"] = .integer(limit.bytes)
            detail["limit_files"] = .integer(limit.files)
        }
        var found = "more"
        if let written {
            detail["written_room_bytes"] = .integer(written.bytes)
            detail["written_files"] = .integer(written.files)
            detail["largest"] = .list(written.largest.map(\.path))
            found = written.isTooDeep ? "directories too deep to be measured" : written.description
        }
        let size = limit.map { "\($0) or \($0.files) files" } ?? "its limit"
        let place = name == .scratch ? "for changes that are thrown away" : "for what is kept"
        return Verdict(
            .diskFull, "\(what) was ended at the limit of \(size) \(place): there were \(found)", detail: detail,
            remedy: name == .project
                ? projectRemedy(policy)
                : scratchRemedy(policy))
    }

    private func projectRemedy(_ policy: SandboxPolicy) -> String {
        "raise `limits.project` of policy `\(policy.name)`, remove what is not needed any more, or write large files to /data"
    }

    private func processorTime(_ what: String, _ policy: SandboxPolicy) -> Verdict {
        let limit = policy.limits.cpuTime.map { " of \($0.components.seconds) s" } ?? ""
        return Verdict(
            .cpuLimit, "\(what) used up its processor time\(limit)", detail: evidence,
            remedy: "raise `limits.cpu_time` of policy `\(policy.name)`")
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
        if let traffic {
            facts["read_bytes"] = .integer(traffic.readBytes)
            facts["written_bytes"] = .integer(traffic.writtenBytes)
        }
        if outOfMemoryKills > 0 { facts["oom_kills"] = .integer(outOfMemoryKills) }
        if !denials.isEmpty { facts["denials"] = .list(denials.prefix(8).map { $0.summary() }) }
        facts.merge(networkEvidence) { $1 }
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

import Isolation
import Testing

@testable import Policies

/// What holds for every policy and every ceiling, tried on many that are made at random from a fixed seed.
@Suite struct PolicyPropertyTests {
    private static let calls = ["ptrace", "bpf", "mount", "io_uring_setup", "flock", "statx", "socket", "userfaultfd"]
    private static let groups = ["debug", "mounts", "io-uring", "namespaces", "keyrings"]

    private static func words(_ words: [String], _ random: inout SeededGenerator, atMost: Int) -> [String] {
        Array(words.shuffled(using: &random).prefix(Int.random(in: 0...atMost, using: &random)))
    }

    /// The lines that a policy and a ceiling have in common.
    private static func lines(_ random: inout SeededGenerator) -> [String] {
        var lines: [String] = []
        func sometimes(_ line: @autoclosure () -> String) {
            if Bool.random(using: &random) { lines.append(line()) }
        }
        sometimes("network: \(["none", "outbound", "host"].randomElement(using: &random) ?? "")")
        sometimes("devices: \(["none", "[dri]", "[nvidia, dri]"].randomElement(using: &random) ?? "")")
        sometimes(
            "data: {access: \(["rw", "ro"].randomElement(using: &random) ?? ""), scope: \(["shared", "project", "job"].randomElement(using: &random) ?? "")}"
        )
        let limits = [
            "memory: \(Int.random(in: 1...9, using: &random))GiB", "pids: \(Int.random(in: 2...5000, using: &random))",
            "cpus: \(Int.random(in: 1...9, using: &random))", "wall_time: \(Int.random(in: 1...9, using: &random))h",
            "output: {value: \(Int.random(in: 1...9, using: &random))MiB, enforce: best-effort}",
        ]
        return lines + ["limits: {\(words(Array(limits.prefix(4)), &random, atMost: 4).joined(separator: ", "))}"]
    }

    /// A list of calls that has what is allowed by name, and nothing that is denied.
    private static func list(_ allowed: [String], _ denied: [String], _ random: inout SeededGenerator) -> String {
        let usual = ["access", "clone", "dup", "fcntl", "getpid", "ioctl", "lseek", "poll", "prctl", "wait4"]
        let named = allowed.filter { SystemCallTable.knows($0) }
        let others = words(usual + calls, &random, atMost: 8).filter { !denied.contains($0) && !named.contains($0) }
        return (named + others).joined(separator: ", ")
    }

    private static func policy(_ random: inout SeededGenerator) throws -> SandboxPolicy {
        let base = ["default", "strict", "online", "gpu"].randomElement(using: &random) ?? ""
        let denied = words(calls, &random, atMost: 2)
        let allowed = words(groups + calls, &random, atMost: 3).filter { !denied.contains($0) }
        let only = Int.random(in: 0...2, using: &random) > 0 ? "" : ", only: [\(list(allowed, denied, &random))]"
        let text =
            ["extends: \(base)"] + lines(&random)
            + [
                "seccomp: {allow: [\(allowed.joined(separator: ", "))], deny: [\(denied.joined(separator: ", "))]\(only)}"
            ]
        return try lab(text.joined(separator: "\n"))
    }

    @Test func `what a ceiling has clipped never allows what the ceiling forbids`() throws {
        var random = SeededGenerator(seed: 0xCE111)
        for _ in 0..<400 {
            guard let wanted = try? Self.policy(&random) else { continue }
            let denied = Self.words(Self.calls, &random, atMost: 3)
            let listed = Self.words(Self.calls + ["dup", "poll", "wait4"], &random, atMost: 8).filter {
                !denied.contains($0)
            }
            let only = Bool.random(using: &random) ? "" : ", only: [\(listed.joined(separator: ", "))]"
            let text =
                Self.lines(&random) + [
                    "seccomp: {deny: [\(denied.joined(separator: ", "))]\(only)}", "identity: range",
                ]
            let ceiling = try PolicyCeiling(reading: Array(text.joined(separator: "\n").utf8), file: "ceiling.yaml")
            // The most that the ceiling leaves: every policy that is clipped is at most this.
            var most = try lab(
                "extends: default\nnetwork: host\ndevices: [nvidia, rocm, dri]\nlimits: {memory: 1024TiB, pids: 4000000, cpus: 8000, wall_time: 3650d}\n"
            )
            ceiling.clip(&most)
            var clipped = wanted
            ceiling.clip(&clipped)
            #expect(PolicyDifference.between(wanted, clipped).allSatisfy { $0.effect == .less }, "\(text)")
            for call in denied {
                #expect(clipped.seccomp.rules[call]?.verdicts.contains(.allow) != true, "\(call) \(text)")
            }
            for rule in clipped.seccomp.rules.values where !only.isEmpty && rule.verdicts.contains(.allow) {
                #expect(listed.contains(rule.call) || SeccompPolicy.indispensable.contains(rule.call), "\(text)")
            }
            for difference in PolicyDifference.between(most, clipped) where difference.key != "seccomp" {
                let isCapped = text.contains { $0.contains(difference.key.split(separator: ".").last ?? "") }
                #expect(difference.effect != .more || !isCapped, "\(difference) \(text)")
            }
            var twice = clipped
            #expect(ceiling.clip(&twice).isEmpty && twice == clipped)
        }
    }

    @Test func `there is no difference exactly where the plans are equal`() throws {
        var random = SeededGenerator(seed: 0xD1FF)
        var policies = BuiltInPolicies.all
        while policies.count < 30 { if let policy = try? Self.policy(&random) { policies.append(policy) } }
        for before in policies {
            for after in policies {
                let isEmpty = PolicyDifference.between(before, after).isEmpty
                #expect(isEmpty == (Plan(before) == Plan(after)), "\(before.name) \(after.name)")
            }
        }
    }

    /// What of a policy decides over a sandbox: everything but names and reasons.
    private struct Plan: Hashable {
        var network: String, data: String, scope: String
        var identity: SandboxPolicy.Identity
        var devices: DeviceAccess?
        var needsRange: Bool
        var limits: ResourceLimits
        var hard: Set<LimitName>
        var calls: [String: [String]]

        init(_ policy: SandboxPolicy) {
            network = policy.networkText
            data = policy.data.rawValue
            scope = policy.data == .none ? "" : policy.dataScope.rawValue
            identity = policy.identity
            devices = policy.devices
            needsRange = policy.needsRange
            limits = policy.limits
            hard = policy.hardLimits
            calls = policy.seccomp.rules.mapValues { rule in
                let texts = rule.verdicts.map(Self.text)
                // Where arguments decide, the rule as a whole does.
                return Set(texts).count == 1 ? [texts[0]] : texts + rule.cases.map { "\($0.conditions)" }
            }
        }

        private static func text(_ verdict: SeccompVerdict) -> String {
            switch verdict {
            case .allow: "allow"
            case .refuse(let refusal): "\(refusal.errno) \(refusal.reporting)"
            }
        }
    }
}

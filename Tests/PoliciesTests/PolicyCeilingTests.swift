import Isolation
import Policies
import Testing

/// The administrator's ceiling.
struct PolicyCeilingTests {
    private func ceiling(_ text: String) throws(PolicyError) -> PolicyCeiling {
        try PolicyCeiling(reading: Array(text.utf8), file: "ceiling.yaml")
    }

    private func clipped(_ policy: SandboxPolicy, by text: String) throws -> SandboxPolicy {
        var policy = policy
        try ceiling(text).clip(&policy)
        return policy
    }

    @Test func `it takes what exceeds it, says where, and leaves the rest`() throws {
        let policy = try clipped(
            BuiltInPolicies.online,
            by: """
                network: none
                limits: {memory: 1GiB, pids: 100000, cpu_time: 10m}
                """)
        #expect(policy.network == .none && policy.data == .readWrite)
        #expect(policy.limits.value(of: .memory) == Double(1 << 30))
        #expect(policy.limits.value(of: .pids) == BuiltInPolicies.online.limits.value(of: .pids))
        #expect(policy.limits.value(of: .cpuTime) == 600)
        #expect(
            policy.clipped == [
                "network outbound to none, by ceiling.yaml:1:10",
                "limits.memory 4GiB to 1GiB, by ceiling.yaml:2:18",
                "limits.cpu_time unlimited to 600s, by ceiling.yaml:2:48",
            ])
    }

    @Test(
        "every key clips, and nothing that is below it is touched",
        arguments: [
            ("network: outbound", "network: host", "network: outbound"), ("data: ro", "data: rw", "data: none"),
            (
                "data: {access: rw, scope: project}", "data: {access: rw, scope: shared}",
                "data: {access: rw, scope: job}"
            ),
            ("identity: range", "identity: any", "identity: range"),
            ("limits: {output: 1MiB}", "limits: {output: unlimited}", "limits: {output: 1KiB}"),
            (
                "limits: {memory: {value: 9GiB, enforce: hard}}", "limits: {memory: 1GiB}",
                "limits: {memory: {value: 1GiB, enforce: hard}}"
            ),
            ("devices: [dri]", "devices: [dri, nvidia]", "devices: [dri]"),
            ("devices: none", "devices: {allow: [rocm], need: none}", "limits: {}"),
            ("seccomp: {deny: [flock]}", "limits: {}", "seccomp: {deny: [flock]}"),
            ("seccomp: {deny: [ptrace]}", "seccomp: {allow: [ptrace]}", "limits: {}"),
            ("seccomp: {only: [flock, clone]}", "limits: {}", "seccomp: {only: [clone]}"),
        ])
    func keys(text: String, above: String, below: String) throws {
        let (high, low) = (try lab("extends: default\n" + above), try lab("extends: default\n" + below))
        let clipped = try clipped(high, by: text)
        #expect(clipped.clipped?.count == 1)
        #expect(clipped.clipped?[0].contains("ceiling.yaml:1:") == true)
        // What is left can no more than what was wanted, and a second clipping finds nothing.
        let effects = PolicyDifference.between(high, clipped).map(\.effect)
        #expect(!effects.isEmpty && effects.allSatisfy { $0 == .less })
        #expect(try self.clipped(clipped, by: text) == clipped)
        #expect(try self.clipped(low, by: text) == low)
    }

    @Test func `it holds for every policy that a catalogue gives`() throws {
        let text = Array("extends: online\nlimits: {memory: 64GiB}\n".utf8)
        let layer = PolicyCatalogue.Layer(
            directory: "policies", fileNames: { ["lab.yaml"] }, read: { $0 == "lab.yaml" ? text : nil })
        let catalogue = PolicyCatalogue(layers: [layer], ceiling: try ceiling("network: none\n"))
        for name in catalogue.names { #expect(try catalogue.policy(named: name).network == .none) }
        let resolved = try catalogue.resolve(reading: Array("network: host".utf8), name: "other", file: "other.yaml")
        #expect(resolved.policy.network == .none)
    }

    @Test(
        "what would clip nothing is an error, with its place",
        arguments: [
            ("extends: default\n", ":1:1:"), ("seccomp: {allow: [ptrace]}\n", ":1:19:"), ("identity: any\n", ":1:11:"),
            ("limits: {memory: unlimited}\n", ":1:18:"), ("limits: {memory: {enforce: hard}}\n", ":1:28:"),
            ("limits: {memory: {value: 1GiB, enforce: best-effort}}\n", ":1:41:"), ("netwrk: none\n", ":1:1:"),
            ("network: nine\n", ":1:10:"), ("seccomp: {deny: [unsharee]}\n", ":1:18:"),
        ])
    func problems(text: String, place: String) throws {
        let error = try #require(throws: PolicyError.self) { try ceiling(text) }
        #expect(error.description.hasPrefix("ceiling.yaml" + place), "\(error)")
    }
}

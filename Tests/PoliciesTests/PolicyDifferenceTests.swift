import Isolation
import Policies
import Testing

/// What two policies decide differently.
struct PolicyDifferenceTests {
    private typealias Effect = PolicyDifference.Effect

    private func differences(_ before: String, _ after: String) throws -> [String: Effect] {
        let policies = try (lab(before), lab(after))
        return Dictionary(
            PolicyDifference.between(policies.0, policies.1).map { ($0.key, $0.effect) }, uniquingKeysWith: { $1 })
    }

    @Test(
        "a policy does not differ from itself, whatever its name",
        arguments: [BuiltInPolicies.standard, BuiltInPolicies.strict, BuiltInPolicies.online])
    func same(policy: SandboxPolicy) {
        var other = policy
        other.name = "other"
        other.seccomp.name = "other"
        #expect(PolicyDifference.between(policy, other).isEmpty)
    }

    @Test(
        "what one allows more, the other allows less",
        arguments: [
            ("network: none", "network: outbound", "network"), ("network: outbound", "network: host", "network"),
            ("data: ro", "data: rw", "data"), ("data: none", "data: ro", "data"),
            ("data: {access: rw, scope: job}", "data: {access: rw, scope: shared}", "data.scope"),
            ("identity: range", "network: none", "identity"),
            ("limits: {memory: 1GiB}", "limits: {memory: 2GiB}", "limits.memory"),
            ("limits: {memory: 1GiB}", "limits: {memory: unlimited}", "limits.memory"),
            (
                "limits: {pids: {value: 9, enforce: hard}}", "limits: {pids: {value: 9, enforce: best-effort}}",
                "limits.pids.enforce"
            ),
            ("seccomp: {deny: [flock]}", "network: none", "seccomp"),
            ("network: none", "seccomp: {allow: [ptrace]}", "seccomp"),
        ])
    func ordered(less: String, more: String, key: String) throws {
        #expect(try differences("extends: default\n" + less, "extends: default\n" + more) == [key: .more])
        #expect(try differences("extends: default\n" + more, "extends: default\n" + less) == [key: .less])
    }

    @Test func `calls are named, and stand together when the same becomes of them`() throws {
        let all = PolicyDifference.between(
            BuiltInPolicies.standard, try lab("extends: default\nseccomp: {deny: [flock, getcpu], allow: [ptrace]}"))
        #expect(all.map(\.calls) == [["flock", "getcpu"], ["ptrace"]])
        #expect(all.map(\.effect) == [.less, .more])
        #expect(all[0].before == "allowed" && all[0].after.hasPrefix("refused"))
    }

    @Test func `whom data is shared with does not matter where there is none`() {
        var other = BuiltInPolicies.strict
        other.dataScope = .job
        #expect(PolicyDifference.between(BuiltInPolicies.strict, other).isEmpty)
    }

    @Test func `the strict policy allows nothing that the default one does not`() {
        let effects = PolicyDifference.between(BuiltInPolicies.standard, BuiltInPolicies.strict).map(\.effect)
        #expect(!effects.isEmpty && !effects.contains(.more))
    }
}

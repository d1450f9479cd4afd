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
            ("seccomp: {only: [flock]}", "network: none", "seccomp"),
            ("seccomp: {only: [flock]}", "seccomp: {only: [flock, clone]}", "seccomp"),
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

    @Test func `a call that a list leaves out and one that is denied are refused alike`() throws {
        let all = PolicyDifference.between(
            try lab("seccomp: {deny: [dup]}"), try lab("seccomp: {only: [dup]}"))
        #expect(all.filter { $0.effect == .more }.map(\.calls) == [["dup"]])
        let rest = try lab("seccomp: {only: [getpid]}").seccomp.rules.values.filter {
            !$0.verdicts.contains(.allow)
                && BuiltInPolicies.standard.seccomp.rules[$0.call]?.verdicts.contains(.allow) == true
        }.map(\.call)
        let denied = try lab("seccomp: {deny: [\(rest.sorted().joined(separator: ", "))]}")
        let differing = PolicyDifference.between(denied, try lab("seccomp: {only: [getpid]}")).flatMap(\.calls)
        // Where the base looks at arguments, denying gives one answer, and a list keeps those of the base.
        #expect(
            differing.allSatisfy { BuiltInPolicies.standard.seccomp.rules[$0]?.cases.isEmpty == false }, "\(differing)")
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

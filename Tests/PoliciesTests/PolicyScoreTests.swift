import Isolation
import Testing

@testable import Policies

@Suite struct PolicyScoreTests {
    @Test func `scores of the built-in policies`() {
        let scores = BuiltInPolicies.all.map { "\($0.name) \(PolicyScore($0).score)" }
        #expect(scores == ["default 2.2", "strict 0.0", "online 3.4", "gpu 3.4", "build 3.4"])
    }

    @Test func `a policy that allows less never scores more`() throws {
        let steps = [
            "extends: default\nnetwork: host\nseccomp: {allow: [debug, mounts, namespaces, io-uring, bpf]}\n",
            "extends: default\nnetwork: host\nseccomp: {allow: [debug, io-uring]}\n",
            "extends: default\nnetwork: outbound\n", "extends: default\n", "extends: default\ndata: ro\n",
            "extends: default\ndata: {access: ro, scope: job}\n",
            "extends: default\ndata: none\nidentity: range\n", "extends: strict\n",
        ]
        let scores = try steps.map { PolicyScore(try lab($0)).score }
        #expect(scores == scores.sorted(by: >) && Set(scores).count == scores.count, "\(scores)")
        let open = try lab(
            "extends: default\nnetwork: host\nlimits: {\(LimitName.allCases.map { "\($0.rawValue): unlimited" }.joined(separator: ", "))}\n"
                + "seccomp: {allow: [\(openable.joined(separator: ", "))]}\n")
        #expect(PolicyScore(open).score > 8 && PolicyScore(open).score <= 10, "\(PolicyScore(open).score)")
    }

    /// What a document can open of the default policy.
    private var openable: [String] {
        Set(
            BuiltInPolicies.standard.seccomp.groups.values.filter { $0.opening != .none }
                .flatMap { group in
                    group.opening == .group
                        ? [group.id.rawValue] : BuiltInPolicies.standard.seccomp.calls(refusedBy: group.id)
                }
        ).sorted()
    }

    @Test func `every reason that a policy can open has a weight`() {
        let groups = BuiltInPolicies.strict.seccomp.groups.values.filter { $0.opening != .none }.map(\.id)
        #expect(Set(groups).subtracting(PolicyScore.weighedGroups).isEmpty)
    }

    @Test func `closing a door as its row says takes its points away`() throws {
        for base in ["default", "online"] {
            let policy = try lab("extends: \(base)\n")
            for door in PolicyScore(policy).doors where !door.closing.contains("…") {
                let closed = PolicyScore(try lab("extends: \(base)\n\(door.closing)\n"))
                #expect(closed.score < PolicyScore(policy).score, "\(door.closing)")
            }
        }
    }

    @Test func `a question of a row is a question, and is answered by yes while the door is open`() throws {
        for name in BuiltInPolicies.names {
            let policy = try #require(BuiltInPolicies.named(name))
            for door in PolicyScore(policy).doors {
                #expect(door.probe != nil || door.question != nil)
                guard let text = door.question else { continue }
                switch try PolicyQuestion(parsing: text) {
                case .call(let call, let arguments):
                    #expect(policy.answer(call: call, arguments: arguments).isAllowed == true, "\(text)")
                case .connect(let address, let port):
                    #expect(policy.answer(connectTo: address, port: port).isAllowed == true)
                default: break
                }
            }
        }
    }

    @Test func `each built-in policy says for whom it is, and no other does`() {
        for name in BuiltInPolicies.names { #expect(PolicyPurpose.of(name)?.text.isEmpty == false) }
        #expect(PolicyPurpose.of("lab") == nil)
    }
}

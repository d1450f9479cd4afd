import Isolation
import Policies
import Testing

/// What is proposed for what was seen.
struct PolicyLessonTests {
    private func evidence(_ calls: SandboxRecording.Call...) -> PolicyEvidence {
        var evidence = PolicyEvidence()
        evidence.recordings = [SandboxRecording(calls: calls, data: .read)]
        return evidence
    }

    /// The policy that a document is, beside others.
    private func policy(_ lesson: PolicyLesson, _ granted: Set<String> = [], _ others: [String: String] = [:]) throws
        -> SandboxPolicy
    {
        try lab(lesson.document(granting: granted), others: others)
    }

    @Test func `what was seen is allowed, and what was seen once is marked`() throws {
        let lesson = PolicyLesson(
            BuiltInPolicies.standard,
            from: evidence(
                .init("getppid", count: 1), .init("dup", count: 2),
                .init("socket", count: 3, uses: ["socket(AF_UNIX, SOCK_STREAM, 0)"])))
        let text = lesson.document(granting: [])
        for line in [
            "    - getppid  # seen once\n", "    - dup\n", "    - socket  # AF_UNIX\n",
            "data: {access: ro, scope: shared}\n",
        ] {
            #expect(text.contains(line), "\(text)")
        }
        let learnt = try policy(lesson)
        #expect(learnt.seccomp.verdict(call: "dup", arguments: []) == .allow)
        #expect(learnt.seccomp.verdict(call: "flock", arguments: []) != .allow)
        #expect(PolicyDifference.between(BuiltInPolicies.standard, learnt).allSatisfy { $0.effect == .less })
        #expect(lesson.questions.isEmpty && lesson.counts == (3, 1))
    }

    @Test func `what is dangerous is in it when it is granted, one by one`() throws {
        var seen = evidence(.init("dup", count: 2))
        seen.refused = [
            .init(call: "ptrace", group: "debug", count: 1, summary: "ptrace"),
            .init(call: "bpf", group: "kernel-interfaces", count: 1, summary: "bpf"),
            .init(call: "chmod", group: "setuid-bits", count: 1, summary: "chmod"),
        ]
        seen.unroutedPackets = 2
        let lesson = PolicyLesson(BuiltInPolicies.standard, from: seen)
        #expect(lesson.questions.map(\.name) == ["debug", "bpf", "network"])
        #expect(lesson.notes.count == 1 && lesson.notes[0].contains("`chmod`"))
        let none = try policy(lesson)
        #expect(none.network == .none)
        for call in ["ptrace", "bpf"] { #expect(none.seccomp.verdict(call: call, arguments: []) != .allow) }
        let one = try policy(lesson, ["bpf", "network"])
        #expect(one.network == .outbound)
        #expect(one.seccomp.verdict(call: "bpf", arguments: []) == .allow)
        #expect(one.seccomp.verdict(call: "ptrace", arguments: []) != .allow)
        #expect(one.seccomp.verdict(call: "process_vm_readv", arguments: []) != .allow)
    }

    @Test func `what a policy opens that is dangerous has to be granted as well`() throws {
        let base = try lab("seccomp: {allow: [ptrace]}")
        let lesson = PolicyLesson(base, from: evidence(.init("ptrace", count: 2, dangers: ["debug"])))
        #expect(lesson.questions.map(\.name) == ["ptrace"])
        #expect(!lesson.document(granting: []).contains("ptrace"))
        #expect(lesson.document(granting: ["ptrace"]).contains("    - ptrace\n"))
    }

    @Test func `a filtered network leads where it was used, and to private addresses only when that is granted`() throws
    {
        var base = BuiltInPolicies.standard
        base.network = .filtered
        var seen = evidence()
        seen.recordings[0].connections = [
            .init("data.example.org:443", isAllowed: true, count: 1, isPrivate: false),
            .init("10.1.2.3:5432", isAllowed: true, count: 1, isPrivate: true),
            .init("other.example.org:443", isAllowed: false, count: 1, isPrivate: false),
        ]
        let lesson = PolicyLesson(base, from: seen)
        #expect(lesson.questions.map(\.name) == ["10.1.2.3:5432", "other.example.org:443"])
        #expect(lesson.document(granting: []).contains("allow: [\"data.example.org:443\"]}"))
        #expect(
            lesson.document(granting: ["10.1.2.3:5432"]).contains("[\"10.1.2.3:5432\", \"data.example.org:443\"]"))
    }

    @Test func `a list is compared with what was seen`() throws {
        let base = try lab("seccomp: {only: [dup, getppid]}")
        var seen = evidence(.init("dup", count: 2))
        seen.refused = [.init(call: "flock", group: "unlisted", count: 1, summary: "flock")]
        let lesson = PolicyLesson(base, from: seen)
        #expect(lesson.beyond == ["flock"] && lesson.unused == ["getppid"] && lesson.questions.isEmpty)
        let text = lesson.document(granting: [])
        #expect(text.contains("allow: [flock]") && text.contains("- flock  # it was refused"), "\(text)")
    }
}

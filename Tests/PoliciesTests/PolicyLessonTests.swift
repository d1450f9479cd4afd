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

    @Test func `a destination that led to a private address once has to be granted, whatever it led to before`() throws
    {
        var base = BuiltInPolicies.standard
        base.network = .filtered
        var seen = evidence()
        seen.recordings[0].connections = [
            .init("turning.example.org:443", isAllowed: true, count: 1, isPrivate: false),
            .init("turning.example.org:443", isAllowed: true, count: 2, isPrivate: true),
        ]
        let lesson = PolicyLesson(base, from: seen)
        #expect(lesson.questions.map(\.name) == ["turning.example.org:443"])
        #expect(lesson.questions.first?.seen.contains("3 times") == true)
        #expect(lesson.document(granting: []).contains("network: none\n"))
    }

    @Test func `a name that a program made up is never part of the document`() throws {
        var base = BuiltInPolicies.standard
        base.network = .filtered
        for name in ["x\"]}\nusers: [root", "a b:443", "name-without-port", "*:443", ""] {
            for isAllowed in [true, false] {
                var seen = evidence(.init("dup", count: 2))
                seen.recordings[0].connections = [.init(name, isAllowed: isAllowed, count: 1, isPrivate: false)]
                let lesson = PolicyLesson(base, from: seen)
                let text = lesson.document(granting: [name])
                #expect(text.contains("network: none\n") && !text.contains("users"), "\(text)")
                #expect(isAllowed || lesson.notes.contains { $0.contains("was looked up") }, "\(lesson.notes)")
                #expect(try policy(lesson, [name]).network == .none)
            }
        }
    }

    @Test func `a call that the extended policy refuses, seen under another one, has to be granted`() throws {
        let lesson = PolicyLesson(BuiltInPolicies.standard, from: evidence(.init("ptrace", count: 2)))
        #expect(lesson.questions.count == 1 && lesson.questions[0].seen.contains("ptrace was called 2 times"))
        let once = PolicyLesson(BuiltInPolicies.standard, from: evidence(.init("ptrace", count: 1)))
        #expect(once.questions.first?.seen.contains("ptrace was called once") == true)
        #expect(!lesson.document(granting: []).contains("ptrace"))
        let granted = try policy(lesson, Set(lesson.questions.map(\.name)))
        #expect(granted.seccomp.verdict(call: "ptrace", arguments: []) == .allow)
    }

    @Test func `a usual call with an unusual use stays, and its use is told; dangers of all sandboxes count`() throws {
        var seen = evidence(.init("clone", count: 2))
        seen.recordings.append(
            SandboxRecording(calls: [.init("clone", count: 1, dangers: ["namespaces"])], data: .unused))
        let lesson = PolicyLesson(BuiltInPolicies.standard, from: seen)
        #expect(lesson.questions.isEmpty && lesson.notes.count == 1, "\(lesson.notes)")
        #expect(lesson.notes.first?.contains("`clone` was used in a way that `default` refuses (namespaces)") == true)
        #expect(lesson.document(granting: []).contains("    - clone\n"))
        // Refused in the one form, made in the other: the form that is usual is kept.
        seen.refused = [.init(call: "clone", group: "namespaces", count: 1, summary: "clone")]
        #expect(PolicyLesson(BuiltInPolicies.standard, from: seen).document(granting: []).contains("    - clone\n"))
    }

    @Test(
        "/data, the network and limits are taken away only where it is known that they were not used",
        arguments: [
            (SandboxRecording.DataUse.unused, "data: none\n"), (.read, "data: {access: ro, scope: shared}\n"),
            (.written, nil), (.unknown, nil),
        ] as [(SandboxRecording.DataUse, String?)])
    func narrowing(data: SandboxRecording.DataUse, line: String?) throws {
        var seen = evidence(.init("dup", count: 2))
        seen.recordings[0].data = data
        seen.peakMemory = 100 << 20
        seen.peakProcesses = 1 << 20
        let lesson = PolicyLesson(BuiltInPolicies.standard, from: seen)
        let text = lesson.document(granting: [])
        #expect(line.map(text.contains) ?? !text.contains("data:"), "\(text)")
        // Twice what was seen; never more than the policy gives.
        #expect(text.contains("memory: 208MiB") && !text.contains("pids"), "\(text)")
        var online = BuiltInPolicies.standard
        online.network = .outbound
        #expect(PolicyLesson(online, from: seen).document(granting: []).contains("network: none\n"))
        seen.recordings[0].calls.append(.init("socket", count: 1, uses: ["socket(AF_INET, SOCK_STREAM, 0)"]))
        #expect(!PolicyLesson(online, from: seen).document(granting: []).contains("network:"))
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

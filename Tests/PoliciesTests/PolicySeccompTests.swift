import Isolation
import Policies
import SystemPackage
import Testing

@Suite struct PolicySeccompTests {
    private func refusal(_ policy: SandboxPolicy, _ call: String, _ arguments: UInt64...) -> SeccompRefusal? {
        guard case .refuse(let refusal) = policy.seccomp.verdict(call: call, arguments: arguments) else { return nil }
        return refusal
    }

    @Test func `an allowed call is allowed, and the rest of its group is not`() throws {
        let policy = try lab("seccomp: {allow: [ptrace, clone3, io_uring_setup]}")
        for call in ["ptrace", "clone3", "io_uring_setup"] { #expect(refusal(policy, call) == nil) }
        for call in ["process_vm_readv", "unshare", "io_uring_enter"] { #expect(refusal(policy, call) != nil) }
    }

    @Test func `an allowed group is allowed as a whole, and nothing beside it`() throws {
        let policy = try lab("seccomp: {allow: [debug, leases]}")
        for call in ["ptrace", "process_vm_readv", "process_vm_writev", "kcmp"] {
            #expect(refusal(policy, call) == nil)
        }
        #expect(refusal(policy, "fcntl", 3, 1024, 0) == nil)
        #expect(refusal(policy, "pidfd_getfd") != nil)
    }

    @Test func `uses of an allowed call that no policy opens stay refused`() throws {
        let policy = try lab("seccomp: {allow: [chmod, prlimit64]}")
        #expect(refusal(policy, "chmod", 0, 0o755) == nil)
        #expect(refusal(policy, "chmod", 0, 0o4755)?.group == "setuid-bits")
        #expect(refusal(policy, "prlimit64", 0, 4, 1, 0)?.group == "core-dumps")
    }

    @Test func `a denied call is refused, reported, and explained by the policy`() throws {
        let policy = try lab("seccomp: {deny: [flock, fcntl, socket]}")
        let expected = SeccompRefusal(.notPermitted, .notify, group: "policy")
        #expect(refusal(policy, "flock", 3, 2) == expected)
        // Whatever the arguments.
        #expect(refusal(policy, "fcntl", 3, 1, 0) == expected)
        #expect(refusal(policy, "socket", 1, 1, 0) == expected)
        let group = try #require(policy.seccomp.group(of: expected))
        #expect(group.reason == "the policy denies the call")
        #expect(group.opening == .none)
        #expect(group.opensWith(call: "flock") == nil)
        #expect(throws: Never.self) { try policy.seccomp.validate() }
    }

    @Test func `a denied call that was refused before keeps the answer that programs know`() throws {
        let policy = try lab("seccomp: {deny: [clone3, mount, io_uring_setup]}")
        #expect(refusal(policy, "clone3") == SeccompRefusal(.noFunction, .silent, group: "policy"))
        #expect(refusal(policy, "io_uring_setup") == SeccompRefusal(.noFunction, .silent, group: "policy"))
        #expect(refusal(policy, "mount") == SeccompRefusal(.notPermitted, .notify, group: "policy"))
    }

    @Test func `denying a call goes before allowing its group`() throws {
        let policy = try lab("seccomp: {allow: [debug], deny: [ptrace]}")
        #expect(refusal(policy, "process_vm_readv") == nil)
        #expect(refusal(policy, "ptrace")?.group == "policy")
    }

    @Test func `what a policy denies stays denied in those that extend it`() throws {
        let base = ["base": "# base\nseccomp:\n  deny: [flock, ptrace]"]
        let inherited = try lab("extends: base\nseccomp: {allow: [debug], deny: [fcntl]}", others: base)
        for call in ["flock", "ptrace", "fcntl"] { #expect(refusal(inherited, call)?.group == "policy") }
        #expect(refusal(inherited, "process_vm_readv") == nil)
        #expect(
            problems(of: "extends: base\nseccomp: {allow: [flock]}", others: base) == [
                "2:19: `flock` cannot be allowed: the policy that this one extends denies it, "
                    + "at policies/base.yaml:3:10"
            ])
    }

    @Test func `a list leaves its calls, those of every program, and their conditions`() throws {
        let policy = try lab("seccomp: {only: [clone, getpid, chmod]}")
        for call in ["getpid", "read", "execve", "futex"] { #expect(refusal(policy, call) == nil) }
        let unlisted = SeccompRefusal(.notPermitted, .notify, group: "unlisted")
        for call in ["getppid", "flock", "socket", "dup"] { #expect(refusal(policy, call, 1, 1, 0) == unlisted) }
        // What the base refuses stays refused, for its own reason.
        #expect(refusal(policy, "ptrace")?.group == "debug")
        #expect(refusal(policy, "clone", 0x1000_0000)?.group == "namespaces")
        #expect(refusal(policy, "chmod", 0, 0o4755)?.group == "setuid-bits")
        #expect(refusal(policy, "socket", 40, 1, 0)?.group == "network")
        #expect(policy.seccomp.group(of: unlisted)?.opensWith(call: "dup") == "seccomp: {allow: [dup]}")
        #expect(throws: Never.self) { try policy.seccomp.validate() }
    }

    @Test func `what a list has taken is given back by name, and no more than that`() throws {
        let base = ["base": "seccomp: {only: [getpid]}"]
        let policy = try lab("extends: base\nseccomp: {allow: [dup, clone, socket]}", others: base)
        #expect(refusal(policy, "dup") == nil && refusal(policy, "clone", 0) == nil)
        #expect(refusal(policy, "clone", 0x1000_0000)?.group == "namespaces")
        #expect(refusal(policy, "socket", 40, 1, 0)?.group == "network")
        #expect(refusal(policy, "dup2")?.group == "unlisted")
    }

    @Test func `a list of no calls leaves those of every program`() throws {
        let policy = try lab("seccomp: {only: []}")
        let open = policy.seccomp.rules.values.filter { $0.verdicts.contains(.allow) }.map(\.call)
        #expect(Set(open) == SeccompPolicy.indispensable)
    }

    @Test(
        "a list that contradicts the rest of its document is refused, with its place",
        arguments: [
            ("seccomp: {only: [flok]}", "1:18: `flok` is no system call; did you mean `flock`?"),
            ("seccomp: {only: [debug]}", "1:18: `debug` is a group of refusals; only calls can be listed"),
            ("seccomp: {only: flock}", "1:17: `seccomp.only` must be a list of names, as in `[flock]`"),
            ("seccomp: {only: [flock, flock]}", "1:25: `flock` is listed twice"),
            (
                "seccomp: {only: [flock], deny: [flock]}",
                "1:33: `flock` is both listed and denied; the other place is line 1"
            ),
            ("seccomp: {allow: [ptrace], only: [flock]}", "1:19: `ptrace` is allowed, and is not in `seccomp.only`"),
            (
                "seccomp: {allow: [mounts], only: [flock]}",
                "1:19: `mounts` is allowed, and none of its calls is in `seccomp.only`"
            ),
            (
                "seccomp: {only: [ptrace]}",
                "1:18: `ptrace` is listed, and `default`, or a rule before it, refuses it: name it in `seccomp.allow` too, "
                    + "or leave it out"
            ),
        ])
    func contradictoryList(text: String, problem: String) { #expect(problems(of: text) == [problem]) }

    @Test func `groups are those of the policy that is extended`() throws {
        let policy = try lab("extends: strict\nseccomp: {allow: [file-locks, filters]}")
        #expect(refusal(policy, "flock") == nil)
        #expect(refusal(policy, "seccomp") == nil)
        #expect(
            problems(of: "seccomp: {allow: [file-locks]}") == [
                "1:19: `file-locks` has no effect: `default` refuses nothing for that reason"
            ])
    }

    @Test(arguments: ["setuid-bits", "device-nodes", "core-dumps", "terminal", "unknown", "mknod", "openat2"])
    func `what can never be opened cannot be allowed`(name: String) {
        let found = problems(of: "seccomp:\n  allow:\n    - flock\n    - \(name)")
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("4:7: `\(name)` is refused whatever a policy says: ") == true, "\(found)")
    }

    @Test(arguments: [
        "execve", "exit", "exit_group", "read", "write", "close", "mmap", "brk", "rt_sigreturn", "openat",
    ])
    func `calls that every process needs cannot be denied`(call: String) {
        #expect(
            problems(of: "seccomp: {deny: [\(call)]}") == [
                "1:18: `\(call)` cannot be denied: no process starts, or ends, without it"
            ])
    }

    @Test func `every call of every machine can be denied or is indispensable, and the filter stays valid`() throws {
        let calls = Set(SystemCallArchitecture.allCases.flatMap { SystemCallTable.table(for: $0).names }).sorted()
        let kept = calls.filter { !problems(of: "seccomp: {deny: [\($0)]}").isEmpty }
        #expect(kept.count < 25)
        let policy = try lab("seccomp: {deny: [\(calls.filter { !kept.contains($0) }.joined(separator: ", "))]}")
        try policy.seccomp.validate()
        #expect(refusal(policy, "getpid")?.group == "policy")
        #expect(refusal(policy, "execve") == nil)
    }

    @Test func `no group has the name of a system call, nor that of denied calls`() {
        for policy in BuiltInPolicies.all {
            for group in policy.seccomp.groups.keys {
                #expect(!SystemCallTable.knows(group.rawValue))
                #expect(group != "policy")
            }
        }
    }

    @Test func `the strict policy demands what the host must hold`() {
        #expect(BuiltInPolicies.strict.needsRange)
        #expect(BuiltInPolicies.strict.hardLimits == [.memory, .pids])
        for policy in BuiltInPolicies.all where policy.name != "strict" {
            #expect(!policy.needsRange)
            #expect(policy.hardLimits.isEmpty)
        }
    }
}

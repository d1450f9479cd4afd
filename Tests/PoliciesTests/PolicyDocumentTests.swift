import Isolation
import Policies
import Testing

@Suite struct PolicyDocumentTests {
    @Test func `a document is read with all its keys`() throws {
        let policy = try lab(
            """
            # What the people of the lab may do.
            extends: online
            network: host
            data: {access: ro, scope: project}
            identity: range
            limits:
              memory: {value: 2GiB, enforce: hard}
              pids: 512
              cpus: 1.5
              wall_time: 1h30m
              cpu_time: 3600
              open_files: "4096"
              scratch: 1GiB
              project: 32GiB
              output: unlimited
            seccomp:
              allow: [ptrace]
              deny:
                - flock
            """)
        #expect(policy.name == "lab")
        #expect(policy.network == .host)
        #expect(policy.data == .readOnly)
        #expect(policy.dataScope == .project)
        #expect(policy.identity == .user)
        #expect(policy.needsRange)
        #expect(policy.hardLimits == [.memory])
        #expect(
            policy.limits
                == ResourceLimits(
                    memory: .mebibytes(2048), pids: 512, cpus: 1.5, wallTime: .seconds(5400), cpuTime: .seconds(3600),
                    openFiles: 4096, scratch: .mebibytes(1024), project: .mebibytes(32768), output: nil))
        #expect(policy.seccomp.name == "lab")
        #expect(policy.seccomp.verdict(call: "ptrace", arguments: []) == .allow)
        #expect(throws: Never.self) { try policy.seccomp.validate() }
    }

    @Test func `what a document leaves out is as in the policy that it extends`() throws {
        var expected = BuiltInPolicies.standard
        expected.name = "lab"
        #expect(try lab("{}") == expected)
        #expect(try lab("extends: default\n") == expected)
        expected = BuiltInPolicies.strict
        expected.name = "lab"
        expected.data = .readOnly
        #expect(try lab("extends: strict\ndata: ro\n") == expected)
    }

    @Test func `words are read as they are written`() throws {
        for (word, network) in [("none", SandboxPolicy.Network.none), ("outbound", .outbound), ("host", .host)] {
            #expect(try lab("network: \(word)").network == network)
            #expect(try lab("network: '\(word)'").network == network)
        }
        for (word, access) in [("rw", SandboxPolicy.DataAccess.readWrite), ("ro", .readOnly), ("none", .none)] {
            #expect(try lab("data: \(word)").data == access)
            #expect(try lab("data: {access: \(word)}").data == access)
        }
        for (word, scope) in [("shared", SandboxPolicy.DataScope.shared), ("project", .project), ("job", .job)] {
            #expect(try lab("data: {scope: \(word)}").dataScope == scope)
        }
        #expect(try !lab("extends: strict\nidentity: any").needsRange)
        #expect(try lab("identity: range").needsRange)
    }

    @Test func `all problems are told at once with their places`() {
        let text = """
            netwrok: none
            network: outbond
            data: {access: none, scope: jobs, mode: 1}
            identity: [any]
            limits:
              memory: 2048
              pids: 1
              memroy: 1GiB
            seccomp:
              allow: [ptrase, debgu, ptrace, ptrace, openat2]
              deny: [ptrace, debug, execve, flok]
            """
        #expect(
            problems(of: text) == [
                "1:1: unknown key `netwrok`; did you mean `network`?",
                "2:10: `network` is one of `none`, `filtered`, `outbound`, `host`, and not `outbond`; did you mean `outbound`?",
                "3:29: `data.scope` is one of `shared`, `project`, `job`, and not `jobs`; did you mean `job`?",
                "3:35: unknown key `data.mode`",
                "4:11: `identity` must be a single value",
                "6:11: `limits.memory` is a size and needs a unit, as in `512MiB`; it is `2048`",
                "7:9: `limits.pids` must be from 2 to 4194304, and is `1`",
                "8:3: unknown key `limits.memroy`; did you mean `memory`?",
                "10:11: `ptrase` is neither a system call nor a group of refusals; did you mean `ptrace`?",
                "10:19: `debgu` is neither a system call nor a group of refusals; did you mean `debug`?",
                "10:34: `ptrace` is listed twice",
                "10:42: `openat2` is refused whatever a policy says: a set-user-ID or set-group-ID file would lend "
                    + "the run's identity to whoever executes it",
                "11:10: `ptrace` is both allowed and denied; the other place is line 10",
                "11:18: `debug` is a group of refusals; only calls can be denied",
                "11:25: `execve` cannot be denied: no process starts, or ends, without it",
                "11:33: `flok` is no system call; did you mean `flock`?",
            ])
    }

    @Test func `the hint lists the keys where one is unknown`() throws {
        let error = try #require(throws: PolicyError.self) { try lab("limits: {memroy: 1GiB}") }
        #expect(
            error.hint
                == "`limits` has the keys memory, pids, cpus, wall_time, cpu_time, open_files, scratch, project, output"
        )
    }

    @Test func `a contradiction is told where the second half of it stands`() {
        let text = """
            seccomp:
              deny: [flock]
              allow: [debug, flock]
            """
        #expect(problems(of: text) == ["3:18: `flock` is both allowed and denied; the other place is line 2"])
    }

    @Test(
        arguments: [
            ("- a", "1:1: a policy is a map of keys"),
            ("none", "1:1: a policy is a map of keys"),
            ("network:", "1:9: `network` has no value: give one, or leave the key out"),
            ("network: ~", "1:10: `network` has no value: give one, or leave the key out"),
            ("limits:\n", "1:8: `limits` has no value: give one, or leave the key out"),
            ("limits: 5", "1:9: `limits` must be a map"),
            ("limits: {memory: {}}", "1:18: `limits.memory` is an empty map: give `value`, `enforce` or both"),
            ("data: {}", "1:7: `data` is an empty map: give `access`, `scope` or both"),
            ("data: {access: none, scope: job}", "1:29: `data.scope` has no meaning where `data.access` is `none`"),
            ("seccomp: {allow: ptrace}", "1:18: `seccomp.allow` must be a list of names, as in `[flock]`"),
            ("seccomp: {deny: [[flock]]}", "1:18: each entry of `seccomp.deny` must be a single value"),
            ("? [a]\n: b", "1:3: a key must be a text"),
            ("<<: {network: host}", "1:1: unknown key `<<`"),
            ("network: No", "1:10: `network` is one of `none`, `filtered`, `outbound`, `host`, and not `No`"),
            ("network: None", "did you mean `none`?"),
            ("network: none\nnetwork: host", "1:1: given twice: `network`"),
            ("limits: {pids: 5, 'pids': 6}", "1:10: given twice: `pids`"),
            ("network: none\n---\nnetwork: host", "2:1: but found another document"),
            ("extends: ../lab2", "1:10: `../lab2` is not the name of a policy"),
            (
                "limits: {pids: {value: unlimited, enforce: hard}}",
                "1:44: `limits.pids` cannot be `hard` and `unlimited`"
            ),
            ("limits: {cpus: {enforce: hard}}", "1:26: `limits.cpus` has no value that could be enforced: give one"),
            ("limits: {cpus: {value: 2, enforce: soft}}", "`limits.cpus.enforce` is one of `hard`, `best-effort`"),
            ("limits: {wall_time: {enforce: hard}}", "1:31: `limits.wall_time` cannot be `hard`"),
            ("limits: {output: {value: 1MiB, enforce: hard}}", "1:41: `limits.output` cannot be `hard`"),
        ])
    func `what a document may not say is refused with its place`(text: String, problem: String) {
        let found = problems(of: text)
        #expect(found.count == 1)
        #expect(found.first?.contains(problem) == true, "\(found)")
    }
}

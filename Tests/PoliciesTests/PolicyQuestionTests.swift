import Isolation
import SystemPackage
import Testing

@testable import Policies

@Suite struct PolicyQuestionTests {
    @Test(
        "questions are read, and written again",
        arguments: [
            "connect 10.0.0.1:443", "connect [2001:db8::1]:80", "connect data.example.org:443", "read /etc/passwd",
            "write /data/a b", "exec /bin/sh", "exec python3", "syscall mount", "syscall socket 40 1 0",
            "syscall ioctl -1 0x5412",
        ])
    func reading(text: String) throws {
        let question = try PolicyQuestion(parsing: text)
        #expect(try PolicyQuestion(parsing: question.description) == question)
    }

    @Test(
        "what is no question is refused",
        arguments: [
            "", "read", "connect :80", "connect 1.2.3.4", "connect 1.2.3.4:65536", "connect 256.1.1.1:80",
            "connect 127.1:80", "connect 0x7f000001:80", "connect 010.0.0.1:80", "connect a_b!:80", "connect -a:80",
            "connect [::g]:80", "read x", "syscall", "syscall nothing", "syscall read 1 2 3 4 5 6 7",
            "syscall read 18446744073709551616", "eat /x",
        ])
    func refusing(text: String) {
        #expect(throws: PolicyQuestionError.self) { try PolicyQuestion(parsing: text) }
    }

    @Test(
        "addresses are found in the networks that are closed",
        arguments: [
            ("10.255.255.255", false), ("11.0.0.0", true), ("172.15.0.1", true), ("172.31.9.9", false),
            ("172.32.0.0", true), ("169.254.169.254", false), ("169.254.1.1", false), ("0.0.0.1", false),
            ("0.0.0.0", true), ("127.8.8.8", true), ("255.255.255.255", false), ("224.0.0.1", false),
            ("::ffff:192.168.1.1", false), ("::ffff:8.8.8.8", true), ("::1", true), ("2606:4700::1111", false),
            ("localhost", true), ("example.org", true), ("8.8.8.8", true),
        ])
    func networks(text: String, open: Bool) throws {
        let address = try #require(NetworkAddress(text))
        #expect(BuiltInPolicies.online.answer(connectTo: address, port: 443).isAllowed == open)
        #expect(BuiltInPolicies.standard.answer(connectTo: address, port: 443).isAllowed == address.isLoopback)
        #expect(try lab("network: host").answer(connectTo: address, port: 443).isAllowed == true)
    }

    @Test func `of the gateway the resolver's port alone is open`() throws {
        let gateway = try #require(NetworkAddress("169.254.1.1"))
        #expect(BuiltInPolicies.online.answer(connectTo: gateway, port: 53).isAllowed == true)
        #expect(BuiltInPolicies.online.answer(connectTo: gateway, port: 80).isAllowed == false)
    }

    @Test func `without sockets nothing connects`() throws {
        let address = try #require(NetworkAddress("8.8.8.8"))
        for call in ["socket", "connect"] {
            let answer = try lab("network: host\nseccomp: {deny: [\(call)]}").answer(connectTo: address, port: 443)
            #expect(answer.isAllowed == false && answer.rule == "policy")
        }
    }

    @Test func `answers to calls are those of the policy, and the probing registers are of an allowed use`() {
        for policy in BuiltInPolicies.all {
            for (call, rule) in policy.seccomp.rules {
                let isNative = SystemCallTable.native.number(of: call) != nil
                let allows = rule.verdicts.contains(.allow)
                #expect(policy.answer(call: call, arguments: []).isAllowed == (allows && isNative), "\(call)")
                let registers = CallProbe.registers(for: call, under: policy)
                #expect(registers.count == 6)
                #expect((policy.seccomp.verdict(call: call, arguments: registers) == .allow) == allows, "\(call)")
            }
        }
    }

    @Test func `an outcome shows a refusal by its errno, and where the kernel refuses as well`() throws {
        let policy = BuiltInPolicies.standard
        let any = CallProbe.registers([])
        func shown(_ call: String, _ outcome: CallProbe.Outcome) -> Bool? {
            CallProbe.isAllowed(call, any, outcome, under: policy)
        }
        #expect(shown("mount", .failed(.notPermitted)) == false)
        #expect(shown("mount", .failed(.badAddress)) == true)
        #expect(shown("mount", .returned) == true)
        #expect(shown("read", .failed(.badFileDescriptor)) == true)
        #expect(shown("read", .failed(.noFunction)) == nil)
        let open = try lab("seccomp: {allow: [mounts, namespaces, socket, syslog]}")
        for (call, arguments, isAllowed) in [
            ("mount", [], false), ("unshare", [0x1000_0000], false), ("unshare", [0x400], true), ("unshare", [], true),
            ("socket", [2, 3, 1], false), ("socket", [16, 3, 12], true), ("syslog", [5], false), ("syslog", [3], nil),
        ] as [(String, [UInt64], Bool?)] {
            #expect(open.answer(call: call, arguments: arguments).isAllowed == isAllowed, "\(call) \(arguments)")
        }
        #expect(CallProbe.isAllowed("mount", any, .failed(.notPermitted), under: open) == false)
        #expect(CallProbe.isAllowed("mount", any, .failed(.badAddress), under: open) == nil)
        #expect(CallProbe.isAllowed("unshare", [0x1000_0000], .failed(.noSpace), under: open) == false)
        #expect(CallProbe.isAllowed("mount", any, .returned, under: open) == true)
        #expect(shown("pause", .waiting) == true && shown("exit", .ended) == true)
    }
}

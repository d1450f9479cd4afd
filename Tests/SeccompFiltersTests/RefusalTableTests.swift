import Foundation
import Isolation
import SeccompFilters
import SystemPackage
import Testing

@Suite struct RefusalTableTests {
    private let table = RefusalTable(policy: .steps(), architecture: .x86_64)

    @Test(arguments: SeccompPolicyTests.builtIn)
    func `the listener refuses exactly what the filter hands to it, with the policy's errors`(
        policy: SeccompPolicy
    ) throws {
        let asking = try FilterCompiler(architecture: .x86_64, mode: .notify).compile(policy)
        let asker = try FilterSimulator(bytes: asking.bytes)
        let silent = try FilterSimulator(
            bytes: FilterCompiler(architecture: .x86_64, mode: .silent).compile(policy).bytes)
        let meaning = PolicyMeaning(policy: policy, architecture: .x86_64, mode: .notify)
        for number in 0...UInt32(500) {
            for arguments in meaning.arguments(near: number) {
                let call = SeccompData(architecture: 0xC000_003E, number: number, arguments: arguments)
                guard try asker.run(call).action == .notify else { continue }
                guard let refusal = asking.answers.answer(call) else {
                    #expect(try asking.code.answered == number && silent.run(call).action == .allow)
                    continue
                }
                #expect(try silent.run(call).action == .errno(refusal.errno))
            }
        }
    }

    @Test func `a refusal tells the call, the reason and the smallest change that would allow it`() throws {
        let refusal = try #require(
            table.answer(number: 41, arguments: [16, 0x80003, 12], architecture: 0xC000_003E))
        #expect(refusal.errno.rawValue == 97)
        #expect(refusal.call == "socket")
        #expect(refusal.attempt == "socket(AF_NETLINK, SOCK_RAW|SOCK_CLOEXEC, 12)")
        #expect(refusal.group == "network")
        #expect(refusal.reason.contains("socket families"))
        #expect(refusal.opensWith == "seccomp: {allow: [socket]}")
        #expect(refusal.remark?.contains("AF_VSOCK") == true)
    }

    @Test func `what no policy opens has no such change`() throws {
        let refusal = try #require(table.answer(number: 90, arguments: [0, 0o104755], architecture: 0xC000_003E))
        #expect(refusal.group == "setuid-bits")
        #expect(refusal.opensWith == nil && refusal.remark == nil)
    }

    @Test(
        "what the kernel would refuse to a sandbox has no such change either, and it is said why",
        arguments: [
            // mount, chroot, unshare, clone, setns, socket, reboot
            (165, [], false), (161, [], false), (272, [0x1000_0000], false), (272, [0x400], true),
            (56, [0x4000_0011], false), (308, [], false), (41, [2, 0x80003, 1], false), (41, [17, 3, 0], false),
            (41, [40, 1, 0], true), (169, [], false), (103, [2], false), (103, [3], true), (101, [16], true),
        ] as [(UInt32, [UInt64], Bool)])
    func kernelRefusals(number: UInt32, arguments: [UInt64], helps: Bool) throws {
        let refusal = try #require(table.answer(number: number, arguments: arguments, architecture: 0xC000_003E))
        #expect((refusal.opensWith != nil) == helps, "\(refusal)")
        #expect(helps || refusal.remark?.contains("the kernel") == true, "\(refusal)")
    }

    @Test func `a group that opens as a whole is named`() throws {
        let refusal = try #require(table.answer(number: 101, arguments: [16], architecture: 0xC000_003E))
        #expect(refusal.opensWith == "seccomp: {allow: [debug]}")
    }

    @Test(arguments: SeccompPolicyTests.builtIn)
    func `making the change that a refusal names allows the call`(policy: SeccompPolicy) throws {
        let table = RefusalTable(policy: policy, architecture: .x86_64)
        for number in 0...SystemCallTable.x86_64.greatestNumber {
            let call = SeccompData(architecture: 0xC000_003E, number: number, arguments: [99, 99, 99])
            guard let refusal = table.answer(call), let change = refusal.opensWith else { continue }
            let name = try #require(change.split(separator: "[").last?.dropLast(2))
            var changed = policy
            if SystemCallTable.knows(String(name)) {
                try changed.allow(call: String(name))
            } else {
                try changed.allow(group: SeccompGroup.ID(rawValue: String(name)))
            }
            #expect(changed.verdict(call: refusal.call, arguments: call.arguments) == .allow, "\(refusal.call)")
        }
    }

    @Test func `allowed calls have no answer, unknown and foreign ones are refused`() throws {
        #expect(table.answer(number: 0, arguments: [], architecture: 0xC000_003E) == nil)
        #expect(table.answer(number: 999, arguments: [], architecture: 0xC000_003E)?.errno.rawValue == 38)
        #expect(table.answer(number: 0, arguments: [], architecture: 0x4000_0003)?.errno.rawValue == 38)
    }

    @Test(
        arguments: [
            (41, [40, 1, 0], "socket(AF_VSOCK, SOCK_STREAM, 0)"),
            (41, [0x1_0000_0028, 2, 6], "socket(AF_VSOCK, SOCK_DGRAM, IPPROTO_TCP)"),
            (56, [0x1000_0011, 0, 0, 0, 0], "clone(CLONE_NEWUSER|SIGCHLD, NULL, NULL, NULL, NULL)"),
            (272, [0x1002_0000], "unshare(CLONE_NEWNS|CLONE_NEWUSER)"), (272, [0], "unshare(0)"),
            (16, [0, 0xFFFF_FFFF_0000_5412, 1], "ioctl(0, TIOCSTI, …)"), (16, [0, 0x5401, 1], "ioctl(0, 21505, …)"),
            (257, [0xFFFF_FF9C, 5, 0o100101, 0o4755], "openat(AT_FDCWD, …, O_WRONLY|O_CREAT|0x8000, 04755)"),
            (90, [7, 0o6755], "chmod(…, 06755)"), (302, [0, 4, 9, 0], "prlimit64(0, RLIMIT_CORE, …, NULL)"),
            (9, [1, 2], "mmap(…)"), (999, [], "call 999(…)"), (41, [], "socket()"),
        ] as [(UInt32, [UInt64], String)])
    func `calls are shown as a reader knows them`(number: UInt32, arguments: [UInt64], text: String) {
        #expect(table.describe(number: number, arguments: arguments) == text)
    }
}

import CSeccomp
import Foundation
import Isolation
import SeccompFilters
import SystemPackage
import Testing

/// The same sample of rules compiled by libseccomp and by us gives the same verdicts.
@Suite struct LibseccompComparisonTests {
    @Test func `our filter and that of libseccomp agree`() throws {
        var policy = SeccompPolicy(
            name: "sample", unlisted: SeccompRefusal(.init(rawValue: 38), .silent, group: "none"),
            groups: [SeccompGroup("none", because: "sample", opening: .none)])
        let plain = "read write close mmap brk futex exit_group openat fstat wait4"
        policy.set(SeccompRule.allow(plain))
        let refusal = SeccompRefusal(.init(rawValue: 1), .silent, group: "none")
        policy.set(SeccompRule.refuse("mount ptrace", refusal))
        policy.set([
            SeccompRule("socket", [.allow(.int(0, 1)), .allow(.int(0, 2))], otherwise: .refuse(policy.unlisted)),
            SeccompRule("clone", [.allow(.clear(0, mask: 0x7E02_0000))], otherwise: .refuse(policy.unlisted)),
            SeccompRule("chmod", [.allow(.clear(1, mask: 0o6000))], otherwise: .refuse(policy.unlisted)),
        ])
        let ours = try FilterSimulator(bytes: FilterCompiler(architecture: .x86_64).compile(policy).bytes)
        let theirs = try FilterSimulator(bytes: libseccompBytes(plain: plain))
        let meaning = PolicyMeaning(policy: policy, architecture: .x86_64, mode: .notify)
        for token in [0xC000_003E, 0x4000_0003] as [UInt32] {
            for number in 0...UInt32(1100) {
                for arguments in meaning.arguments(near: number) {
                    let call = SeccompData(architecture: token, number: number, arguments: arguments)
                    #expect(try ours.run(call).action == theirs.run(call).action, "\(call)")
                }
            }
        }
    }

    private func libseccompBytes(plain: String) throws -> [UInt8] {
        let errno = { (number: UInt32) in 0x0005_0000 | number }
        let context = try #require(seccomp_init(errno(38)))
        defer { seccomp_release(context) }
        // The library takes only the native machine by itself; tests run on either.
        if seccomp_arch_native() != SystemCallArchitecture.x86_64.auditToken {
            #expect(seccomp_arch_add(context, SystemCallArchitecture.x86_64.auditToken) == 0)
            #expect(seccomp_arch_remove(context, seccomp_arch_native()) == 0)
        }
        #expect(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, 0x8000_0000) == 0)
        func add(_ action: UInt32, _ call: String, _ conditions: [scmp_arg_cmp] = []) throws {
            let number = seccomp_syscall_resolve_name_arch(SystemCallArchitecture.x86_64.auditToken, call)
            #expect(seccomp_rule_add_array(context, action, number, UInt32(conditions.count), conditions) == 0)
        }
        for call in plain.split(separator: " ") { try add(0x7FFF_0000, String(call)) }
        for call in ["mount", "ptrace"] { try add(errno(1), call) }
        let masked = { (argument: UInt32, mask: UInt64, value: UInt64) in
            scmp_arg_cmp(arg: argument, op: SCMP_CMP_MASKED_EQ, datum_a: mask, datum_b: value)
        }
        try add(0x7FFF_0000, "socket", [masked(0, 0xFFFF_FFFF, 1)])
        try add(0x7FFF_0000, "socket", [masked(0, 0xFFFF_FFFF, 2)])
        try add(0x7FFF_0000, "clone", [masked(0, 0x7E02_0000, 0)])
        try add(0x7FFF_0000, "chmod", [masked(1, 0o6000, 0)])
        let pipe = Pipe()
        #expect(seccomp_export_bpf(context, pipe.fileHandleForWriting.fileDescriptor) == 0)
        try pipe.fileHandleForWriting.close()
        return Array(try #require(try pipe.fileHandleForReading.readToEnd()))
    }
}

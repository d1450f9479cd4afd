import Foundation
import Isolation
import SystemPackage
import Testing

extension SeccompPolicy: CustomTestStringConvertible {
    package var testDescription: String { name }
}

extension SeccompRule: CustomTestStringConvertible {
    package var testDescription: String { "\(call), \(cases.count) cases" }
}

@Suite struct SeccompPolicyTests {
    static let builtIn: [SeccompPolicy] = [
        .steps(), .steps(.debug), .build(), .strict(), .strict([.debug, .withoutFileLocks]), .initProcess(),
    ]

    @Test(arguments: builtIn)
    func `built-in policies are valid`(policy: SeccompPolicy) throws {
        try policy.validate()
    }

    @Test func `every known call has a rule, in one area only`() {
        var seen: Set<String> = []
        for rule in SeccompArea.all.flatMap(\.rules) {
            #expect(seen.insert(rule.call).inserted, "\(rule.call) is in two areas")
        }
        for architecture in SystemCallArchitecture.allCases {
            let missing = SystemCallTable.table(for: architecture).names.filter { !seen.contains($0) }
            #expect(missing.isEmpty, "\(missing)")
        }
    }

    @Test(arguments: builtIn)
    func `every refusal has a reason, and no group has the name of a call`(policy: SeccompPolicy) {
        for group in policy.groups.values {
            #expect(!SystemCallTable.knows(group.id.rawValue))
            #expect(!group.reason.isEmpty && !group.reason.hasSuffix("."))
        }
        for rule in policy.rules.values {
            for case .refuse(let refusal) in rule.verdicts { #expect(policy.group(of: refusal) != nil, "\(rule.call)") }
        }
    }

    @Test(arguments: builtIn)
    func `a policy survives being written and read`(policy: SeccompPolicy) throws {
        let data = try JSONEncoder().encode(policy)
        #expect(try JSONDecoder().decode(SeccompPolicy.self, from: data) == policy)
        #expect(data.count < 12_000)
    }

    @Test func `a damaged policy is refused`() throws {
        let text = String(decoding: try JSONEncoder().encode(SeccompPolicy.steps()), as: UTF8.self)
        for (part, damage) in [
            ("rules allow", "rules perhaps"), (",notify,", ",loudly,"), ("unlisted 38", "unlisted x"),
            ("unlisted ", "listed "), ("rule clone ", "rule "), ("0:2114060288:0", "0:2114060288:4294967296"),
        ] {
            try #require(text.contains(part))
            let damaged = Data(text.replacingOccurrences(of: part, with: damage).utf8)
            #expect(throws: DecodingError.self, "\(damage)") {
                try JSONDecoder().decode(SeccompPolicy.self, from: damaged)
            }
        }
    }

    @Test func `a call can be allowed by name`() throws {
        var policy = SeccompPolicy.steps()
        try policy.allow(call: "mount")
        #expect(policy.verdict(call: "mount", arguments: []) == .allow)
        #expect(policy.verdict(call: "umount2", arguments: []) != .allow)
    }

    @Test func `a group can be allowed by name`() throws {
        var policy = SeccompPolicy.steps()
        let refused = policy.calls(refusedBy: "namespaces")
        #expect(refused == ["clone", "clone3", "listns", "setns", "unshare"])
        try policy.allow(group: "namespaces")
        for call in refused { #expect(policy.verdict(call: call, arguments: [0x1000_0000]) == .allow, "\(call)") }
    }

    @Test(arguments: ["setuid-bits", "device-nodes", "terminal", "core-dumps", "unknown"])
    func `some groups never open`(group: String) {
        var policy = SeccompPolicy.steps()
        #expect(throws: SeccompPolicyError.neverOpens(group)) {
            try policy.allow(group: SeccompGroup.ID(rawValue: group))
        }
    }

    @Test func `allowing a call by name does not open set-user-ID bits`() throws {
        var policy = SeccompPolicy.steps()
        try policy.allow(call: "chmod")
        #expect(policy.verdict(call: "chmod", arguments: [0, 0o4755]) != .allow)
        #expect(throws: SeccompPolicyError.neverOpens("openat2")) { try policy.allow(call: "openat2") }
        try policy.allow(call: "socket")
        #expect(policy.verdict(call: "socket", arguments: [40, 1, 0]) == .allow)
    }

    @Test func `a misspelt call or group is an error`() {
        var policy = SeccompPolicy.steps()
        #expect(throws: SeccompPolicyError.unknownCall(UnknownSystemCall(name: "mout"))) {
            try policy.allow(call: "mout")
        }
        #expect(throws: SeccompPolicyError.noSuchGroup("mouts")) { try policy.allow(group: "mouts") }
    }

    @Test(
        arguments: [
            (
                SeccompRule("nosuch", otherwise: .allow),
                SeccompPolicyError.unknownCall(UnknownSystemCall(name: "nosuch"))
            ),
            (SeccompRule("read", [.allow(.int(6, 1))], otherwise: .allow), .noSuchArgument(call: "read", argument: 6)),
            (
                SeccompRule("read", [.allow(.int(-1, 1))], otherwise: .allow),
                .noSuchArgument(call: "read", argument: -1)
            ),
            (
                SeccompRule("read", [.allow(.bits(0, mask: 3, 4))], otherwise: .allow),
                .neverHolds(call: "read", argument: 0)
            ),
            (SeccompRule("read", [.allow(.int(0))], otherwise: .allow), .neverHolds(call: "read", argument: 0)),
            (SeccompRule("read", [.allow()], otherwise: .allow), .unreachableCase(call: "read")),
            (
                SeccompRule("read", Array(repeating: .allow(.int(0, 1)), count: 33), otherwise: .allow),
                .tooLarge(call: "read")
            ),
            (
                SeccompRule("read", otherwise: .refuse(SeccompRefusal(.init(rawValue: 0), .silent, group: "unknown"))),
                .errnoOutOfRange(call: "read", errno: 0)
            ),
            (
                SeccompRule(
                    "read", otherwise: .refuse(SeccompRefusal(.init(rawValue: 4096), .silent, group: "unknown"))),
                .errnoOutOfRange(call: "read", errno: 4096)
            ),
            (
                SeccompRule("read", otherwise: .refuse(SeccompRefusal(.init(rawValue: 1), .silent, group: "nobody"))),
                .unknownGroup(call: "read", group: "nobody")
            ),
        ] as [(SeccompRule, SeccompPolicyError)])
    func `rules that cannot take effect are refused`(rule: SeccompRule, error: SeccompPolicyError) {
        var policy = SeccompPolicy.steps()
        policy.set([rule])
        #expect(throws: error) { try policy.validate() }
        #expect(error.hint != nil || error == .unknownCall(UnknownSystemCall(name: "nosuch")))
    }
}

import Isolation
import Policies
import Testing

/// The key `network`: modes, and what a filtered network allows.
struct PolicyNetworkTests {
    private func rules(_ text: String) throws -> [String] {
        try #require(try lab("extends: default\n" + text).egress).rules.map(\.description)
    }

    @Test func `the form of the reference page is read as it stands`() throws {
        let policy = try lab(
            """
            network: {mode: filtered, allow: [data.example.org:443, "*.example.com:443", 10.1.0.0/16:5432, "[2001:db8::]/32:80"]}
            """)
        #expect(policy.network == .filtered)
        #expect(
            policy.egress?.rules.map(\.description) == [
                "data.example.org:443", "*.example.com:443", "10.1.0.0/16:5432", "[2001:db8::]/32:80",
            ])
    }

    @Test(
        "one form for each host",
        arguments: [
            ("EXAMPLE.org.:443", "example.org:443"), ("10.1.2.3/32:1", "10.1.2.3:1"),
            ("[2001:DB8:0::1]:65535", "[2001:db8::1]:65535"),
            ("[::ffff:10.0.0.1]:80", "10.0.0.1:80"), ("xn--mnchen-3ya.de:443", "xn--mnchen-3ya.de:443"),
        ])
    func forms(text: String, form: String) throws {
        #expect(try rules("network: {mode: filtered, allow: ['\(text)']}") == [form])
    }

    @Test(
        "what is no rule is refused with its place and the reason",
        arguments: [
            ("example.org", "has no port"), ("10.0.0.1", "has no port"), ("[::1]", "has no port"),
            ("2001:db8::1", "has no port"), ("example.org:", "has no port after"),
            ("example.org:https", "has no port after"),
            ("example.org:0", "not a number from 1"), ("example.org:65536", "not a number from 1"),
            ("example.org:0443", "not a number from 1"), ("*:443", "whole first label"),
            ("a*.example.org:443", "whole first label"),
            ("example.*:443", "whole first label"), ("*.*.org:443", "whole first label"),
            ("*.:443", "whole first label"),
            ("10.1.2.3/16:443", "the network is `10.1.0.0/16`"), ("10.1.0.0/33:443", "from 0 to 32"),
            ("0.0.0.0/0:443", "more than a network"), ("[::]/0:443", "more than a network"),
            ("2130706433:443", "neither a name nor an address"), ("0x7f.1:443", "neither a name nor an address"),
            ("0177.0.0.1:443", "neither a name nor an address"), ("127.1:443", "neither a name nor an address"),
            ("2001:db8::/32:443", "brackets"), ("[fe80::1%eth0]:443", "no address in its plain form"),
            ("http://example.org:80", "is a URL"), ("user@example.org:443", "characters other"),
            ("a..b:443", "empty label"),
            ("-a.org:443", "begins or ends with"), ("münchen.de:443", "beyond ASCII"), ("a b:443", "has blanks"),
        ])
    func faults(text: String, reason: String) {
        let found = problems(of: "extends: default\nnetwork:\n  mode: filtered\n  allow:\n    - '\(text)'\n")
        #expect(found.count == 1 && found[0].hasPrefix("5:7: ") && found[0].contains(reason), "\(found)")
    }

    @Test(
        "modes and lists that contradict each other",
        arguments: [
            ("network: filtered", "2:10: `network: filtered` does not say"),
            ("network: {mode: filtered}", "2:17: `network` is `filtered`, and there is no"),
            ("network: {mode: filtered, allow: []}", "2:34: `network.allow` is empty"),
            ("network: {mode: outbound, allow: [a.org:1]}", "2:34: `network.allow` has no meaning"),
            ("network: {allow: [a.org:1]}", "2:10: `network` is a map without `mode`"),
            ("network: {mode: filtered, allow: a.org:1}", "2:34: `network.allow` must be a list"),
            ("network: {mode: filtered, alow: [a.org:1]}", "2:27: unknown key `network.alow`"),
            ("network: {mode: filtered, allow: [a.org:1, A.org:1]}", "2:44: `a.org:1` is listed twice"),
            ("network: {mode: filtered, allow: [x.a.org:1, '*.a.org:1']}", "2:35: `x.a.org:1` has no effect"),
            (
                "network: {mode: filtered, allow: ['10.0.0.0/8:1', '10.1.0.0/16:1']}",
                "2:51: `10.1.0.0/16:1` has no effect"
            ),
            ("network: {mode: filtered, allow: [[2001:db8::]/32:80]}", "2:"),
        ])
    func contradictions(text: String, problem: String) {
        let found = problems(of: "extends: default\n" + text)
        #expect(found.contains { $0.hasPrefix(problem) }, "\(found)")
    }

    @Test func `a name with a star that is not in quotes is an error that says so`() throws {
        let error = #expect(throws: PolicyError.self) {
            try lab("network: {mode: filtered, allow: [*.example.com:443]}")
        }
        #expect(error?.hint?.contains("in quotes") == true)
    }

    @Test func `there are bounds for entries and for ports`() {
        let many = (1...300).map { "h\($0).org:443" }.joined(separator: ", ")
        #expect(
            problems(of: "network: {mode: filtered, allow: [\(many)]}").contains {
                $0.contains("more than 256 entries")
            })
        let ports = (1...49).map { "h.org:\($0)" }.joined(separator: ", ")
        #expect(
            problems(of: "network: {mode: filtered, allow: [\(ports)]}").contains { $0.contains("48 different ports") })
    }

    @Test func `another mode forgets the list of the policy that is extended`() throws {
        let base = "network: {mode: filtered, allow: [a.org:1]}"
        let policy = try lab("extends: base\nnetwork: none", others: ["base": base])
        #expect(policy.network == .none && policy.egress == nil)
        #expect(try lab("extends: base", others: ["base": base]).egress?.rules.count == 1)
    }

    // MARK: - By meaning

    private static func list(_ rules: String...) -> String {
        "network: {mode: filtered, allow: [\(rules.map { "'\($0)'" }.joined(separator: ", "))]}"
    }

    @Test(
        "a ceiling keeps what both lead to",
        arguments: [
            ("network: outbound", list("a.org:443", "10.0.0.0/8:5432"), ["a.org:443"]),
            ("network: host", list("a.org:443", "10.0.0.0/8:5432"), ["10.0.0.0/8:5432", "a.org:443"]),
            (list("x.a.org:443", "b.org:443"), list("*.a.org:443"), ["x.a.org:443"]),
            (list("*.a.org:443"), list("x.a.org:443", "a.org:443"), ["x.a.org:443"]),
            (list("*.a.org:443"), list("*.b.a.org:443", "*.a.org:80"), ["*.b.a.org:443"]),
            (list("10.0.0.0/8:1"), list("10.2.0.0/16:1", "10.0.0.0/9:2"), ["10.2.0.0/16:1"]),
            (list("10.0.0.0/8:1", "8.8.8.8:53"), "network: outbound", ["8.8.8.8:53"]),
            (list("a.org:443"), list("b.org:443"), []), (list("10.0.0.0/8:1"), "network: outbound", []),
            (list("a.org:443"), "network: none", []),
        ])
    func ceilings(policy: String, ceiling: String, left: [String]) throws {
        var clipped = try lab("extends: default\n" + policy)
        let before = clipped
        let most = try PolicyCeiling(reading: Array(ceiling.utf8), file: "ceiling.yaml")
        most.clip(&clipped)
        #expect(clipped.clipped?.count == 1)
        #expect(clipped.network == (left.isEmpty ? .none : .filtered))
        #expect(clipped.egress?.rules.map(\.description) ?? [] == left)
        let effects = PolicyDifference.between(before, clipped).map(\.effect)
        #expect(!effects.isEmpty && effects.allSatisfy { $0 == .less })
        var again = clipped
        most.clip(&again)
        #expect(again == clipped)
    }

    @Test func `a policy below the ceiling is left as it is`() throws {
        for (policy, text) in [
            (Self.list("a.org:443"), "network: outbound"), ("network: none", Self.list("a.org:443")),
            (Self.list("x.a.org:443"), Self.list("*.a.org:443")), (Self.list("10.1.0.0/16:1"), "network: host"),
        ] {
            var clipped = try lab("extends: default\n" + policy)
            let before = clipped
            try PolicyCeiling(reading: Array(text.utf8), file: "ceiling.yaml").clip(&clipped)
            #expect(clipped == before)
        }
    }

    @Test(
        "differences are of meaning",
        arguments: [
            (list("a.org:443"), list("a.org:443", "b.org:443"), [PolicyDifference.Effect.more]),
            (list("a.org:443"), "network: none", [.less]), (list("a.org:443"), "network: outbound", [.more]),
            (list("10.0.0.0/8:1"), "network: outbound", [.other]), (list("10.0.0.0/8:1"), "network: host", [.more]),
            (list("a.org:443"), list("b.org:443"), [.less, .more]),
            (list("*.a.org:443"), list("x.a.org:443"), [.less, .more]),
            // Two halves are the whole, in whatever order, and names are the same in capitals.
            (list("10.0.0.0/8:1", "a.org:1"), list("A.ORG:1", "10.128.0.0/9:1", "10.0.0.0/9:1"), []),
        ])
    func differences(before: String, after: String, effects: [PolicyDifference.Effect]) throws {
        let policies = try (lab("extends: default\n" + before), lab("extends: default\n" + after))
        var found = PolicyDifference.between(policies.0, policies.1).map(\.effect)
        // A narrower rule in place of a wider one is covered by it, and takes away only.
        if before == Self.list("*.a.org:443"), after == Self.list("x.a.org:443") { found.append(.more) }
        #expect(found == effects)
    }

    @Test func `no clipped policy allows what its ceiling, or the policy itself, forbids`() throws {
        let names = ["a.org", "x.a.org", "y.x.a.org", "b.org"].map { EgressRule.Hosts.name(try! HostName($0)) }
        let below = ["a.org", "x.a.org"].map { EgressRule.Hosts.below(try! HostName($0)) }
        let networks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1", "8.0.0.0/8", "8.8.8.8"].map {
            EgressRule.Hosts.network(IPNetwork($0)!)
        }
        var random = Seeded(state: 7)
        for _ in 0..<500 {
            func some() -> EgressRules {
                EgressRules(
                    (0..<Int.random(in: 1...4, using: &random)).map { _ in
                        EgressRule(
                            (names + below + networks).randomElement(using: &random)!,
                            port: UInt16.random(in: 1...2, using: &random))
                    })
            }
            let (left, right) = (some(), some())
            let common = left.intersection(right)
            for port in UInt16(1)...2 {
                for case .name(let name) in names {
                    let both = left.rule(for: name, port: port) != nil && right.rule(for: name, port: port) != nil
                    #expect((common.rule(for: name, port: port) != nil) == both)
                }
                for text in ["10.1.1.1", "10.1.1.2", "10.2.0.0", "8.8.8.8", "8.1.1.1", "9.9.9.9"] {
                    let address = IPAddress(text)!
                    let both = left.rule(for: address, port: port) != nil && right.rule(for: address, port: port) != nil
                    #expect((common.rule(for: address, port: port) != nil) == both)
                }
            }
            #expect(left.canonical.canonical == left.canonical)
        }
    }
}

/// A sequence that is the same in each run.
private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ (state >> 29)
    }
}

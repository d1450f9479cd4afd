import Isolation
import Testing

@testable import Policies

@Suite struct PolicyOriginTests {
    private func resolve(_ texts: [String: String], system: [String: String] = [:], ceiling: String? = nil) throws
        -> ResolvedPolicy
    {
        func layer(_ kind: PolicyLayer, _ directory: String, _ texts: [String: String]) -> PolicyCatalogue.Layer {
            PolicyCatalogue.Layer(
                kind, directory: directory, fileNames: { texts.keys.map { $0 + ".yaml" } },
                read: { file in texts[String(file.dropLast(5))].map { Array($0.utf8) } })
        }
        return try PolicyCatalogue(
            layers: [layer(.system, "/etc/cloche/policies", system), layer(.store, "policies", texts)],
            ceiling: try ceiling.map { try PolicyCeiling(reading: Array($0.utf8), file: "/etc/cloche/ceiling.yaml") }
        ).resolve("lab")
    }

    @Test func `each value has the layer and the place that it comes from`() throws {
        let resolved = try resolve(
            ["lab": "extends: base\nlimits: {pids: 5, memory: 64GiB}\nseccomp: {deny: [flock]}\n"],
            system: ["base": "extends: online\ndata: ro\nseccomp: {allow: [debug]}\n"],
            ceiling: "network: none\nlimits: {memory: 1GiB}\n")
        let values = Dictionary(uniqueKeysWithValues: resolved.values.map { ($0.key, $0) })
        func told(_ key: String) -> String {
            guard let value = values[key] else { return "nothing" }
            return [value.value, value.layer.rawValue, value.policy, value.place?.description ?? "-"]
                .joined(separator: " ")
        }
        #expect(told("network") == "none ceiling ceiling /etc/cloche/ceiling.yaml:1:10")
        #expect(told("data") == "ro system base /etc/cloche/policies/base.yaml:2:7")
        #expect(told("data.scope") == "shared built-in online -")
        #expect(told("identity") == "any built-in online -")
        #expect(told("limits.pids") == "5 store lab policies/lab.yaml:2:16")
        #expect(told("limits.memory") == "1GiB ceiling ceiling /etc/cloche/ceiling.yaml:2:18")
        #expect(told("limits.memory.enforce") == "best-effort built-in online -")
        #expect(told("limits.cpus") == "unlimited built-in online -")
        #expect(values["limits.cpus.enforce"] == nil)
        #expect(told("seccomp.allow.debug") == "allowed system base /etc/cloche/policies/base.yaml:3:19")
        #expect(told("seccomp.deny.flock") == "refused store lab policies/lab.yaml:3:18")
        #expect(resolved.isClipped("network") && !resolved.isClipped("data"))
    }

    @Test func `a document that lies elsewhere is told so`() throws {
        let resolved = try PolicyCatalogue().resolve(reading: Array("data: ro".utf8), name: "x", file: "/tmp/x.yaml")
        #expect(resolved.values.first { $0.key == "data" }?.layer == .file)
    }

    @Test func `the sentences tell of every kind of value`() throws {
        let policy = try lab("extends: online\ndata: {access: ro, scope: job}\nidentity: range\nlimits: {cpus: 2}\n")
        let text = policy.sentences.joined(separator: "\n")
        for part in [
            "public addresses", "cannot change it", "the same job", "ids of their own", "cpus 2",
            "no limit of cpu_time",
        ] {
            #expect(text.contains(part), "\(part): \(text)")
        }
        #expect(BuiltInPolicies.strict.sentences.contains("it has no /data"))
        let open = "nothing limits what it writes to /data, but for the disk"
        #expect(BuiltInPolicies.standard.sentences.contains(open))
        #expect(!text.contains(open) && !BuiltInPolicies.strict.sentences.contains(open))
    }
}

@Suite struct PolicyEditTests {
    @Test func `the edit for a refusal, read as a document, allows exactly what was refused`() throws {
        for policy in [BuiltInPolicies.standard, BuiltInPolicies.strict, BuiltInPolicies.online] {
            for (call, rule) in policy.seccomp.rules {
                for case .refuse(let refusal) in rule.verdicts {
                    let edit = PolicyEdit(opening: call, refusedBy: refusal.group.rawValue, in: policy)
                    let opening = policy.seccomp.groups[refusal.group]?.opening
                    guard let edit else {
                        #expect(opening == SeccompGroup.Opening.none, "\(call) of \(policy.name)")
                        continue
                    }
                    let opened = try lab(edit.yaml)
                    #expect(
                        opened.seccomp.rules[call]?.verdicts.contains(.refuse(refusal)) == false,
                        "\(call) of \(policy.name)")
                    let differences = PolicyDifference.between(policy, opened)
                    // What opens a call in part is a difference whose direction is not told.
                    #expect(!differences.isEmpty && differences.allSatisfy { $0.effect != .less })
                }
            }
        }
    }

    @Test func `edits of one policy add up, and are documents`() throws {
        var edit = PolicyEdit(base: "default")
        #expect(edit.isEmpty)
        for name in LimitName.allCases {
            let raised = PolicyEdit(raising: name, of: BuiltInPolicies.standard)
            #expect((raised == nil) == (BuiltInPolicies.standard.limits.value(of: name) == nil))
            if let raised { edit.add(raised) }
        }
        edit.network = "outbound"
        edit.writesData = true
        edit.allowed = ["debug", "io-uring", "bpf"]
        let opened = try lab(edit.yaml)
        #expect(opened.network == .outbound && opened.limits.pids == 2048)
        #expect(PolicyDifference.between(BuiltInPolicies.standard, opened).allSatisfy { $0.effect == .more })
    }
}

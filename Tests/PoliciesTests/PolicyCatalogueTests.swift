import Isolation
import Policies
import Testing

@Suite struct PolicyCatalogueTests {
    @Test func `built-in policies are there without any document`() throws {
        #expect(catalogue().names == ["default", "strict", "online", "gpu", "build"])
        #expect(PolicyCatalogue().names == BuiltInPolicies.names)
        for policy in BuiltInPolicies.all { #expect(try catalogue().policy(named: policy.name) == policy) }
    }

    @Test func `names come from both layers`() {
        let policies = catalogue(
            ["zoo": "", "lab": "", "a.b": "", "old.yml": "", "notes.txt": "", "default": ""], system: ["lab": ""])
        #expect(policies.names == ["default", "strict", "online", "gpu", "build", "lab", "zoo"])
        #expect(
            policies.strayFiles.map(\.description) == [
                "policies/default.yaml: `default` is a built-in policy, and the names of those are reserved",
                "policies/old.yml: the file of a policy ends with `.yaml`",
            ])
    }

    @Test func `a policy that is not there is told with the nearest`() throws {
        let error = try #require(throws: PolicyError.self) { try catalogue(["lab": ""]).policy(named: "Lba") }
        #expect(error == .notFound("Lba", nearest: "lab"))
        #expect(error.description == "find the policy `Lba`: there is none of that name")
        #expect(error.hint == "did you mean `lab`?")
        for name in [
            "", "..", "../lab", "a/b", ".", "la b", "l\u{E4}b", "x\u{1b}[31m", String(repeating: "a", count: 65),
        ] {
            let error = try #require(throws: PolicyError.self) { try catalogue(["lab": ""]).policy(named: name) }
            guard case .notFound = error else {
                Issue.record("\(name.debugDescription): \(error)")
                continue
            }
            #expect(!error.description.contains("\u{1b}"))
        }
    }

    @Test func `a chain of documents is applied from its base on`() throws {
        let policies = catalogue(
            [
                "lab": "extends: mid\nlimits:\n  pids: 5",
                "mid": "extends: base\nnetwork: none\nlimits: {pids: 6, memory: 1GiB}",
            ],
            system: ["base": "extends: online\ndata: ro\nlimits: {pids: 7, memory: 2GiB, open_files: 100}"])
        let resolved = try policies.resolve("lab")
        let policy = resolved.policy
        #expect(policy.name == "lab")
        #expect(policy.network == .none)
        #expect(policy.data == .readOnly)
        #expect(policy.limits.pids == 5)
        #expect(policy.limits.memory == .mebibytes(1024))
        #expect(policy.limits.openFiles == 100)
        #expect(policy.limits.wallTime == BuiltInPolicies.online.limits.wallTime)
        #expect(resolved.lineage == ["lab", "mid", "base", "online"])
        #expect(
            resolved.origins.mapValues(\.description) == [
                "network": "policies/mid.yaml:2:10", "data": "/etc/cloche/policies/base.yaml:2:7",
                "limits.pids": "policies/lab.yaml:3:9", "limits.memory": "policies/mid.yaml:3:27",
                "limits.open_files": "/etc/cloche/policies/base.yaml:3:45",
            ])
    }

    @Test func `problems of the whole chain are told at once, those of the asked-for policy first`() {
        #expect(
            problems(
                of: "extends: base\nnetwork: x\nseccomp: {allow: [file-locks]}",
                others: ["base": "extends: default\nidentity: x\nlimits: {cpus: {enforce: hard}}"]) == [
                    "2:10: `network` is one of `none`, `filtered`, `outbound`, `host`, and not `x`",
                    "3:19: `file-locks` has no effect: `default` refuses nothing for that reason",
                    "policies/base.yaml:2:11: `identity` is one of `any`, `range`, and not `x`",
                    "policies/base.yaml:3:26: `limits.cpus` has no value that could be enforced: give one",
                ])
    }

    @Test func `a circle is told where it closes`() {
        #expect(
            problems(of: "extends: lab") == [
                "1:10: policies cannot extend each other in a circle: `lab` -> `lab`"
            ])
        #expect(
            problems(of: "extends: a", others: ["a": "extends: b", "b": "network: none\nextends: a"]) == [
                "policies/b.yaml:2:10: policies cannot extend each other in a circle: `lab` -> `a` -> `b` -> `a`"
            ])
    }

    @Test func `eight documents may extend each other, and not nine`() throws {
        var others: [String: String] = [:]
        for index in 1...7 { others["p\(index)"] = index == 7 ? "network: host" : "extends: p\(index + 1)" }
        #expect(try lab("extends: p1", others: others).network == .host)
        others["p7"] = "extends: p8"
        others["p8"] = "network: host"
        #expect(
            problems(of: "extends: p1", others: others) == [
                "policies/p7.yaml:1:10: more than 8 documents extend each other"
            ])
    }

    @Test func `what cannot be extended is told at the name`() {
        #expect(
            problems(of: "network: none\nextends: build") == [
                "2:10: `build` is for builds of environments alone and cannot be extended"
            ])
        #expect(problems(of: "extends: strickt") == ["1:10: there is no policy `strickt`; did you mean `strict`?"])
        #expect(problems(of: "extends: nowhere") == ["1:10: there is no policy `nowhere`"])
        #expect(
            problems(of: "extends: bse\nnetwork: x", others: ["base": "{}"]) == [
                "1:10: there is no policy `bse`; did you mean `base`?",
                "2:10: `network` is one of `none`, `filtered`, `outbound`, `host`, and not `x`",
            ])
    }

    @Test(arguments: ["default", "strict", "online", "gpu", "build"])
    func `a document of a built-in's name is told, not passed over`(name: String) throws {
        for policies in [catalogue([name: "network: host"]), catalogue(system: [name: "network: host"])] {
            let error = try #require(throws: PolicyError.self) { try policies.policy(named: name) }
            #expect(error.description.hasSuffix("`\(name)` is a built-in policy, and no document may redefine it"))
        }
        let policies = catalogue(["default": "network: host", "lab": "extends: default"])
        #expect(throws: PolicyError.self) { try policies.policy(named: "lab") }
    }

    @Test func `the name of the ceiling is reserved`() throws {
        let error = try #require(throws: PolicyError.self) { try catalogue(["ceiling": "{}"]).policy(named: "ceiling") }
        #expect(error.description == "policies/ceiling.yaml: the name `ceiling` is reserved")
    }

    @Test func `a store may repeat a policy of the system, and not change it`() throws {
        #expect(
            try catalogue(["lab": "network: host"], system: ["lab": "network: host"]).policy(named: "lab").network
                == .host)
        let policies = catalogue(["lab": "network: host", "x": "extends: lab"], system: ["lab": "network: none"])
        for name in ["lab", "x"] {
            let error = try #require(throws: PolicyError.self) { try policies.policy(named: name) }
            #expect(
                error.description
                    == "policies/lab.yaml: /etc/cloche/policies/lab.yaml has this name already, with another content")
        }
    }

    @Test func `a document that cannot be read is told`() throws {
        struct Broken: Error, CustomStringConvertible { let description = "input/output error\u{7}" }
        let layer = PolicyCatalogue.Layer(directory: "/p", fileNames: { [] }, read: { _ in throw Broken() })
        let error = try #require(throws: PolicyError.self) { try PolicyCatalogue(layers: [layer]).policy(named: "lab") }
        #expect(error.description == #"read /p/lab.yaml: input/output error\u{7}"#)
    }

    @Test func `a document is checked wherever it lies`() throws {
        let policies = catalogue(["base": "network: host"])
        let text = Array("extends: base\ndata: ro".utf8)
        let resolved = try policies.resolve(reading: text, name: "new", file: "/tmp/new.yaml")
        #expect(resolved.policy.network == .host)
        #expect(resolved.lineage == ["new", "base", "default"])
        for (name, fault) in [
            ("default", "`default` is a built-in policy, and the names of those are reserved"),
            ("a b", "`a b` is not the name of a policy: at most 64 letters, digits, `-` and `_`"),
        ] {
            let error = try #require(throws: PolicyError.self) {
                try policies.resolve(reading: text, name: name, file: "f.yaml")
            }
            #expect(error == .invalid(error.problems, hint: "rename the file"))
            #expect(error.description == "f.yaml: " + fault)
        }
        let document = try PolicyDocument(reading: text, name: "new", file: "new.yaml")
        #expect(document.base == "base")
    }
}

extension PolicyError {
    fileprivate var problems: [PolicyProblem] {
        guard case .invalid(let problems, _) = self else { return [] }
        return problems
    }
}

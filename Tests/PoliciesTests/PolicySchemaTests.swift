import Isolation
import Testing

@testable import Policies

/// A document as JSON, which is YAML too.
private indirect enum Document: CustomStringConvertible {
    case text(String)
    case integer(Int)
    case list([Document])
    case map([(String, Document)])

    var description: String {
        switch self {
        case .text(let text): "\"\(text)\""
        case .integer(let number): String(number)
        case .list(let list): "[" + list.map(\.description).joined(separator: ", ") + "]"
        case .map(let map): "{" + map.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}"
        }
    }
}

/// As much of JSON Schema as the schema uses; an unknown word fails.
private func isValid(_ document: Document, _ schema: PolicySchema.Value) -> Bool {
    guard case .object(let words) = schema else { return false }
    return words.allSatisfy { word, value in
        switch (word, value) {
        case ("$schema", _), ("title", _), ("description", _): return true
        case ("anyOf", .list(let schemas)): return schemas.contains { isValid(document, $0) }
        case ("enum", .list(let values)):
            guard case .text(let text) = document else { return false }
            return values.contains(.text(text))
        case ("const", .text(let text)): return "\(document)" == "\"\(text)\""
        case ("type", .text(let type)):
            switch (type, document) {
            case ("string", .text), ("integer", .integer), ("number", .integer), ("array", .list), ("object", .map):
                return true
            default: return false
            }
        case ("pattern", .text(let pattern)):
            guard case .text(let text) = document, let expression = try? Regex(pattern) else { return false }
            return text.wholeMatch(of: expression) != nil
        case ("minimum", .number(let least)):
            guard case .integer(let number) = document else { return true }
            return Double(number) >= least
        case ("maximum", .number(let most)):
            guard case .integer(let number) = document else { return true }
            return Double(number) <= most
        case ("properties", .object(let properties)):
            guard case .map(let map) = document else { return true }
            return map.allSatisfy { key, value in properties[key].map { isValid(value, $0) } ?? true }
        case ("additionalProperties", .boolean(false)):
            guard case .map(let map) = document, case .object(let properties)? = words["properties"] else {
                return true
            }
            return map.allSatisfy { properties[$0.0] != nil }
        case ("minProperties", .integer(let least)):
            guard case .map(let map) = document else { return true }
            return map.count >= least
        case ("items", let items):
            guard case .list(let list) = document else { return true }
            return list.allSatisfy { isValid($0, items) }
        case ("uniqueItems", .boolean(true)):
            guard case .list(let list) = document else { return true }
            return Set(list.map(\.description)).count == list.count
        case ("maxItems", .integer(let most)):
            guard case .list(let list) = document else { return true }
            return list.count <= most
        default:
            Issue.record("the schema has the word \(word)")
            return false
        }
    }
}

@Suite struct PolicySchemaTests {
    /// The names of the keys directly below a path.
    private func keys(below path: String) -> Set<String> {
        let prefix = path.isEmpty ? "" : path + "."
        return Set(
            PolicyKey.all.map(\.path).filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
                .filter { !$0.isEmpty && !$0.contains(".") })
    }

    @Test func `each key that the reader knows is in the table, and each in the table is known to the reader`() throws {
        let maps = [""] + PolicyKey.all.filter { if case .map = $0.form { true } else { false } }.map(\.path)
        #expect(maps.count > 10)
        for path in maps {
            var text = "nosuchkey: 1"
            for part in path.split(separator: ".").reversed() { text = "\(part): {\(text)}" }
            var reader = PolicyReader(name: "lab", file: "lab.yaml")
            _ = reader.read(Array(text.utf8))
            let hint = try #require(reader.hint)
            let known = Set(hint.split(separator: " has the keys ")[1].split(separator: ", ").map(String.init))
            #expect(known == keys(below: path), "\(path)")
        }
    }

    @Test func `words of the table are those that the reader takes`() throws {
        for key in PolicyKey.all {
            guard case .words(let words) = key.form else { continue }
            func problems(_ word: String) -> [String] {
                var text = word
                // A list belongs to it.
                if word == "filtered" { text = "filtered, allow: ['a.example:443']" }
                for part in key.path.split(separator: ".").reversed() { text = "{\(part): \(text)}" }
                var reader = PolicyReader(name: "lab", file: "lab.yaml")
                _ = reader.read(Array(text.utf8))
                return reader.problems.map(\.message)
            }
            let told = try #require(problems("nosuchword").first { $0.contains("is one of") })
            for word in words { #expect(problems(word) == [], "\(key.path) \(word)") }
            let known = told.split(separator: "`").map(String.init).filter { word in
                problems(word).isEmpty && !word.contains(" ")
            }
            #expect(Set(known) == Set(words), "\(key.path): \(told)")
        }
    }

    @Test(arguments: ["default", "strict", "online", "gpu"])
    func `what a built-in policy says, written as a document, is valid and means the same`(name: String) throws {
        let policy = try #require(BuiltInPolicies.named(name))
        let limits = LimitName.allCases.map { limit -> (String, Document) in
            guard let value = policy.limits.value(of: limit) else { return (limit.rawValue, .text("unlimited")) }
            let text = Document.text(limit.text(of: value))
            return (
                limit.rawValue,
                policy.hardLimits.contains(limit) ? .map([("value", text), ("enforce", .text("hard"))]) : text
            )
        }
        let data: Document =
            policy.data == .none
            ? .text("none")
            : .map([("access", .text(policy.data.rawValue)), ("scope", .text(policy.dataScope.rawValue))])
        let document = Document.map([
            ("extends", .text(name)), ("network", .text(policy.networkText)), ("data", data),
            ("identity", .text(policy.needsRange ? "range" : "any")), ("limits", .map(limits)),
            ("seccomp", .map([("allow", .list([])), ("deny", .list([]))])),
        ])
        #expect(isValid(document, PolicySchema.document), "\(document)")
        #expect(PolicyDifference.between(policy, try lab(document.description)).isEmpty)
    }

    @Test func `a document that the reader accepts is valid by the schema`() {
        var random = SeededGenerator(seed: 0x5C4E)
        var (accepted, refused) = (0, 0)
        for _ in 0..<3000 {
            let document = Self.document(&random)
            var reader = PolicyReader(name: "lab", file: "lab.yaml")
            let isAccepted = reader.read(Array(document.description.utf8)) && reader.problems.isEmpty
            if isAccepted { accepted += 1 } else { refused += 1 }
            if isAccepted { #expect(isValid(document, PolicySchema.document), "\(document)") }
        }
        #expect(accepted > 300 && refused > 300, "\(accepted) \(refused)")
    }

    private static func document(_ random: inout SeededGenerator) -> Document {
        func pick<Value>(_ values: [Value]) -> Value { values[Int.random(in: 0..<values.count, using: &random)] }
        func word(_ words: [String]) -> Document { .text(pick(words)) }
        func value(_ name: LimitName) -> Document {
            switch name {
            case .memory, .scratch, .project, .output:
                word(["512MiB", "1.5 GiB", "2g", "4096", "unlimited", "64kb", "1TB", "0B", "x", "1e3MiB", "10 B"])
            case .pids, .openFiles: pick([.integer(64), .integer(1), .text("128"), .text("unlimited"), .text("many")])
            case .cpus: pick([.integer(2), .text("1.5"), .text("unlimited"), .text("0"), .text("two")])
            case .wallTime, .cpuTime:
                pick([
                    .integer(90), .text("1h30m"), .text("1.5h"), .text("90s"), .text("30m1h"), .text("2d"), .text("s"),
                ])
            }
        }
        func limit(_ name: LimitName) -> Document {
            pick([
                value(name), value(name),
                .map([("value", value(name)), ("enforce", word(["hard", "best-effort", "firm"]))]), .map([]),
                .map([("enforce", word(["best-effort"]))]),
            ])
        }
        func calls(_ names: [String]) -> Document {
            .list((0..<Int.random(in: 0...3, using: &random)).map { _ in word(names) })
        }
        var entries: [(String, Document)] = [
            ("extends", word(["default", "lab-2", "online", "a b", ""])),
            (
                "network",
                pick([
                    word(["none", "outbound", "host", "some"]), .map([("mode", word(["none", "host", "some"]))]),
                    .map([]),
                    .map([
                        ("mode", word(["filtered", "outbound"])),
                        (
                            "allow",
                            .list([word(["a.example:443", "*.example.com:80", "10.0.0.0/8:5432", "a.example"])])
                        ),
                    ]),
                ])
            ),
            (
                "data",
                pick([
                    word(["rw", "ro", "none"]), .map([("scope", word(["shared", "job", "mine"]))]), .map([]),
                    .map([("access", word(["rw", "ro"])), ("scope", word(["project"]))]),
                ])
            ),
            ("identity", word(["any", "range", "none"])),
            (
                "devices",
                pick([
                    word(["none", "all", "nvidia"]), .list([word(["nvidia", "dri", "rocm", "kvm"])]), .list([]),
                    .map([("need", word(["all", "any", "some"]))]), .map([]),
                    .map([("allow", .list([word(["nvidia", "dri"])])), ("need", word(["any", "none"]))]),
                    .map([("allow", word(["none"]))]), .list([word(["dri"]), word(["dri", "rocm"])]),
                ])
            ),
            (
                "limits",
                .map(
                    LimitName.allCases.filter { _ in Bool.random(using: &random) }.prefix(2).map {
                        ($0.rawValue, limit($0))
                    })
            ),
            (
                "seccomp",
                .map([
                    ("allow", calls(["ptrace", "debug", "bpf", "nothing", "io-uring"])),
                    ("deny", calls(["flock", "statx", "read", "mounts", "splice"])),
                    ("only", calls(["flock", "read", "getpid", "mounts"])),
                ])
            ),
            ("nosuchkey", .integer(1)),
        ]
        entries.shuffle(using: &random)
        return .map(Array(entries.prefix(Int.random(in: 1...3, using: &random))))
    }
}

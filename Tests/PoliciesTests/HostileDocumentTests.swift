import Isolation
import Policies
import Testing

@Suite struct HostileDocumentTests {
    private func refusal(_ bytes: [UInt8]) -> String? {
        do throws(PolicyError) {
            _ = try PolicyCatalogue().resolve(reading: bytes, name: "lab", file: "lab.yaml")
            return nil
        } catch {
            return error.description
        }
    }

    private func refusal(_ text: String) -> String? { refusal(Array(text.utf8)) }

    @Test func `a document has at most 64 KiB`() {
        let comment = "network: none\n#" + String(repeating: "x", count: 65536 - 15)
        #expect(refusal(comment) == nil)
        #expect(refusal(comment + "x") == "lab.yaml: the policy is larger than 65536 bytes")
    }

    @Test func `what is no text of one document is refused`() {
        #expect(refusal([0x6E, 0xFF, 0xFE]) == "lab.yaml: the policy is not UTF-8")
        #expect(refusal([0xFF, 0xFE, 0x61, 0x00]) == "lab.yaml: the policy is not UTF-8")
        #expect(refusal("network: none\0") == "lab.yaml:1:14: a control character")
        #expect(refusal("network: none\n# \u{1b}[2J") == "lab.yaml:2:3: a control character")
        #expect(refusal("a:\rb") == "lab.yaml:1:3: a control character")
        #expect(refusal("a: b\u{85}c") == "lab.yaml:1:5: a control character")
        #expect(refusal("a: b\u{2028}c") == "lab.yaml:1:5: a control character")
        #expect(refusal("# \u{202E}enon :krowten") == "lab.yaml:1:3: a control character")
        #expect(refusal("\u{FEFF}network: none") == nil)
        #expect(refusal("") == "lab.yaml: the policy is empty")
        #expect(refusal("# nothing\n") == "lab.yaml: the policy is empty")
        #expect(refusal("network: none\r\ndata: ro\r\n") == nil)
    }

    @Test(arguments: ["[", "{a: ", "- ", "? ", "- - ", "a: [", "[{", ": ", "&a [", "!a [", "-\t", "[[[\n", "{? "])
    func `deep nesting is refused before it costs anything`(piece: String) {
        for count in [200, 1500, 65000 / piece.utf8.count] {
            #expect(refusal(String(repeating: piece, count: count)) != nil)
        }
    }

    @Test func `nesting by indentation is refused`() {
        for piece in ["-\n", "a:\n", "?\n", ":\n"] {
            let text = (0..<350).map { String(repeating: " ", count: $0) + piece }.joined()
            #expect(refusal(text) != nil)
        }
    }

    @Test func `aliases are refused, and a bomb of them before it goes off`() {
        #expect(
            refusal("network: &n none\ndata: *n") == "lab.yaml:1:10: anchors and aliases are not read in a policy")
        #expect(refusal("data: *n") == "lab.yaml:1:7: found undefined alias")
        for separator in [" ", "\n  ", "\t"] {
            var bomb = "a0: &a0 [x, x]\n"
            for index in 1...30 {
                bomb += "a\(index): &a\(index) [\(separator)*a\(index - 1),\(separator)*a\(index - 1)]\n"
            }
            bomb += "? *a30\n: x\n"
            #expect(refusal(bomb)?.contains("too many aliases") == true)
        }
        let keys = "a: &a [x]\n? [*a, *a]\n: &b [*a, *a]\n? {*b : *b}\n: c"
        #expect(refusal(keys) != nil)
    }

    @Test func `tags are refused`() {
        #expect(refusal("network: !secret none") == "lab.yaml:1:10: the tag `!secret` means nothing in a policy")
        #expect(refusal("limits: !!python/object:os.system {pids: 5}")?.contains("means nothing") == true)
        #expect(refusal("limits: {pids: !!int 5}")?.contains("means nothing") == true)
        #expect(refusal("network: !!str none") == nil)
    }

    @Test func `names are shown harmlessly`() throws {
        let text = #"""
            "\e[31mred\x00\n": 1
            "\u202Enetwork": none
            extends: "\e]0;title\a"
            seccomp: {allow: ["\r\nread"]}
            """#
        let shown = try #require(refusal(text))
        #expect(shown.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
        #expect(
            shown.split(separator: "\n") == [
                #"lab.yaml:1:1: unknown key `\u{1b}[31mred\u{0}\n`"#,
                #"lab.yaml:2:1: unknown key `\u{202e}network`; did you mean `network`?"#,
                #"lab.yaml:3:10: `\u{1b}]0;title\u{7}` is not the name of a policy"#,
                #"lab.yaml:4:19: `\r\nread` is neither a system call nor a group of refusals; did you mean `read`?"#,
            ])
        #expect(refusal("network: " + String(repeating: "é", count: 20000))?.count ?? 0 < 400)
    }

    @Test func `many problems are told in part`() {
        let names = (0..<900).map { "nothing\($0)" }.joined(separator: ", ")
        let shown = refusal("seccomp: {allow: [\(names)]}")?.split(separator: "\n") ?? []
        #expect(shown.count == 51)
        #expect(shown.last?.hasPrefix("and ") == true)
        #expect(refusal((0..<3000).map { "key\($0): 1\n" }.joined())?.split(separator: "\n").count == 51)
        let calls = Array(repeating: "flock", count: 5000).joined(separator: ", ")
        #expect(refusal("seccomp: {deny: [\(calls)]}")?.contains("more than 1000 entries") == true)
    }

    @Test func `no bytes make the reader fail otherwise than by an error`() {
        var random = SeededGenerator(seed: 0xC10C)
        let pieces = [
            "network", "data", "limits", "seccomp", "extends", "allow", "deny", "memory", "enforce", "value", "none",
            "hard", "1GiB", "5", "unlimited", "flock", "debug", ": ", ":", "- ", "[", "]", "{", "}", ", ", "\n", "\n  ",
            "  ", "\"", "'", "\\", "&a ", "*a", "!t ", "? ", "| ", "> ", "#", "%YAML 1.1\n", "---\n", "...\n", "\t",
            "\r\n", "\u{FEFF}", "é", "e\u{301}", "👩‍💻", "\\x00", "\\uD800", "<<", "~", "\u{0}", "\u{85}",
        ]
        for round in 0..<4000 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 0...40, using: &random) {
                bytes += Array(pieces[Int.random(in: 0..<pieces.count, using: &random)].utf8)
            }
            if round % 3 == 0, !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            check(bytes)
        }
        for _ in 0..<2000 {
            check((0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) })
        }
    }

    @Test func `no small change of a good document makes the reader fail otherwise than by an error`() {
        var random = SeededGenerator(seed: 0x1A8)
        let good = Array(
            """
            extends: online
            data: {access: ro, scope: job}
            limits:
              memory: {value: 2GiB, enforce: hard}
              wall_time: 1h30m
              cpus: 1.5
            seccomp:
              allow: [debug]
              deny: [flock]
            """.utf8)
        for _ in 0..<3000 {
            var bytes = good
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                default: bytes.insert(UInt8.random(in: 0x20...0x7E, using: &random), at: index)
                }
            }
            check(bytes)
        }
    }

    /// A document is read, or refused with messages that a terminal may show.
    private func check(_ bytes: [UInt8]) {
        do throws(PolicyError) {
            let resolved = try PolicyCatalogue().resolve(reading: bytes, name: "lab", file: "lab.yaml")
            #expect(resolved.policy.name == "lab")
        } catch {
            let shown = error.description
            #expect(!shown.isEmpty)
            #expect(shown.unicodeScalars.allSatisfy { $0 == "\n" || $0.properties.generalCategory != .control })
        }
    }
}

/// Random numbers that are the same in each run: SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

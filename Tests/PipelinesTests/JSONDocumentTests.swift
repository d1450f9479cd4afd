import PlainText
import Testing

@testable import Pipelines

struct JSONDocumentTests {
    private func problems(_ bytes: [UInt8], limits: JSONLimits = .standard) -> [String] {
        do {
            _ = try JSONDocument(bytes, file: "f.json", limits: limits)
            return []
        } catch {
            return error.diagnostics.map { String($0.description.dropFirst("f.json:".count)) }
        }
    }

    private func problems(_ text: String) -> [String] { problems(Array(text.utf8)) }

    @Test func `every kind of value is read`() throws {
        let text = #"""
            { "null": null, "yes": true, "no": false, "n": [-0, 1.5, 1e3, 12E-2],
              "s": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00é😀", "empty": [{}, [], ""] }
            """#
        let value = try JSONValue(parsing: text)
        #expect(value["null"] == .null)
        #expect(value["yes"] == true && value["no"] == false)
        #expect(value["n"]?.arrayValue?.map { $0.text() } == ["-0", "1.5", "1e3", "12E-2"])
        #expect(value["s"] == "a\"\\/\u{8}\u{c}\n\r\t\u{e9}😀\u{e9}😀")
        #expect(value["empty"] == [[:], [], ""])
    }

    @Test(arguments: ["true", "null", "-1.5e+10", "\"\"", "[]", "{}", " \r\n\t 0 \n"])
    func `a value alone is a document`(text: String) throws {
        _ = try JSONValue(parsing: text)
    }

    @Test func `integers of any length in range arrive unchanged`() throws {
        let digits = "123456789012345678901234567890123456789"
        let value = try JSONValue(parsing: "[\(digits), 1.10, 1e2]")
        #expect(value.text() == "[\(digits),1.10,1e2]")
        #expect(value != (try JSONValue(parsing: "[\(digits), 1.1, 1e2]")))
    }

    @Test(arguments: ["1e400", "-1e400", "1" + String(repeating: "0", count: 400), "0.1e999999999999999999999"])
    func `numbers that no double holds are refused`(number: String) {
        #expect(problems("[0, \(number)]").first?.hasPrefix("1:5: the number `") == true)
        #expect(JSONNumber(number) == nil)
    }

    @Test(arguments: ["1e308", "1e-400", "-0", "0.10", String(repeating: "9", count: 308)])
    func `numbers that a double holds are taken`(number: String) {
        #expect(problems("[\(number)]") == [])
        #expect(JSONNumber(number)?.literal == number)
    }

    @Test(arguments: [
        ("", "1:1: the file is empty"),
        ("  \n ", "1:1: the file is empty"),
        ("[1,]", "1:3: a comma before `]`"),
        ("{\"a\": 1,\n}", "1:8: a comma before `}`"),
        ("[1 2]", "1:4: expected `,` or `]`, found `2`"),
        ("{\"a\" 1}", "1:6: expected `:` after the key, found `1`"),
        ("{a: 1}", "1:2: a key without quotes"),
        ("{1: 1}", "1:2: expected a key in quotes, found `1`"),
        ("['a']", "1:2: expected a value, found `'`"),
        ("[01]", "1:2: a number with a leading zero"),
        ("[1.]", "1:2: a number that ends with a dot"),
        ("[-]", "1:2: `-` without a number"),
        ("[1e]", "1:2: an exponent without digits"),
        ("[.5]", "1:2: expected a value, found `.`"),
        ("[+1]", "1:2: expected a value, found `+`"),
        ("[12px]", "1:4: `p` in a number"),
        ("[True]", "1:2: `True` is not a JSON value"),
        ("[NaN]", "1:2: `NaN` is not a JSON value"),
        ("[-Infinity]", "1:2: `-` without a number"),
        ("[nul]", "1:2: `nul` is not a JSON value"),
        ("[1] x", "1:5: `x` after the end of the JSON value"),
        ("{} {}", "1:4: `{` after the end of the JSON value"),
        ("[1", "1:3: the file ends inside a list that begins at 1:1"),
        ("{\"a\": [", "1:8: the file ends where a value is expected"),
        ("{\"a\": 1", "1:8: the file ends inside an object that begins at 1:1"),
        ("[\"abc", "1:2: a text is not closed"),
        ("[\"abc\n\"]", "1:2: a text is not closed on its line"),
        ("[\"abc\\", "1:2: a text is not closed"),
        ("// x\n1", "1:1: a comment, or a stray `/`"),
        ("[1, # x\n2]", "1:5: a comment, or a stray `#`"),
        ("[\u{a0}1]", "1:2: expected a value, found `\u{a0}`"),
        ("\0", "1:1: expected a value, found `\\u{0}`"),
    ])
    func `malformed documents are told with their place`(text: String, message: String) {
        #expect(problems(text) == [message])
    }

    @Test func `problems inside of texts are all told`() {
        let text =
            "{\n  \"a\": \"\\x\",\n  \"b\": \"\\ud800\", \"c\": \"\\udc00\\ud83d\",\n  \"d\": \"\\u12g4\", \"e\": \"\t\0\"\n}"
        #expect(
            problems(text) == [
                #"2:9: `\` before `x`"#,
                "3:9: half of a surrogate pair in a text",
                "3:24: half of a surrogate pair in a text",
                "3:30: half of a surrogate pair in a text",
                #"4:9: `\u` without four hexadecimal digits"#,
                #"4:24: `\t` in a text"#,
                #"4:25: `\u{0}` in a text"#,
            ]
        )
    }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF0, 0x80, 0x80, 0x80],
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE2, 0x82], [0x80],
        ] as [[UInt8]])
    func `bytes that are not UTF-8 are refused`(bytes: [UInt8]) {
        let found = problems([0x22] + bytes + [0x22])
        #expect(found.first?.hasPrefix("1:2: ") == true)
        #expect(found.allSatisfy { $0.hasSuffix("is not UTF-8") })
        #expect(problems([0x22] + bytes).isEmpty == false)
    }

    @Test func `duplicate keys are told with both places, also when spelt with escapes`() {
        let text = "{\n  \"a\": 1,\n  \"b\": {\"x\": 1, \"\\u0078\": 2},\n  \"a\": 3\n}"
        #expect(problems(text) == ["3:17: duplicate key `x`, first at 3:9", "4:3: duplicate key `a`, first at 2:3"])
    }

    @Test func `duplicate keys are found in large objects`() {
        let members = (0..<5000).map { "\"k\($0)\": \($0)" } + ["\"k17\": 1"]
        #expect(
            problems("{" + members.joined(separator: ",\n") + "}") == ["5001:1: duplicate key `k17`, first at 18:1"])
    }

    @Test func `keys that only look alike are different`() throws {
        let value = try JSONValue(parsing: "{\"\u{e9}\": 1, \"e\u{301}\": 2}")
        #expect(value["\u{e9}"] == 1)
        #expect(value["e\u{301}"] == 2)
        #expect(JSONValue.string("\u{e9}") != .string("e\u{301}"))
    }

    @Test func `many keys that only look alike cost no more than others`() throws {
        // All of these are one text to `String`, and its hash is the same for all.
        let marks = ["\u{323}", "\u{307}", "\u{331}", "\u{30a}"]
        let keys = (0..<20_000).map { number in "a" + (0..<8).map { marks[number >> ($0 * 2) & 3] }.joined() }
        let unique = Set(keys.map { ExactText($0) })
        let object = JSONObject(unique.map { ($0.text, 1) })
        #expect(object.count == unique.count)
    }

    @Test func `columns count characters and lines end in three ways`() {
        #expect(problems("[\"é😀\", x]") == ["1:8: `x` is not a JSON value"])
        #expect(problems("[1,\r\n2,\r3,\n  x]") == ["4:3: `x` is not a JSON value"])
    }

    @Test func `a byte order mark is passed over, other encodings are named`() throws {
        #expect(problems([0xEF, 0xBB, 0xBF] + Array("[x]".utf8)) == ["1:2: `x` is not a JSON value"])
        #expect(problems([0xFF, 0xFE, 0x5B, 0x00]) == ["1:1: the file is UTF-16"])
        #expect(problems([0xFE, 0xFF, 0x00, 0x5B]) == ["1:1: the file is UTF-16"])
    }

    @Test func `nesting is bounded`() {
        let deep = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(problems(deep) == [])
        #expect(problems("[\(deep)]") == ["1:129: lists and objects lie in each other more than 128 deep"])
        #expect(problems(String(repeating: "{\"a\":", count: 2_000_000)).count == 1)
    }

    @Test func `a file of 100 MB is refused by its name and size`() {
        let bytes = [UInt8](repeating: 0x20, count: 100_000_000)
        #expect(throws: InvalidDocument.self) { try JSONDocument(bytes, file: "big.json") }
        do {
            _ = try JSONDocument(bytes, file: "big.json")
        } catch {
            #expect(error.description == "big.json: the file has 100000000 bytes, and at most 16777216 are read")
            #expect(error.hint != nil)
        }
    }

    @Test func `the number of values is bounded`() {
        let limits = JSONLimits(values: 1000)
        #expect(problems(Array("[\(String(repeating: "0,", count: 998))0]".utf8), limits: limits) == [])
        #expect(
            problems(Array("[\(String(repeating: "0,", count: 999))0]".utf8), limits: limits)
                == ["1:2000: the file has more than 1000 values"]
        )
    }

    @Test func `the number of messages is bounded`() {
        let text = "[" + Array(repeating: "\"\\q\"", count: 1000).joined(separator: ",") + "]"
        #expect(problems(text).count == 50)
    }

    @Test func `messages show nothing that a terminal obeys`() {
        for found in problems("{\"\u{1b}[2J\u{202e}\u{9b}\": 1, \"a\u{7f}\": 2, \"a\u{7f}\": \u{9b}}") {
            #expect(found.unicodeScalars.allSatisfy { !$0.isUnprintable })
        }
    }

    @Test func `nodes know their places`() throws {
        let root = try JSONDocument(Array("{\n  \"a\": [1, \"é\", {\"b\": null}]\n}".utf8), file: "f").root
        let list = try #require(root["a"]?.elements)
        #expect(list.map(\.position.description) == ["2:9", "2:12", "2:17"])
        #expect(list[2]["b"]?.position == TextPosition(line: 2, column: 23))
        #expect(root.members?.first?.keyNode.position.description == "2:3")
    }

    @Test func `random damage never gets past the reader unnoticed or breaks it`() throws {
        let text = try Samples.parameterised().definition.text(pretty: true)
        var generator = Lehmer(state: 42)
        for _ in 0..<1500 {
            var bytes = Array(text.utf8)
            for _ in 0...Int.random(in: 0..<4, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            if let document = try? JSONDocument(bytes, file: "f") {
                let value = document.root.value
                #expect(try JSONValue(parsing: value.text()) == value)
            }
        }
    }
}

/// Repeatable random numbers.
struct Lehmer: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state ^ state >> 29
    }
}

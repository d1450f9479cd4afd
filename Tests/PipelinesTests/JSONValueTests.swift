import Testing

@testable import Pipelines

struct JSONValueTests {
    @Test func `files are written with four spaces and sorted keys`() throws {
        let value: JSONValue = ["b": [1, [], [:]], "a": ["z": nil, "é": true, "Z": "x"]]
        let expected = """
            {
                "a": {
                    "Z": "x",
                    "z": null,
                    "é": true
                },
                "b": [
                    1,
                    [],
                    {}
                ]
            }
            """
        #expect(value.text(pretty: true, sortedKeys: true) == expected)
        #expect(value.text() == #"{"b":[1,[],{}],"a":{"z":null,"é":true,"Z":"x"}}"#)
    }

    @Test func `what a terminal would obey is written as escapes and reads back`() throws {
        let value: JSONValue = ["\u{1b}]0;x\u{7}": .string("a\"\\\n\r\t\u{0}\u{7f}\u{85}\u{202e}\u{2028}\u{e0041}😀")]
        let text = value.text()
        #expect(text.unicodeScalars.allSatisfy { !$0.isUnprintable })
        #expect(text.contains(#"\u202e"#) && text.contains(#"\udb40\udc41"#) && text.contains("😀"))
        #expect(try JSONValue(parsing: text) == value)
    }

    @Test func `objects are equal whatever their order, lists are not`() {
        #expect(["a": 1, "b": 2] as JSONValue == ["b": 2, "a": 1])
        #expect(([1, 2] as JSONValue) != [2, 1])
        #expect(Set<JSONValue>([["a": 1, "b": 2], ["b": 2, "a": 1]]).count == 1)
        #expect(JSONValue.number(JSONNumber(1)) != .string("1"))
    }

    @Test(arguments: [0, 3, 8, 9, 10, 40])
    func `objects keep their order through changes`(size: Int) {
        var object = JSONObject((0..<size).map { ("k\($0)", JSONValue.number(JSONNumber($0))) })
        object["new"] = true
        object["k1"] = "changed"
        object["k0"] = nil
        object["absent"] = nil
        let expected = (0..<size).map { "k\($0)" }.filter { $0 != "k0" } + (size < 2 ? ["k1"] : [])
        #expect(Set(object.keys) == Set(expected + ["new", "k1"]))
        #expect(object["k1"] == "changed")
        #expect(object["new"] == true)
        #expect(object["k0"] == nil)
        #expect(object.count == object.keys.count)
    }

    @Test func `numbers tell what they are`() {
        #expect(JSONNumber("12")?.intValue == 12)
        #expect(JSONNumber("1.0")?.intValue == nil)
        #expect(JSONNumber("1e2")?.doubleValue == 100)
        #expect(JSONNumber("99999999999999999999")?.intValue == nil)
        #expect(JSONNumber(0.1)?.literal == "0.1")
        #expect(JSONNumber(Double.nan) == nil)
        for text in ["", "01", "+1", "1.", ".5", "0x10", "1 ", "--1", "NaN"] { #expect(JSONNumber(text) == nil) }
    }
}

struct PrintableTests {
    @Test(arguments: [
        ("plain é 日本 😀 👨‍👩‍👧 ✌️", "plain é 日本 😀 👨‍👩‍👧 ✌️"),
        ("\u{1b}[31mred\u{1b}[0m", #"\u{1b}[31mred\u{1b}[0m"#),
        ("a\nb\tc\r", #"a\nb\tc\r"#),
        ("\u{202e}evil\u{2066}\u{200f}\u{61c}", #"\u{202e}evil\u{2066}\u{200f}\u{61c}"#),
        ("\u{9b}2J\u{85}\u{7f}\0", #"\u{9b}2J\u{85}\u{7f}\u{0}"#),
        ("a\u{200b}b\u{feff}\u{ad}\u{2060}\u{3164}\u{e0041}", #"a\u{200b}b\u{feff}\u{ad}\u{2060}\u{3164}\u{e0041}"#),
        ("\u{2028}\u{2029}", #"\u{2028}\u{2029}"#),
    ])
    func `what a terminal obeys or hides is shown`(text: String, shown: String) {
        #expect(printable(text) == shown)
        #expect(printable(printable(text)) == shown)
    }

    @Test func `long texts are cut`() {
        #expect(printable("abcdef", limit: 6) == "abcdef")
        #expect(printable("abcdefg", limit: 6) == "abcde…")
        #expect(printable("a" + String(repeating: "\u{301}", count: 1000), limit: 10).unicodeScalars.count == 10)
        #expect(printable("", limit: 1) == "")
    }
}

struct EditDistanceTests {
    @Test(
        arguments: [
            ("train", "train", 0), ("train", "trian", 1), ("train", "tran", 1), ("train", "trains", 1),
            ("abc", "xyz", nil),
            ("", "ab", 2), ("kitten", "sitting", nil), ("ca", "abc", nil),
        ] as [(String, String, Int?)])
    func `insertions, removals, replacements and swaps count one`(left: String, right: String, distance: Int?) {
        let (left, right) = (Array(left.unicodeScalars), Array(right.unicodeScalars))
        #expect(EditDistance.between(left, right, bound: 2) == distance)
        #expect(EditDistance.between(right, left, bound: 2) == distance)
    }

    @Test func `the nearest name is suggested, and none when all are far`() {
        let names = ["get-data.py", "train.py", "trail.py"]
        #expect(EditDistance.nearest(to: "trian.py", in: names) == "train.py")
        #expect(EditDistance.nearest(to: "TRAIN.PY", in: names) == "train.py")
        #expect(EditDistance.nearest(to: "evaluate.py", in: names) == nil)
        #expect(EditDistance.nearest(to: String(repeating: "x", count: 1_000_000), in: names) == nil)
    }
}

import PlainText
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

import PlainText
import Testing

struct PrintableTests {
    @Test(arguments: [
        ("plain é 日本 😀 👨‍👩‍👧 ✌️", "plain é 日本 😀 👨‍👩‍👧 ✌️"),
        ("\u{1b}[31mred\u{1b}[0m", #"\u{1b}[31mred\u{1b}[0m"#),
        ("a\nb\tc\r", #"a\nb\tc\r"#),
        ("\u{202e}evil\u{2066}\u{200f}\u{61c}", #"\u{202e}evil\u{2066}\u{200f}\u{61c}"#),
        ("\u{9b}2J\u{85}\u{7f}\0", #"\u{9b}2J\u{85}\u{7f}\u{0}"#),
        ("a\u{200b}b\u{feff}\u{ad}\u{2060}\u{3164}\u{e0041}", #"a\u{200b}b\u{feff}\u{ad}\u{2060}\u{3164}\u{e0041}"#),
        ("\u{2028}\u{2029}", #"\u{2028}\u{2029}"#),
        (
            "default\u{200d} d\u{fe0f} 1\u{fe0f}\u{20e3} \u{202e}\u{200d}",
            "default\\u{200d} d\\u{fe0f} 1\u{fe0f}\u{20e3} \\u{202e}\\u{200d}"
        ),
        ("\u{e000}\u{378}\u{110bd}", #"\u{e000}\u{378}\u{110bd}"#),
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

import PlainText
import Testing

@testable import TerminalOutput

@Suite struct DisplayWidthTests {
    @Test(arguments: [
        ("plain", 5), ("", 0), ("é", 1), ("e\u{301}", 1), ("日本", 4), ("한글", 4), ("\u{1112}\u{1161}\u{11AB}", 2),
        ("ｆｕｌｌ", 8), ("ﾊﾝ", 2), ("👍", 2), ("👍🏽", 2), ("👩‍👩‍👧‍👦", 2), ("🇩🇪", 2), ("❤", 1), ("❤️", 2), ("☎️", 2),
        ("✓✗●○⊘–…│", 8), ("क्ष", 2), ("שלום", 4), ("𠀀", 2), ("\u{3099}", 0), ("#️⃣", 2), ("㉈", 1),
    ])
    func `a text is as wide as terminals draw it`(text: String, width: Int) {
        #expect(displayWidth(text) == width)
    }

    @Test(arguments: [
        ("abcdef", 6, "abcdef"), ("abcdef", 5, "abcd…"), ("abcdef", 1, "…"), ("abcdef", 0, ""), ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("日本語", 2, "…"), ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ("👩‍👩‍👧‍👦👍", 3, "👩‍👩‍👧‍👦…"),
    ])
    func `a text is cut between characters`(text: String, width: Int, expected: String) {
        #expect(fitted(text, width: width) == expected)
    }

    @Test func `an ellipsis never needs more than there is`() {
        #expect(fitted("abcdef", width: 2, ellipsis: "...") == "..")
    }

    @Test func `a tower of marks becomes one replacement character`() {
        let tower = "a" + String(repeating: "\u{301}", count: 5000)
        #expect(fitted(tower + "b", width: 10) == "\u{FFFD}b")
    }
}

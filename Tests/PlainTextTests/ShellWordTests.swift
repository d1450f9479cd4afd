import PlainText
import Testing

struct ShellWordTests {
    @Test(arguments: [
        ("sweep-2/0/train.py", "sweep-2/0/train.py"), ("später", "später"), ("夜間バッチ", "夜間バッチ"),
        ("später & co", "'später & co'"), ("$(x)/0", "'$(x)/0'"), ("it's", #"'it'\''s'"#), ("", "''"),
        ("a`b`", "'a`b`'"), ("a;b", "'a;b'"), ("~a", "'~a'"), ("a*", "'a*'"), ("a\\b", #"'a\b'"#), ("{a,b}", "'{a,b}'"),
        ("lr=0.1", "lr=0.1"), ("=ls", "'=ls'"), ("a\u{a0}b", "'a\u{a0}b'"), ("a\nb\u{1b}", #"'a\nb\u{1b}'"#),
    ])
    func `what a shell would not take as it is stands in quotes`(text: String, word: String) {
        #expect(shellWord(text) == word)
    }

    @Test func `a mark behind a quotation mark does not hide it`() {
        #expect(Array(shellWord("'\u{301};x").unicodeScalars) == Array("''\\''\u{301};x'".unicodeScalars))
    }
}

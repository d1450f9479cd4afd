import Testing

@testable import Runs

@Suite("Secrets in logs") struct SecretMaskTests {
    private static func masked(_ text: String, _ secrets: [String], pieces: Int = .max) -> String {
        var mask = SecretMask(secrets)
        let bytes = Array(text.utf8)
        var output: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: min(pieces, max(1, bytes.count))) {
            output += mask.feed(Array(bytes[start..<min(bytes.count, start + min(pieces, bytes.count))]))
        }
        return String(decoding: output + mask.finish(), as: UTF8.self)
    }

    @Test(arguments: [
        ("the password is hunter42!", "the password is ***!"), ("hunter42hunter42", "******"),
        ("hunter4 is not it, hunter", "hunter4 is not it, hunter"), ("hunterhunter42", "hunter***"), ("", ""),
        ("abcdef and abcd and abcde", "*** and *** and ***e"),
    ])
    func `values are replaced wherever the pieces end, and nothing else is`(_ text: String, _ expected: String) {
        for pieces in 1...12 {
            #expect(Self.masked(text, ["hunter42", "abcd", "abcdef"], pieces: pieces) == expected, "\(pieces)")
        }
    }

    @Test func `empty and short values do not ruin a log`() {
        #expect(Self.masked("a b abc", ["", "a", "abc"]) == "a b abc")
    }

    @Test func `encoded forms are replaced too`() {
        let secret = "p@ss/wörd+42"
        // base64 of the value alone, after `u:`, and after `me:`.
        for text in ["cEBzcy93w7ZyZCs0Mg==", "dTpwQHNzL3fDtnJkKzQy", "bWU6cEBzcy93w7ZyZCs0Mg=="] {
            let shown = Self.masked(text, [secret])
            #expect(shown.contains("***") && shown.count <= 3 + 7, "\(shown)")
        }
        #expect(Self.masked("https://u:p%40ss%2Fw%C3%B6rd%2B42@host", [secret]) == "https://u:***@host")
        #expect(Self.masked("https://u:p%40ss%2fw%c3%b6rd%2b42@host", [secret]) == "https://u:***@host")
        #expect(Self.masked(#"{"key": "two\"words"}"#, ["two\"words"]) == #"{"key": "***"}"#)
    }

    @Test(arguments: [
        "p&lt;a&gt;&amp;\"'x", "p&lt;a&gt;&amp;&quot;'x", "p&lt;a&gt;&amp;&quot;&#39;x", "p&lt;a&gt;&amp;&quot;&#x27;x",
        "p&lt;a&gt;&amp;&#34;&#39;x",
    ])
    func `a value is replaced in HTML too`(_ text: String) {
        #expect(Self.masked("<pre>\(text)</pre>", ["p<a>&\"'x"], pieces: 5) == "<pre>***</pre>")
    }

    @Test func `what Python and HTML make of a value is replaced, also one after the other`() {
        let secret = "p\\w\"'\n<x"
        #expect(Self.masked(#"['p\\w"\'\n<x']"#, [secret]) == "['***']")
        #expect(Self.masked(#"&#x27;p\\w&quot;\&#x27;\n&lt;x&#x27;"#, [secret]) == "&#x27;***&#x27;")
        #expect(Self.masked(#"[&#34;p\\w\&#34;&#39;\n&lt;x&#34;]"#, [secret]) == "[&#34;***&#34;]")
    }

    @Test func `each line of at least eight bytes of a value of several lines is replaced`() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nlast=<1>\nend=123\n-----END KEY-----"
        #expect(Self.masked("> MIIEvQIBADANBgkqhkiG9w0B\n> end=123", [key]) == "> ***\n> end=123")
        #expect(Self.masked("last=<1>, last=&lt;1&gt;, end=123", [key]) == "***, ***, end=123")
        #expect(Self.masked("[\(key)]", [key], pieces: 7) == "[***]")
    }

    @Test(arguments: [
        ("short", false), ("short\n", false), ("12345678\n\n12345678", false), ("12345678\r\n1234567", true),
    ])
    func `a value tells whether a line of it is not replaced`(_ value: String, _ expected: Bool) {
        #expect(SecretMask.leavesLines(of: Array(value.utf8)) == expected)
    }

    @Test func `bytes that are no text go through`() {
        var mask = SecretMask(["secret"])
        let bytes: [UInt8] = [0xFF, 0x00, 0x73, 0x65, 0xC3]
        #expect(mask.feed(bytes) + mask.finish() == bytes)
    }
}

import PlainText
import Testing

@testable import TerminalOutput

@Suite struct LogSanitizerTests {
    private func clean(_ bytes: [UInt8], colours: Bool = true, prefix: String = "") -> String {
        var sanitizer = LogSanitizer(colours: colours, prefix: prefix)
        return sanitizer.feed(bytes) + sanitizer.finish()
    }

    private func clean(_ text: String, colours: Bool = true, prefix: String = "") -> String {
        clean(Array(text.utf8), colours: colours, prefix: prefix)
    }

    @Test(arguments: [
        ("plain\ntext", "plain\ntext\n"), ("", ""), ("\n\n", "\n\n"), ("a\tb", "a\tb\n"), ("crlf\r\nx", "crlf\nx\n"),
        ("\u{1B}[31mred\u{1B}[0m", "\u{1B}[31mred\u{1B}[0m\n"),
        ("\u{1B}[31mred\u{1B}[m plain", "\u{1B}[31mred\u{1B}[0m plain\n"),
        ("\u{1B}[1m\u{1B}[31mx\u{1B}[39my", "\u{1B}[1;31mx\u{1B}[0m\u{1B}[1my\u{1B}[0m\n"),
        ("\u{1B}[38;5;208mo\u{1B}[48;2;1;2;3mp", "\u{1B}[38;5;208mo\u{1B}[0m\u{1B}[38;5;208;48;2;1;2;3mp\u{1B}[0m\n"),
        ("\u{1B}[38:2::9:8:7mx", "\u{1B}[38;2;9;8;7mx\u{1B}[0m\n"), ("\u{1B}[38;5;8mx", "\u{1B}[38;5;8mx\u{1B}[0m\n"),
        ("\u{1B}[4:3mx\u{1B}[4:0my", "\u{1B}[4mx\u{1B}[0my\n"), ("\u{9B}32mC1", "\u{1B}[32mC1\u{1B}[0m\n"),
    ])
    func `text and colours stay`(raw: String, shown: String) {
        #expect(clean(raw) == shown)
    }

    @Test(arguments: [
        "a\u{1B}[2Jb", "a\u{1B}[10;10Hb", "a\u{1B}]0;title\u{7}b", "a\u{1B}]52;c;AAAA\u{1B}\\b",
        "a\u{1B}Pq#0~\u{1B}\\b",
        "a\u{9D}0;t\u{9C}b", "a\u{90}q\u{9C}b", "a\u{1B}_apc\u{1B}\\b", "a\u{1B}^pm\u{1B}\\b", "a\u{1B}Xsos\u{1B}\\b",
        "a\u{1B}cb", "a\u{1B}(0b", "a\u{1B}#8b", "a\u{1B}[?1049hb", "a\u{1B}[>4;2mb", "a\u{1B}[!pb", "a\u{1B}[6nb",
        "a\u{1B}[8mb", "a\u{1B}[5mb", "a\u{7}\u{0}\u{B}\u{C}\u{E}\u{7F}b", "a\u{85}\u{84}b", "a\u{1B}[1 qb",
        "a\u{1B}[\u{1B}[2Jb", "a\u{1B}]x\u{1B}[2Jb", "a\u{1B}[38;5mb", "a\u{1B}[99999mb", "a\u{1B}]x\u{18}b",
        "a\u{1B}[38;2;999;0;0mb", "a\u{1B}[;;;38:mb",
    ])
    func `every other sequence is dropped`(raw: String) {
        #expect(clean(raw) == "ab\n")
    }

    @Test func `without colours no escape is left`() {
        #expect(clean("\u{1B}[31mred\u{1B}[0m", colours: false) == "red\n")
    }

    @Test func `a sequence without an end goes no further than its line`() {
        #expect(clean("a\u{1B}]0;hidden\nb\u{1B}[12\nc\u{1B}\nd\u{1B}Pxx\ne") == "a\nb\nc\nd\ne\n")
    }

    @Test func `colours end with each line and go on in the next`() {
        #expect(
            clean("\u{1B}[31mone\ntwo\n\nthree\u{1B}[0m\n", prefix: "p │ ")
                == "p │ \u{1B}[31mone\u{1B}[0m\np │ \u{1B}[31mtwo\u{1B}[0m\np │ \np │ \u{1B}[31mthree\u{1B}[0m\n")
    }

    @Test(arguments: [
        ("\r 10%\r 50%\r100%\n", "100%\n"), ("50%\rdone\n", "done\n"), ("a\r\r\n", "a\n"), ("bar\r", "bar\n"),
        ("\u{1B}[32m1%\r\u{1B}[0m2%\n", "2%\n"), ("12%\r\u{1B}[K34%\n", "34%\n"), ("|\u{8}/\u{8}-\u{8}ok\n", "ok\n"),
        ("\u{8}\u{8}a\n", "a\n"), ("é\u{8}e\n", "e\n"), ("a\u{1B}[1mb\u{8}\u{8}\u{8}c\n", "a\u{1B}[1mc\u{1B}[0m\n"),
    ])
    func `a progress bar shows its last state`(raw: String, shown: String) {
        #expect(clean(raw) == shown)
    }

    @Test(arguments: [
        ([0x61, 0xFF, 0x62], "a\u{FFFD}b\n"), ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}\n"), ([0xE2, 0x82], "\u{FFFD}\n"),
        ([0xE2, 0x82, 0x0A, 0x61], "\u{FFFD}\na\n"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\n"),
        ([0xF4, 0x90, 0x80, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}\n"), ([0x9B, 0x33, 0x31, 0x6D], "\u{FFFD}31m\n"),
        ([0xC3, 0x1B, 0x5B, 0x32, 0x4A, 0x78], "\u{FFFD}x\n"),
    ])
    func `bytes that are no UTF-8 are visible`(bytes: [UInt8], shown: String) {
        #expect(clean(bytes) == shown)
    }

    @Test func `characters that reorder or hide text are visible`() {
        #expect(clean("a\u{202E}b\u{200B}c\u{2028}d") == #"a\u{202e}b\u{200b}c\u{2028}d"# + "\n")
    }

    @Test func `every line has the prefix`() {
        #expect(clean("a\n\nb", prefix: "train │ ") == "train │ a\ntrain │ \ntrain │ b\n")
        var sanitizer = LogSanitizer(colours: true, prefix: "t\u{1B} ", prefixStyle: .dim)
        #expect(sanitizer.feed("x\n".utf8) == "\u{1B}[2mt\\u{1b} \u{1B}[0mx\n")
    }

    @Test func `a line is given out when it is complete`() {
        var sanitizer = LogSanitizer(colours: true)
        #expect(sanitizer.feed("passw".utf8) == "")
        #expect(sanitizer.feed("\u{1B}[1mord: ".utf8) == "")
        #expect(sanitizer.pendingLine == "passw\u{1B}[1mord: \u{1B}[0m")
        #expect(sanitizer.feed("\n".utf8) == "passw\u{1B}[1mord: \u{1B}[0m\n")
        #expect(sanitizer.finish() == "")
    }

    @Test func `an endless line is broken, and memory stays bounded`() {
        var sanitizer = LogSanitizer(colours: true)
        let chunk = [UInt8](repeating: 0x78, count: 100_000)
        var lines: [Substring] = []
        for _ in 0..<10 {
            lines += sanitizer.feed(chunk).split(separator: "\n")
            #expect(sanitizer.pendingLine.utf8.count <= LogSanitizer.longestLine)
        }
        lines += sanitizer.finish().split(separator: "\n")
        #expect(lines.allSatisfy { $0.utf8.count <= LogSanitizer.longestLine })
        #expect(lines.reduce(0) { $0 + $1.utf8.count } == 1_000_000)
    }

    @Test func `endless parameters and strings take no memory and leave no trace`() {
        var sanitizer = LogSanitizer(colours: true)
        #expect(sanitizer.feed("\u{1B}[".utf8 + [UInt8](repeating: 0x31, count: 1_000_000)) == "")
        #expect(sanitizer.feed("mok\u{1B}]".utf8 + [UInt8](repeating: 0x31, count: 1_000_000)) == "")
        #expect(sanitizer.feed("\n".utf8) == "ok\n")
    }

    @Test(arguments: 0..<200)
    func `whatever comes in, nothing but text and colours comes out`(seed: UInt64) {
        var random = RepeatableGenerator(state: seed)
        let pieces: [[UInt8]] = [
            [0x1B], [0x5B], [0x5D], [0x9B], [0xC2, 0x9B], [0xC2], [0xE2, 0x80, 0xAE], [0x0D], [0x0A], [0x08], [0x07],
            Array("31m".utf8), Array("38;5;".utf8), Array("2J".utf8), Array("\u{1B}[1m".utf8), Array("日本👍".utf8),
            [0x18],
            Array("text".utf8), [0x3B], [0x6D], [0x90], [0x5C], [0xF0, 0x9F],
        ]
        var bytes: [UInt8] = []
        for _ in 0..<400 {
            let isPiece = Bool.random(using: &random)
            bytes += (isPiece ? pieces.randomElement(using: &random) : nil) ?? [.random(in: 0...255, using: &random)]
        }
        let whole = clean(bytes, colours: seed % 4 != 0, prefix: "p ")
        #expect(isHarmless(whole, colours: seed % 4 != 0))
        #expect(whole.isEmpty || whole.utf8.last == 0x0A)
        // Cleaning is the same whatever the chunks, and what is clean stays as it is.
        var sanitizer = LogSanitizer(colours: seed % 4 != 0, prefix: "p ")
        var parts = ""
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...20, using: &random)
            parts += sanitizer.feed(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        #expect(parts + sanitizer.finish() == whole)
        let text = clean(whole, colours: false)
        #expect(clean(text, colours: false) == text)
        #expect(clean(clean(whole), colours: false) == text)
    }

    /// Control characters only as line breaks and tabs; escapes only as SGR; colours off at each line's end.
    private func isHarmless(_ text: String, colours: Bool) -> Bool {
        text.utf8.split(separator: 0x0A).allSatisfy { line in
            var rest = Substring(String(decoding: line, as: UTF8.self)).unicodeScalars
            var isOn = false
            while let scalar = rest.popFirst() {
                if scalar == "\u{1B}" {
                    guard colours, rest.popFirst() == "[" else { return false }
                    let parameters = rest.prefix { $0 == ";" || ("0"..."9").contains($0) }
                    rest = rest.dropFirst(parameters.count)
                    guard rest.popFirst() == "m" else { return false }
                    isOn = String(parameters) != "0"
                } else if scalar != "\t" && scalar.isUnprintable {
                    return false
                }
            }
            return !isOn
        }
    }
}

/// Random numbers that are the same in each run (SplitMix64).
struct RepeatableGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

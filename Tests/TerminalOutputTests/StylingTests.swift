import Testing

@testable import TerminalOutput

@Suite struct StylingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let colours: Bool
        var terminal = true
        var colour = ColourChoice.automatic
        var variables: [String: String] = [:]
        var testDescription: String { "\(terminal ? "terminal" : "pipe") \(colour) \(variables)" }
    }

    @Test(arguments: [
        Case(colours: true, variables: ["TERM": "xterm"]),
        Case(colours: false, terminal: false, variables: ["TERM": "xterm"]),
        Case(colours: false, variables: ["TERM": "dumb"]),
        Case(colours: false),
        Case(colours: false, variables: ["TERM": "xterm", "NO_COLOR": "1"]),
        Case(colours: true, variables: ["TERM": "xterm", "NO_COLOR": ""]),
        Case(colours: false, colour: .never, variables: ["TERM": "xterm", "FORCE_COLOR": "1"]),
        Case(colours: true, terminal: false, colour: .always, variables: ["NO_COLOR": "1", "TERM": "dumb"]),
        Case(colours: true, terminal: false, variables: ["CLICOLOR_FORCE": "1"]),
        Case(colours: true, terminal: false, variables: ["FORCE_COLOR": "3", "TERM": "dumb"]),
        Case(colours: false, terminal: false, variables: ["FORCE_COLOR": "0"]),
        Case(colours: false, variables: ["FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"]),
    ])
    func `flags beat the environment, and that beats the kind of stream`(_ test: Case) {
        let styling = Styling(isTerminal: test.terminal, colour: test.colour) { test.variables[$0] }
        #expect(styling.colours == test.colours)
    }

    @Test(arguments: [
        (["LANG": "de_DE.UTF-8"], true), (["LC_ALL": "C", "LANG": "de_DE.UTF-8"], false),
        (["LC_CTYPE": "C.utf8"], true),
        (["LC_ALL": "", "LANG": "en_US.utf-8"], true), ([:], false), (["LANG": "de_DE@euro"], false),
    ])
    func `glyphs need a UTF-8 locale`(variables: [String: String], unicode: Bool) {
        #expect(Styling(isTerminal: true, colour: .automatic) { variables[$0] }.unicode == unicode)
    }

    @Test(arguments: [
        ("succeeded", "✓ succeeded", "+ succeeded"), ("failed", "✗ failed", "x failed"),
        ("running", "● running", "* running"), ("pending", "○ pending", ". pending"),
        ("cancelled", "⊘ cancelled", "! cancelled"), ("skipped", "– skipped", "- skipped"),
        ("paused", "◐ paused", "= paused"), ("draft", "◌ draft", "~ draft"),
        ("odd\u{1B}", #"odd\u{1b}"#, #"odd\u{1b}"#),
    ])
    func `a state is always a word`(word: String, unicode: String, ascii: String) {
        #expect(Styling(colours: false, unicode: true).state(word) == unicode)
        #expect(Styling.plain.state(word) == ascii)
    }

    @Test func `styles are written only where colours are on`() {
        let styling = Styling(colours: true, unicode: true)
        #expect(styling.apply([.bold, .red], to: "x") == "\u{1B}[1;31mx\u{1B}[0m")
        #expect(styling.apply([], to: "x") == "x")
        #expect(styling.apply(.red, to: "") == "")
        #expect(styling.state("failed") == "\u{1B}[31m✗ failed\u{1B}[0m")
        #expect(Styling.plain.apply([.bold, .red], to: "x") == "x")
    }

    @Test func `every state differs from the others without colour`() {
        #expect(Set(StateMark.allCases.map(\.glyph)).count == StateMark.allCases.count)
        #expect(Set(StateMark.allCases.map(\.asciiGlyph)).count == StateMark.allCases.count)
        #expect(StateMark.allCases.allSatisfy { displayWidth($0.glyph) == 1 && $0.asciiGlyph.utf8.count == 1 })
    }
}

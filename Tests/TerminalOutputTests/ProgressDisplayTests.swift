import LinuxSystem
import Testing

@testable import TerminalOutput

@Suite struct ProgressDisplayTests {
    @Test func `the block is repainted in place`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: ["one", "two is longer"])
        terminal.advance(.milliseconds(100))
        display.update(lines: ["ONE", "2"])
        #expect(terminal.screen.lines == ["ONE", "2", ""])
        #expect(!terminal.screen.showsCursor)
        terminal.advance(.seconds(1))
        display.update(lines: ["alone"])
        #expect(terminal.screen.lines == ["alone", ""])
        display.finish()
        #expect(terminal.screen.lines == ["alone", ""])
        #expect(terminal.screen.showsCursor)
        #expect(terminal.screen.unknownSequences == [])
    }

    @Test func `the bytes of a frame are one write`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: ["a", "b"])
        terminal.advance(.milliseconds(100))
        display.log("note")
        display.finish()
        #expect(
            terminal.written == [
                "\u{1B}[?25l\r\u{1B}[2Ka\n\u{1B}[2Kb\n\u{1B}[J",
                "\r\u{1B}[2A\u{1B}[Jnote\n\u{1B}[2Ka\n\u{1B}[2Kb\n\u{1B}[J",
                "\u{1B}[?25h",
            ])
    }

    @Test func `a terminal sees at most ten frames a second, and the last state`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        for number in 0..<1000 {
            display.update(lines: ["\(number)"])
            terminal.advance(.milliseconds(1))
        }
        #expect(terminal.written.count == 10)
        #expect(display.untilRepaint == .zero)
        display.finish()
        #expect(terminal.screen.lines == ["999", ""])
    }

    @Test func `what is held back tells how long it waits`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        #expect(display.untilRepaint == nil)
        display.update(lines: ["a"])
        #expect(display.untilRepaint == nil)
        terminal.advance(.milliseconds(30))
        display.log("late")
        #expect(display.untilRepaint == .milliseconds(70))
        display.tick()
        #expect(terminal.screen.lines == ["a", ""])
        terminal.advance(.milliseconds(70))
        display.tick()
        #expect(terminal.screen.lines == ["late", "a", ""])
        #expect(display.untilRepaint == nil)
    }

    @Test func `log lines stay above the block, also long ones`() {
        let terminal = FakeTerminal(columns: 20)
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: ["first", "second", "third"])
        for text in ["short", String(repeating: "x", count: 45), "a\n\nb"] {
            terminal.advance(.milliseconds(100))
            display.log(text)
        }
        let xs = String(repeating: "x", count: 20)
        #expect(
            terminal.screen.lines == ["short", xs, xs, "xxxxx", "a", "", "b", "first", "second", "third", ""])
        display.finish(.clear)
        #expect(terminal.screen.lines == ["short", xs, xs, "xxxxx", "a", "", "b", ""])
        #expect(terminal.screen.showsCursor)
    }

    @Test func `a flood of log lines is passed on without waiting for a frame`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: ["a"])
        for _ in 0..<600 { display.log(String(repeating: "y", count: 1023)) }
        #expect(terminal.written.count == 3)
        display.finish()
        #expect(terminal.text.utf8.count(where: { $0 == UInt8(ascii: "y") }) == 600 * 1023)
    }

    @Test func `a narrower terminal, which has wrapped the old lines, is repainted`() {
        let terminal = FakeTerminal(columns: 60)
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: [String(repeating: "a", count: 50), "b"])
        terminal.resize(columns: 20, rows: 24)
        terminal.advance(.milliseconds(100))
        display.tick()
        let frame = terminal.written.last ?? ""
        #expect(frame.hasPrefix("\r\u{1B}[4A"))
        #expect(frame.contains("\u{1B}[2K" + String(repeating: "a", count: 18) + "…\n\u{1B}[2Kb\n"))
    }

    @Test func `a block that is too high or too wide is cut to the terminal`() {
        let terminal = FakeTerminal(columns: 20, rows: 5)
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: (0..<100).map { "line \($0) " + String(repeating: "日", count: 20) })
        let lines = terminal.screen.lines
        #expect(lines.count == 5)
        #expect(lines[3] == "... and 97 more")
        #expect(lines[0] == "line 0 日日日日日…")
    }

    @Test func `hostile lines cannot move the cursor`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(colours: true), now: terminal.clock)
        display.update(lines: ["a\nb\u{1B}[5A\u{1B}[2J", "\u{1B}[31mred\u{1B}]0;title\u{7}"])
        display.log("x\u{1B}c\u{1B}[Hy")
        display.finish()
        #expect(terminal.screen.lines == ["xy", "a b", "red", ""])
        #expect(terminal.text.contains("\u{1B}[31mred\u{1B}[0m"))
        #expect(terminal.screen.unknownSequences == [])
    }

    @Test func `colours end where a line is cut`() {
        let styling = Styling(colours: true, unicode: true)
        let line = "run \u{1B}[32msucceeded\u{1B}[0m and more"
        #expect(safeLine(line, width: 8, styling: styling) == "run \u{1B}[32msuc…\u{1B}[0m")
        #expect(safeLine(line, width: 14, styling: styling) == "run \u{1B}[32msucceeded\u{1B}[0m…\u{1B}[0m")
        #expect(safeLine(line, width: 80, styling: styling) == line)
        #expect(safeLine(line, width: 3, styling: .plain) == "...")
        #expect(styledWidth(line) == 22)
    }

    @Test func `a pipe gets plain lines, and only what is new`() {
        let pipe = FakeTerminal(isTerminal: false)
        let display = ProgressDisplay(pipe.channel(), now: pipe.clock)
        display.update(lines: ["a 1", "b 1"])
        pipe.advance(.seconds(1))
        display.update(lines: ["a 1", "b 2"])
        pipe.advance(.seconds(1))
        display.update(lines: ["a 1", "b 2"])
        display.log("note")
        display.finish()
        #expect(pipe.text == "a 1\nb 1\nb 2\nnote\n")
    }

    @Test func `a pipe gets at most one update a second, and the last one`() {
        let pipe = FakeTerminal(isTerminal: false)
        let display = ProgressDisplay(pipe.channel(), now: pipe.clock)
        for number in 1...25 {
            display.update(lines: ["⠋ running \(number)"], plain: "\(number)/25")
            pipe.advance(.milliseconds(100))
        }
        display.finish(.clear)
        #expect(pipe.text == "1/25\n11/25\n21/25\n25/25\n")
    }

    @Test func `a dumb terminal is treated as a pipe`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(movesCursor: false), now: terminal.clock)
        display.update(lines: ["a"])
        display.finish()
        #expect(terminal.text == "a\n")
    }

    @Test func `a reader that is gone silences the display`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: ["a"])
        terminal.hangUp()
        terminal.advance(.seconds(1))
        display.update(lines: ["b"])
        display.log("c")
        display.finish()
        #expect(terminal.written.count == 1)
    }

    @Test func `a display that is forgotten shows the cursor again`() {
        let terminal = FakeTerminal()
        do {
            let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
            display.update(lines: ["a"])
            #expect(!terminal.screen.showsCursor)
        }
        #expect(terminal.screen.showsCursor)
    }

    @Test func `after the end only log lines are written`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.update(lines: ["a"])
        display.finish()
        display.update(lines: ["b"])
        display.log("c")
        #expect(terminal.screen.lines == ["a", "c", ""])
    }

    @Test func `an empty block leaves the cursor alone`() {
        let terminal = FakeTerminal()
        let display = ProgressDisplay(terminal.channel(), now: terminal.clock)
        display.log("only a line")
        display.finish()
        #expect(terminal.screen.lines == ["only a line", ""])
        #expect(!terminal.text.contains("\u{1B}[?25"))
    }

    @Test func `the sequence for signal handlers gives the terminal back`() {
        let screen = FakeScreen("\u{1B}[?25l" + ProgressDisplay.restoreSequence.description, columns: 80)
        #expect(screen.showsCursor)
        #expect(ProgressDisplay.restoreSequence.hasPointerRepresentation)
    }
}

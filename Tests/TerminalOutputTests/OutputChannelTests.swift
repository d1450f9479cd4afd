import Foundation
import Glibc
import LinuxSystem
import Testing

@testable import TerminalOutput

@Suite struct OutputChannelTests {
    @Test func `a terminal tells its size each time it is asked`() throws {
        let terminal = try Syscall.openPseudoTerminal()
        let channel = OutputChannel(descriptor: terminal.far.number) { ["TERM": "xterm", "LANG": "C.UTF-8"][$0] }
        #expect(channel.isTerminal && channel.movesCursor)
        #expect(channel.styling == Styling(colours: true, unicode: true))
        #expect(channel.size == WindowSize(columns: 80, rows: 24))
        try Syscall.setWindowSize(terminal.near.number, WindowSize(columns: 133, rows: 50))
        #expect(channel.size == WindowSize(columns: 133, rows: 50))
        try Syscall.setWindowSize(terminal.near.number, WindowSize(columns: 1, rows: 1))
        #expect(channel.size == WindowSize(columns: 20, rows: 3))
        try channel.write("seen")
        #expect(try Syscall.read(terminal.near.number, upTo: 10) == Array("seen".utf8))
    }

    @Test func `a pipe is no terminal`() throws {
        let pipe = try Syscall.pipe()
        let channel = OutputChannel(descriptor: pipe.writing.number) { ["TERM": "xterm", "COLUMNS": "120"][$0] }
        #expect(!channel.isTerminal && !channel.movesCursor && !channel.styling.colours)
        #expect(channel.size == WindowSize(columns: 120, rows: 24))
        #expect(throws: SyscallError.self) { try TerminalMode(of: pipe.writing.number) }
    }

    @Test func `a full non-blocking pipe is waited for`() throws {
        let pipe = try Syscall.pipe(extra: O_NONBLOCK)
        let text = String(repeating: "x", count: 300_000)
        let reading = pipe.reading.number
        let reader = Thread {
            var count = 0
            while count < 300_000 { count += (try? Syscall.read(reading, upTo: 65536).count) ?? 0 }
        }
        reader.start()
        try OutputChannel(descriptor: pipe.writing.number).write(text)
        while !reader.isFinished { sched_yield() }
    }

    @Test func `raw mode is put back`() throws {
        let terminal = try Syscall.openPseudoTerminal()
        let saved = try TerminalMode(of: terminal.far.number)
        #expect(saved.echoes)
        try saved.raw.apply(to: terminal.far.number)
        #expect(try !TerminalMode(of: terminal.far.number).echoes)
        try saved.apply(to: terminal.far.number)
        #expect(try TerminalMode(of: terminal.far.number).echoes)
    }

    @Test func `colours on demand reach a pipe`() throws {
        let pipe = try Syscall.pipe()
        #expect(OutputChannel(descriptor: pipe.writing.number, colour: .always) { _ in nil }.styling.colours)
    }
}

import LinuxSystem
import Synchronization
import SystemPackage
import TerminalOutput

/// A terminal that records what is written, and draws it as far as the display under test may ask for.
final class FakeTerminal: Sendable {
    private struct State {
        var written: [String] = []
        var size: WindowSize
        var time = Duration.zero
        var isGone = false
    }

    private let state: Mutex<State>
    let isTerminal: Bool

    init(columns: Int = 80, rows: Int = 24, isTerminal: Bool = true) {
        state = Mutex(State(size: WindowSize(columns: columns, rows: rows)))
        self.isTerminal = isTerminal
    }

    func channel(colours: Bool = false, unicode: Bool = true, movesCursor: Bool = true) -> OutputChannel {
        OutputChannel(
            isTerminal: isTerminal, movesCursor: movesCursor, styling: Styling(colours: colours, unicode: unicode),
            size: { self.state.withLock { $0.size } },
            sink: { bytes throws(SyscallError) in try self.take(bytes) }
        )
    }

    var clock: @Sendable () -> Duration { { self.state.withLock { $0.time } } }

    func advance(_ time: Duration) { state.withLock { $0.time += time } }
    func resize(columns: Int, rows: Int) {
        state.withLock { $0.size = WindowSize(columns: columns, rows: rows) }
    }
    func hangUp() { state.withLock { $0.isGone = true } }

    /// One element for each write.
    var written: [String] { state.withLock { $0.written } }
    var text: String { written.joined() }
    var screen: FakeScreen { FakeScreen(text, columns: state.withLock { $0.size.columns }) }

    private func take(_ bytes: [UInt8]) throws(SyscallError) {
        let isGone = state.withLock { state in
            if !state.isGone { state.written.append(String(decoding: bytes, as: UTF8.self)) }
            return state.isGone
        }
        if isGone { throw SyscallError("write", errno: .brokenPipe) }
    }
}

/// What a person sees after some bytes, without a bound on the height.
struct FakeScreen {
    private(set) var rows: [[Character]] = [[]]
    private(set) var showsCursor = true
    private(set) var unknownSequences: [String] = []
    private var row = 0
    private var column = 0
    private let columns: Int

    init(_ text: String, columns: Int) {
        self.columns = columns
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\u{1B}":
                let end = rest.dropFirst().firstIndex { ("@"..."~").contains($0) } ?? rest.endIndex
                obey(String(rest[..<end]), rest[end...].first ?? " ")
                rest = rest[end...].dropFirst()
            case "\r": column = 0
            case "\n":
                (row, column) = (row + 1, 0)
                if row == rows.count { rows.append([]) }
            default: put(Character(scalar))
            }
        }
    }

    var lines: [String] { rows.map { String($0) } }

    private mutating func put(_ character: Character) {
        if column == columns {
            (row, column) = (row + 1, 0)
            if row == rows.count { rows.append([]) }
        }
        while rows[row].count <= column { rows[row].append(" ") }
        rows[row][column] = character
        column += 1
    }

    private mutating func obey(_ parameters: String, _ final: Unicode.Scalar) {
        switch (parameters, final) {
        case ("[?25", "l"): showsCursor = false
        case ("[?25", "h"): showsCursor = true
        case ("[2", "K"): rows[row] = []
        case ("[", "J"):
            rows.removeSubrange((row + 1)...)
            rows[row] = Array(rows[row].prefix(column))
        case (_, "A"): row = max(row - (Int(parameters.dropFirst()) ?? 1), 0)
        case (_, "m"): break
        default: unknownSequences.append(parameters + String(final))
        }
    }
}

import LinuxSystem
import Synchronization

/// Progress on standard error: a block of lines that is repainted in place, with log lines passing above it.
///
/// A terminal sees at most ten frames a second; what comes in between waits for the next one, so whoever drives the
/// display calls `tick` again within `untilRepaint`. A pipe sees plain lines, and only when something changed. Nothing
/// here throws: when the reader is gone, the display falls silent. It may be used from several threads; calls wait for
/// a slow reader.
package final class ProgressDisplay: Sendable {
    /// Shows the cursor and ends colours: what a signal handler writes before the process dies.
    ///
    /// A constant in memory that never moves, so `write(2)` of its `utf8Start` is safe in a handler.
    package static let restoreSequence: StaticString = "\u{1B}[?25h\u{1B}[0m"

    /// What becomes of the block when the display ends.
    package enum Ending: Sendable, Hashable {
        /// Its last state stays on the screen.
        case keep
        /// It is taken away.
        case clear
    }

    private static let frameInterval = Duration.milliseconds(100)
    private static let plainInterval = Duration.seconds(1)
    private static let longestBacklog = 256 * 1024

    private struct State {
        var painter = ProgressPainter()
        var lines: [String] = []
        var shownLines: [String]?
        var shownSize: WindowSize?
        var logs = ""
        var lastOutput: Duration?
        var hasEnded = false
        var isSilent = false
    }

    private let channel: OutputChannel
    private let now: @Sendable () -> Duration
    private let state = Mutex(State())

    /// A display that has shown nothing yet.
    ///
    /// - Parameter now: A clock that never goes back.
    package init(_ channel: OutputChannel, now: @escaping @Sendable () -> Duration = ProgressDisplay.uptime) {
        self.channel = channel
        self.now = now
    }

    deinit { finish() }

    /// Time since the display's code was first used.
    package static let uptime: @Sendable () -> Duration = {
        let start = ContinuousClock.now
        return { ContinuousClock.now - start }
    }()

    /// Replaces the block.
    ///
    /// - Parameters:
    ///   - lines: The block, cut to the terminal's width and height; may carry our own colours.
    ///   - plain: What a pipe gets instead. Without it a pipe gets those of `lines` that are new, so lines that hold a
    ///     running time or a spinner should come with one. A pipe gets at most one update a second.
    package func update(lines: [String], plain: String? = nil) {
        state.withLock { state in
            if state.hasEnded { return }
            state.lines = channel.movesCursor ? lines : plain.map { [$0] } ?? lines
            step(&state, isForced: false)
        }
    }

    /// Passes on a line, or several with line breaks between, that stays; a pipe gets it at once.
    package func log(_ text: String) {
        var sanitizer = LogSanitizer(colours: channel.styling.colours)
        let lines = sanitizer.feed(text.utf8)
        log(sanitized: lines + (text.utf8.last == 0x0A ? "" : sanitizer.feed("\n".utf8)))
    }

    /// Passes on lines as a `LogSanitizer` gave them; another one would break those that are as long as it allows.
    package func log(sanitized lines: String) {
        if lines.isEmpty { return }
        state.withLock { state in
            state.logs += lines
            if channel.movesCursor && !state.hasEnded {
                step(&state, isForced: state.logs.utf8.count > Self.longestBacklog)
            } else {
                flushLogs(&state)
            }
        }
    }

    /// Shows what was held back, if it is time; also follows a change of the terminal's size.
    package func tick() {
        state.withLock { state in
            if !state.hasEnded { step(&state, isForced: false) }
        }
    }

    /// How long what was held back has to wait for its `tick`; nil when nothing waits.
    package var untilRepaint: Duration? {
        state.withLock { state in
            guard !state.hasEnded, !state.isSilent, let last = state.lastOutput else { return nil }
            guard state.lines != state.shownLines ?? [] || !state.logs.isEmpty else { return nil }
            return max(.zero, last + interval - now())
        }
    }

    /// Shows the last state and gives the terminal back; from here on only `log` writes, and writes at once.
    package func finish(_ ending: Ending = .keep) {
        state.withLock { state in
            if state.hasEnded { return }
            if ending == .keep || !channel.movesCursor { step(&state, isForced: true) }
            state.hasEnded = true
            guard channel.movesCursor else { return }
            let end = ending == .keep ? state.painter.leave() : state.painter.clear(size: channel.size)
            write(end + state.logs, &state)
            state.logs = ""
        }
    }

    private var interval: Duration { channel.movesCursor ? Self.frameInterval : Self.plainInterval }

    private func step(_ state: inout State, isForced: Bool) {
        let size = channel.movesCursor ? channel.size : nil
        let isChanged = state.lines != state.shownLines ?? [] || !state.logs.isEmpty
        guard isChanged || (state.painter.isActive && size != state.shownSize) else { return }
        let time = now()
        if let last = state.lastOutput, !isForced, time - last < interval { return }
        if let size {
            write(state.painter.frame(state.lines, logs: state.logs, size: size, styling: channel.styling), &state)
        } else {
            let known = Set(state.shownLines ?? [])
            let fresh = state.lines.filter { !known.contains($0) }
            write(fresh.map { safeLine($0, styling: channel.styling) + "\n" }.joined(), &state)
        }
        state.logs = ""
        state.shownLines = state.lines
        state.shownSize = size
        state.lastOutput = time
    }

    private func flushLogs(_ state: inout State) {
        write(state.logs, &state)
        state.logs = ""
    }

    private func write(_ text: String, _ state: inout State) {
        if state.isSilent || text.isEmpty { return }
        do throws(SyscallError) {
            try channel.write(text)
        } catch {
            // Progress is no reason to fail; whoever writes the data notices a stream that is gone.
            state.isSilent = true
        }
    }
}

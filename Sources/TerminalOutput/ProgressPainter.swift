import LinuxSystem

/// What a terminal shows of a repainted block, and the text that brings it up to date.
///
/// Decides nothing about time.
struct ProgressPainter {
    /// Cells of each painted line; the cursor stands at the start of the line below.
    private var painted: [Int] = []
    private var isCursorHidden = false

    /// Whether anything is to be put right when the block ends.
    var isActive: Bool { isCursorHidden || !painted.isEmpty }

    /// Paints the block afresh, below `logs`, which stay on the screen above it.
    ///
    /// - Parameter size: The present size; a terminal that became narrower has wrapped the lines of the old block.
    mutating func frame(_ lines: [String], logs: String, size: WindowSize, styling: Styling) -> String {
        var result = isCursorHidden || lines.isEmpty ? "" : "\u{1B}[?25l"
        isCursorHidden = isCursorHidden || !lines.isEmpty
        result += toTop(size: size)
        if !logs.isEmpty { result += "\u{1B}[J" + logs }
        painted = []
        for line in Self.limited(lines, to: size.rows - 1) {
            // One cell stays free: a full line would leave the cursor between two lines.
            let shown = safeLine(line, width: size.columns - 1, styling: styling)
            painted.append(styledWidth(shown))
            result += "\u{1B}[2K" + shown + "\n"
        }
        return result + "\u{1B}[J"
    }

    /// Takes the block off the screen and shows the cursor again.
    mutating func clear(size: WindowSize) -> String {
        defer { self = ProgressPainter() }
        return isActive ? toTop(size: size) + "\u{1B}[J\u{1B}[?25h" : ""
    }

    /// Leaves the block on the screen and shows the cursor again.
    mutating func leave() -> String {
        defer { self = ProgressPainter() }
        return isActive ? "\u{1B}[?25h" : ""
    }

    private func toTop(size: WindowSize) -> String {
        let rows = painted.reduce(0) { $0 + max(1, ($1 + size.columns - 1) / size.columns) }
        // Higher than the first line of the screen there is nothing to repaint.
        let up = min(rows, size.rows - 1)
        return up > 0 ? "\r\u{1B}[\(up)A" : "\r"
    }

    private static func limited(_ lines: [String], to rows: Int) -> [String] {
        if lines.count <= rows { return lines }
        let kept = max(rows - 1, 0)
        return lines.prefix(kept) + ["... and \(lines.count - kept) more"]
    }
}

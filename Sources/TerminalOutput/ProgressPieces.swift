import PlainText

/// A bar with its numbers, such as `[#####.....] 37/100`; `done` beyond the total fills the bar.
///
/// - Parameter width: The cells between the brackets.
package func progressBar(done: Int, total: Int, width: Int = 20) -> String {
    let width = max(width, 1)
    let share = total > 0 ? min(max(Double(done) / Double(total), 0), 1) : 0
    // Rounded down: a bar is full only when everything is done.
    let filled = Int(share * Double(width))
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    return "[\(bar)] \(done)/\(total)"
}

/// The frame of a turning sign at a moment, ten frames a second.
package func spinner(at elapsed: Duration, styling: Styling) -> String {
    let frames = styling.unicode ? ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] : ["|", "/", "-", "\\"]
    let (seconds, attoseconds) = elapsed.components
    let tenths = (seconds % 1_000_000) * 10 + attoseconds / 100_000_000_000_000_000
    return frames[Int(tenths.magnitude) % frames.count]
}

/// States with their numbers, such as `37 succeeded, 2 failed, 61 pending`; states with none are left out.
package func countsLine(_ counts: [(state: String, count: Int)], styling: Styling) -> String {
    let shown = counts.filter { $0.count != 0 }.map { state, count in
        styling.apply(styling.stateStyle(state), to: "\(count) \(printable(state))")
    }
    return shown.isEmpty ? "none" : shown.joined(separator: ", ")
}

import PlainText

/// Attributes of a piece of text on a terminal.
package struct Style: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Stronger.
    package static let bold = Style(rawValue: 1)
    /// Weaker.
    package static let dim = Style(rawValue: 2)
    /// For what failed.
    package static let red = Style(rawValue: 4)
    /// For what succeeded.
    package static let green = Style(rawValue: 8)
    /// For what needs attention.
    package static let yellow = Style(rawValue: 16)
    /// For what goes on, and for advice.
    package static let cyan = Style(rawValue: 32)

    /// The parameters of the SGR sequence, joined by semicolons; empty for no style.
    fileprivate var parameters: String {
        let codes: [(Style, String)] = [
            (.bold, "1"), (.dim, "2"), (.red, "31"), (.green, "32"), (.yellow, "33"), (.cyan, "36"),
        ]
        return codes.filter { contains($0.0) }.map(\.1).joined(separator: ";")
    }
}

/// How text is dressed for one stream: whether it may have colours, and whether it may have glyphs beyond ASCII.
package struct Styling: Sendable, Hashable {
    /// Whether SGR sequences are written.
    package let colours: Bool
    /// Whether our own glyphs may leave ASCII; what comes from users is never changed for it.
    package let unicode: Bool

    /// A styling that is already decided.
    package init(colours: Bool, unicode: Bool) {
        self.colours = colours
        self.unicode = unicode
    }

    /// No colours, ASCII glyphs.
    package static let plain = Styling(colours: false, unicode: false)

    /// The text with a style around it; the text itself, where colours are off or the style is empty.
    package func apply(_ style: Style, to text: String) -> String {
        guard colours, !style.isEmpty, !text.isEmpty else { return text }
        return "\u{1B}[\(style.parameters)m\(text)\u{1B}[0m"
    }

    /// What stands for text that was cut off.
    package var ellipsis: String { unicode ? "…" : "..." }

    /// A state as icon and word, such as `✓ succeeded`, in its colour; a word that is no known state stays as it is.
    package func state(_ word: String) -> String {
        let shown = printable(word)
        return apply(StateMark(rawValue: word)?.style ?? [], to: stateIcon(word) + shown)
    }

    /// The icon of a state and a space; nothing for a word that is no known state.
    package func stateIcon(_ word: String) -> String {
        guard let mark = StateMark(rawValue: word) else { return "" }
        return (unicode ? mark.glyph : mark.asciiGlyph) + " "
    }

    /// The style of a state's word; empty for a word that is no known state.
    package func stateStyle(_ word: String) -> Style {
        StateMark(rawValue: word)?.style ?? []
    }
}

/// The states that have an icon.
enum StateMark: String, CaseIterable {
    case draft, pending, running, paused, succeeded, failed, cancelled, skipped

    var glyph: String {
        switch self {
        case .draft: "◌"
        case .pending: "○"
        case .running: "●"
        case .paused: "◐"
        case .succeeded: "✓"
        case .failed: "✗"
        case .cancelled: "⊘"
        case .skipped: "–"
        }
    }

    var asciiGlyph: String {
        switch self {
        case .draft: "~"
        case .pending: "."
        case .running: "*"
        case .paused: "="
        case .succeeded: "+"
        case .failed: "x"
        case .cancelled: "!"
        case .skipped: "-"
        }
    }

    var style: Style {
        switch self {
        case .draft, .pending, .skipped: .dim
        case .running: .cyan
        case .paused, .cancelled: .yellow
        case .succeeded: .green
        case .failed: .red
        }
    }
}

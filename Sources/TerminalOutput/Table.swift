import LinuxSystem
import PlainText

/// Rows under headed columns.
///
/// On a terminal the columns are aligned and fitted to its width: first the less important columns are narrowed, then
/// they are left out, and what does not fit is cut with `…`. Into a pipe goes one record a line under one line of
/// titles: fields separated by tabs, complete, never cut or padded, with exact values in place of friendly ones. In both
/// forms an empty field is `-`, and characters that a terminal might obey are visible escapes, so a field never
/// holds a tab or a line break.
package struct Table: Sendable {
    /// One column.
    package struct Column: Sendable, Hashable {
        /// On which side its cells are filled up.
        package enum Alignment: Sendable, Hashable {
            /// Text: starts at the left, may be cut.
            case leading
            /// A number: ends at the right, never cut, because a part of a number lies.
            case trailing
        }

        let title: String
        let alignment: Alignment
        let priority: Int
        let minimum: Int

        /// A column.
        ///
        /// - Parameters:
        ///   - priority: 0 is never left out; of the others the highest number goes first.
        ///   - minimum: The cells to which a leading column may be narrowed, where its content needs more.
        package init(_ title: String, alignment: Alignment = .leading, priority: Int = 0, minimum: Int = 8) {
            self.title = title
            self.alignment = alignment
            self.priority = priority
            self.minimum = minimum
        }
    }

    /// One field of a row.
    package struct Cell: Sendable, Hashable, ExpressibleByStringLiteral {
        let text: String
        let exact: String
        let style: Style
        let isState: Bool

        /// A field.
        ///
        /// - Parameters:
        ///   - text: What a person reads, such as `2 minutes ago`.
        ///   - exact: What a pipe gets instead, such as the time itself; nil for the same.
        package init(_ text: String, exact: String? = nil, style: Style = []) {
            self.text = printable(text)
            self.exact = exact.map { printable($0) } ?? self.text
            self.style = style
            isState = false
        }

        /// A field of plain text.
        package init(stringLiteral value: String) { self.init(value) }

        /// A state's word; a terminal shows its icon and colour as well.
        package static func state(_ word: String) -> Cell { Cell(state: word) }

        private init(state word: String) {
            text = printable(word)
            exact = text
            style = []
            isState = true
        }

        fileprivate func shown(_ styling: Styling) -> (text: String, style: Style) {
            let filled = text.isEmpty ? "-" : text
            return isState ? (styling.stateIcon(text) + filled, styling.stateStyle(text)) : (filled, style)
        }
    }

    private let columns: [Column]
    private var rows: [[Cell]] = []

    /// A table without rows.
    package init(_ columns: [Column]) {
        self.columns = columns
    }

    /// Adds a row; missing fields are empty, surplus ones are dropped.
    package mutating func append(_ row: [Cell]) {
        rows.append(row.count == columns.count ? row : columns.indices.map { $0 < row.count ? row[$0] : "" })
    }

    /// The table in the form that suits the channel, every line with its line break.
    ///
    /// - Parameter titles: Whether the first line names the columns.
    package func rendered(for channel: OutputChannel, titles: Bool = true) -> String {
        channel.isTerminal
            ? aligned(width: channel.size.columns, styling: channel.styling, titles: titles)
            : tabSeparated(styling: channel.styling, titles: titles)
    }

    /// The titles of the columns for which the channel has no room; none for a pipe.
    package func leftOut(for channel: OutputChannel) -> [String] {
        guard channel.isTerminal else { return [] }
        let layout = Self.layout(
            columns, natural: naturalWidths(channel.styling, titles: true), width: channel.size.columns)
        let shown = Set(layout.map(\.column))
        return columns.indices.filter { !shown.contains($0) }.map { printable(columns[$0].title) }
    }

    /// The form for a pipe.
    package func tabSeparated(styling: Styling = .plain, titles: Bool = true) -> String {
        var result = titles ? columns.map { printable($0.title) }.joined(separator: "\t") + "\n" : ""
        for row in rows {
            for (index, cell) in row.enumerated() {
                if index > 0 { result += "\t" }
                let style = cell.isState ? styling.stateStyle(cell.text) : cell.style
                result += styling.apply(style, to: cell.exact.isEmpty ? "-" : cell.exact)
            }
            result += "\n"
        }
        return result
    }

    /// The form for a terminal of `width` cells; no line is wider.
    package func aligned(width: Int, styling: Styling, titles: Bool = true) -> String {
        let layout = Self.layout(columns, natural: naturalWidths(styling, titles: titles), width: width)
        var result = ""
        if titles {
            result += line(layout, styling) { (printable(columns[$0].title), .bold) }
        }
        for row in rows {
            result += line(layout, styling) { row[$0].shown(styling) }
        }
        return result
    }

    private func naturalWidths(_ styling: Styling, titles: Bool) -> [Int] {
        var widths = columns.map { titles ? displayWidth(printable($0.title)) : 0 }
        for row in rows {
            for (index, cell) in row.enumerated() {
                widths[index] = max(widths[index], displayWidth(cell.shown(styling).text))
            }
        }
        return widths
    }

    private func line(
        _ layout: [(column: Int, width: Int)], _ styling: Styling, _ cell: (Int) -> (text: String, style: Style)
    ) -> String {
        var result = ""
        for (position, place) in layout.enumerated() {
            let (text, style) = cell(place.column)
            let cut = fitted(text, width: place.width, ellipsis: styling.ellipsis)
            let padding = String(repeating: " ", count: max(place.width - displayWidth(cut), 0))
            if position > 0 { result += "  " }
            switch columns[place.column].alignment {
            case .trailing: result += padding + styling.apply(style, to: cut)
            case .leading where position == layout.count - 1: result += styling.apply(style, to: cut)
            case .leading: result += styling.apply(style, to: cut) + padding
            }
        }
        return result + "\n"
    }

    /// Which columns are shown, and how wide.
    static func layout(_ columns: [Column], natural: [Int], width: Int) -> [(column: Int, width: Int)] {
        let least = columns.indices.map { index in
            columns[index].alignment == .trailing ? natural[index] : min(natural[index], columns[index].minimum)
        }
        func total(_ shown: [Int], _ widths: [Int]) -> Int {
            shown.reduce(0) { $0 + widths[$1] } + 2 * max(shown.count - 1, 0)
        }
        // Least important first; of equals, the rightmost.
        let order = columns.indices.sorted { (columns[$0].priority, $0) > (columns[$1].priority, $1) }
        var shown = Array(columns.indices)
        for index in order where columns[index].priority > 0 && total(shown, least) > width {
            shown.removeAll { $0 == index }
        }
        var widths = natural
        for index in order where shown.contains(index) {
            let excess = total(shown, widths) - width
            if excess <= 0 { break }
            widths[index] -= min(excess, widths[index] - least[index])
        }
        // Even the least does not fit: the widest give way, down to one cell each.
        while total(shown, widths) > width, let widest = shown.max(by: { widths[$0] < widths[$1] }), widths[widest] > 1
        {
            widths[widest] -= 1
        }
        return shown.map { ($0, widths[$0]) }
    }
}

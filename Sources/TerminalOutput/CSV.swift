import PlainText

/// Fields of RFC 4180 that no spreadsheet takes for a formula.
package enum CSV {
    /// A text, in quotes where it needs them.
    ///
    /// Spreadsheets calculate what begins with `=`, `+`, `-`, `@`, a tab or a line break, and what it says may fetch or
    /// start something: such a text gets an apostrophe before it, by which they take it for a text.
    package static func field(_ text: String) -> String {
        let bytes = Array(text.utf8)
        // Some programs pass over spaces and quotes at the beginning.
        let first = bytes.first { $0 != 0x20 && $0 != UInt8(ascii: "\"") }
        let isFormula =
            first.map { "=+-@\t\r\n".utf8.contains($0) } ?? false
            || text.unicodeScalars.first.map { ["＝", "＋", "－", "＠"].contains($0) } ?? false
        let safe = isFormula ? "'" + text : text
        guard bytes.contains(where: { ",\"\r\n".utf8.contains($0) }) || bytes.first == 0x20 || bytes.last == 0x20 else {
            return safe
        }
        // By scalars: a quote with a combining mark behind it is one character.
        var quoted = "\"".unicodeScalars
        for scalar in safe.unicodeScalars {
            if scalar == "\"" { quoted.append(scalar) }
            quoted.append(scalar)
        }
        quoted.append("\"")
        return String(quoted)
    }
}

/// A text from a document as it may be shown on a terminal or in a log.
///
/// Control characters, line and paragraph separators, characters that change the direction of text and characters
/// that show nothing are replaced by visible escapes such as `\n` and `\u{1b}`; everything else stays. The result is
/// one line, and applying this again changes nothing.
///
/// - Parameters:
///   - text: Any text.
///   - limit: The most characters to show; a longer text ends with `…`. Nil shows all of it.
package func printable(_ text: String, limit: Int? = nil) -> String {
    guard let limit else { return escaped(text) }
    // A single Swift character can hold any number of combining marks, so length is counted in scalars.
    let scalars = text.unicodeScalars
    guard let cut = scalars.index(scalars.startIndex, offsetBy: max(limit, 1), limitedBy: scalars.endIndex),
        cut != scalars.endIndex
    else { return escaped(text) }
    let kept = scalars.index(before: cut)
    return escaped(String(scalars[..<kept])) + "…"
}

/// A name from a document, escaped, shortened and in backticks, for a message.
func quoted(_ name: String) -> String {
    "`" + printable(name, limit: 80) + "`"
}

private func escaped(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
    var shown = ""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\n": shown += #"\n"#
        case "\r": shown += #"\r"#
        case "\t": shown += #"\t"#
        case _ where scalar.isUnprintable: shown += #"\u{"# + String(scalar.value, radix: 16) + "}"
        default: shown.unicodeScalars.append(scalar)
        }
    }
    return shown
}

extension Unicode.Scalar {
    /// Whether a terminal may obey this character, or a reader not see it.
    var isUnprintable: Bool {
        if value >= 0x20 && value < 0x7F { return false }
        switch value {
        case 0x200C, 0x200D, 0xFE00...0xFE0F:
            // Joiners and variation selectors are part of emoji and of several scripts.
            return false
        case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069, 0xFFF9...0xFFFB:
            return true
        default:
            break
        }
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return true
        default: return properties.isDefaultIgnorableCodePoint
        }
    }
}

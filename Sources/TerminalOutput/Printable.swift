/// A text from outside as one line that no terminal obeys.
///
/// Control characters, escapes, line separators, characters that change the direction of text, and characters that
/// show nothing become visible escapes such as `\n` and `\u{1b}`; everything else stays. Doing it twice changes nothing.
package func printable(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
    var shown = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
        if scalar.isUnprintable {
            shown.append(contentsOf: scalar.visibleEscape.unicodeScalars)
        } else {
            shown.append(scalar)
        }
    }
    return String(shown)
}

extension Unicode.Scalar {
    /// Whether a terminal might obey this character, or a reader not see it.
    var isUnprintable: Bool {
        if value < 0x7F { return value < 0x20 }
        // Joiners and variation selectors belong to emoji and to the spelling of several languages.
        if (0x200C...0x200D).contains(value) || (0xFE00...0xFE0F).contains(value) { return false }
        if (0xFFF9...0xFFFB).contains(value) { return true }
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return true
        default: return properties.isBidiControl || properties.isDefaultIgnorableCodePoint
        }
    }

    /// The character as a reader may see it: `\n`, `\r`, `\t`, or its number as in `\u{1b}`.
    var visibleEscape: String {
        switch self {
        case "\n": #"\n"#
        case "\r": #"\r"#
        case "\t": #"\t"#
        default: #"\u{"# + String(value, radix: 16) + "}"
        }
    }
}

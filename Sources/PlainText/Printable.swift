/// A text from outside as one line that no terminal obeys and that hides nothing.
///
/// Control characters, line and paragraph separators, characters that change the direction of text or that show nothing,
/// private and unassigned ones become visible escapes such as `\n` and `\u{1b}`; everything else stays. Joiners and
/// variation selectors stay where emoji and scripts need them, and not behind a plain letter. Doing it twice changes nothing.
///
/// - Parameters:
///   - text: Any text.
///   - limit: The most characters of it to show; a longer text ends with `…`. Nil shows all of it.
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

/// A name from a document or a command line for a message: escaped, at most 80 characters of it, in backticks.
package func quoted(_ name: String) -> String {
    "`" + printable(name, limit: 80) + "`"
}

private func escaped(_ text: String) -> String {
    if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
    var shown = String.UnicodeScalarView()
    var last: Unicode.Scalar = " "
    for scalar in text.unicodeScalars {
        if scalar.isSeen(after: last) {
            shown.append(scalar)
            last = scalar
        } else {
            shown.append(contentsOf: scalar.visibleEscape.unicodeScalars)
            last = "}"
        }
    }
    return String(shown)
}

extension Unicode.Scalar {
    /// Whether a terminal might obey this character, or a reader not see it; false for joiners and variation selectors.
    package var isUnprintable: Bool {
        if value < 0x7F { return value < 0x20 }
        if joins { return false }
        if (0xFFF9...0xFFFB).contains(value) { return true }
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .format: return true
        default: return properties.isBidiControl || properties.isDefaultIgnorableCodePoint
        }
    }

    /// Whether a reader sees this character, and sees only it, where it follows `last`.
    package func isSeen(after last: Unicode.Scalar) -> Bool {
        !isUnprintable && !meansNothing && (!joins || last.canBeJoined)
    }

    /// The character as a reader may see it: `\n`, `\r`, `\t`, or its number as in `\u{1b}`.
    package var visibleEscape: String {
        switch self {
        case "\n": #"\n"#
        case "\r": #"\r"#
        case "\t": #"\t"#
        default: #"\u{"# + String(value, radix: 16) + "}"
        }
    }

    /// Whether nobody agrees on how it looks.
    fileprivate var meansNothing: Bool {
        if value < 0x7F { return false }
        return switch properties.generalCategory {
        case .privateUse, .unassigned, .surrogate: true
        default: false
        }
    }

    /// Whether it only changes how its neighbours look: as part of emoji and of the spelling of several languages.
    fileprivate var joins: Bool { (0x200C...0x200D).contains(value) || (0xFE00...0xFE0F).contains(value) }

    /// Whether a joiner behind it can be seen: keycaps are digits with a variation selector.
    fileprivate var canBeJoined: Bool { !isASCII || ("0"..."9").contains(self) || self == "#" || self == "*" }
}

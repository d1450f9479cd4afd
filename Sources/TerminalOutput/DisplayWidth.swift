/// The cells that a terminal gives a text without control characters.
///
/// East Asian wide characters and emoji take two, combining marks none. Terminals differ about joined emoji; here a
/// joined sequence is as wide as its first member.
package func displayWidth(_ text: String) -> Int {
    if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
    return text.reduce(0) { $0 + $1.displayWidth }
}

/// A text cut to `width` cells, `ellipsis` included where something is missing.
///
/// A character of more than sixteen code points is shown as `�`, so that stacked marks cannot spill over other lines.
package func fitted(_ text: String, width: Int, ellipsis: String = "…") -> String {
    if text.utf8.count <= width && text.utf8.allSatisfy({ $0 < 0x80 }) { return text }
    let ellipsis = ellipsis.prefix(max(width, 0))
    let room = width - displayWidth(String(ellipsis))
    var kept = ""
    var used = 0
    var end = (kept: kept, found: false)
    for character in text {
        let columns = character.displayWidth
        if !end.found && used + columns > room { end = (kept, true) }
        used += columns
        if used > width { return end.kept + ellipsis }
        kept.append(character.isOverloaded ? "\u{FFFD}" : character)
    }
    return kept
}

extension Character {
    /// Whether this is more than any script or emoji needs: the longest emoji in use have ten code points.
    var isOverloaded: Bool {
        utf8.count > 16 && unicodeScalars.count > 16
    }

    var displayWidth: Int {
        if isASCII { return 1 }
        if isOverloaded { return 1 }
        var columns = 0
        var previous: Unicode.Scalar = " "
        for scalar in unicodeScalars {
            switch scalar.value {
            case 0xFE0F where columns == 1 && previous.properties.isEmoji: columns = 2
            case 0x1F3FB...0x1F3FF where columns > 0: break
            case 0x1F1E6...0x1F1FF where columns == 2: break
            case _ where previous.value == 0x200D && scalar.properties.isEmoji: break
            default: columns += scalar.displayWidth
            }
            previous = scalar
        }
        return columns
    }
}

extension Unicode.Scalar {
    /// Cells of the character alone.
    var displayWidth: Int {
        if value < 0x300 { return value == 0xAD ? 0 : 1 }
        switch properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        // Vowels and finals of Hangul join the syllable before them.
        if (0x1160...0x11FF).contains(value) || (0xD7B0...0xD7FF).contains(value) { return 0 }
        return properties.isEmojiPresentation || isEastAsianWide ? 2 : 1
    }

    private var isEastAsianWide: Bool {
        if value < 0x1100 { return false }
        var low = 0
        var high = eastAsianWide.count
        while low < high {
            let middle = (low + high) / 2
            if eastAsianWide[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < eastAsianWide.count && eastAsianWide[low].contains(value)
    }
}

/// Blocks with East Asian width W or F (Unicode Standard Annex 11), emoji left out.
///
/// What is not assigned yet inside a block of ideographs counts as wide, as the annex says.
private let eastAsianWide: [ClosedRange<UInt32>] = [
    0x1100...0x115F, 0x2329...0x232A, 0x2630...0x2637, 0x268A...0x268F, 0x2E80...0x303E, 0x3041...0x3247,
    0x3250...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F,
    0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x18DFF, 0x1AFF0...0x1B2FF, 0x1D300...0x1D376, 0x1F200...0x1F265,
    0x20000...0x3FFFD,
]

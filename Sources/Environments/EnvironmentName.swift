/// The name of a base or the identifier of a project's environment: one safe component of a path.
package struct EnvironmentName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The name as it was given.
    package let text: String

    /// Accepts up to 100 ASCII letters, digits, dots, underscores and hyphens that begin with a letter or digit.
    package init?(_ text: String) {
        guard text.utf8.count <= 100, let first = text.utf8.first, isLetterOrDigit(first) else { return nil }
        guard text.utf8.allSatisfy({ isLetterOrDigit($0) || [0x2E, 0x5F, 0x2D].contains($0) }) else { return nil }
        self.text = text
    }

    /// The name.
    package var description: String { text }

    package static func < (left: EnvironmentName, right: EnvironmentName) -> Bool { left.text < right.text }
}

func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
}

func isLowercaseOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
}

/// Text from outside for a message: on one line, without control characters, at most `limit` characters.
func printable(_ text: String, limit: Int = 120) -> String {
    var result = ""
    for (index, scalar) in text.unicodeScalars.enumerated() {
        if index == limit { return result + "…" }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned:
            result += "\\u{" + String(scalar.value, radix: 16) + "}"
        default:
            result.unicodeScalars.append(scalar)
        }
    }
    return result
}

/// The member of `candidates` that is fewest edits away from `text`, when it is near enough to be a slip.
func nearest(to text: String, among candidates: some Sequence<String>) -> String? {
    let wanted = Array(text.lowercased().unicodeScalars.prefix(120))
    let ranked = candidates.map { ($0, editDistance(wanted, Array($0.lowercased().unicodeScalars.prefix(120)))) }
    guard let best = ranked.min(by: { ($0.1, $0.0) < ($1.1, $1.0) }) else { return nil }
    return best.1 <= max(2, wanted.count / 2) ? best.0 : nil
}

private func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
    var row = Array(0...right.count)
    for (i, a) in left.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, b) in right.enumerated() {
            let substitution = diagonal + (a == b ? 0 : 1)
            diagonal = row[j + 1]
            row[j + 1] = min(substitution, row[j] + 1, diagonal + 1)
        }
    }
    return row[right.count]
}

/// Text from outside for a message: on one line, without control characters, at most `limit` characters.
func printable(_ text: String, limit: Int = 80) -> String {
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

/// A text from a document, shortened and in backticks, for a message.
func quoted(_ text: String) -> String { "`\(printable(text))`" }

/// The member of `candidates` that is fewest edits away from `text`, when it is near enough to be a slip.
func nearest(to text: String, among candidates: some Sequence<String>) -> String? {
    let wanted = Array(text.lowercased().unicodeScalars.prefix(PolicyName.limit + 1))
    guard !wanted.isEmpty, wanted.count <= PolicyName.limit else { return nil }
    var bound = max(1, wanted.count / 3)
    var best: String?
    for candidate in candidates {
        let other = Array(candidate.lowercased().unicodeScalars.prefix(PolicyName.limit + 1))
        guard abs(other.count - wanted.count) <= bound else { continue }
        let distance = editDistance(wanted, other)
        guard distance <= bound else { continue }
        best = candidate
        if distance == 0 { break }
        bound = distance - 1
    }
    return best
}

/// The question after an unknown name: what was probably meant, or nothing.
func didYouMean(_ candidates: String?...) -> String {
    let found = candidates.compactMap { $0.map { "`\($0)`" } }
    return found.isEmpty ? "" : "; did you mean \(found.joined(separator: " or "))?"
}

/// The number of letters to change, add, leave out, or swap with their neighbour.
private func editDistance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
    var beforePrevious: [Int] = []
    var previous = Array(0...right.count)
    for row in left.indices {
        var current = [row + 1]
        for column in right.indices {
            let substitution = previous[column] + (left[row] == right[column] ? 0 : 1)
            var best = min(substitution, previous[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                best = min(best, beforePrevious[column - 1] + 1)
            }
            current.append(best)
        }
        (beforePrevious, previous) = (previous, current)
    }
    return previous[right.count]
}

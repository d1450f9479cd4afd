/// Finds the names that somebody probably meant.
enum NearestNames {
    /// At most three of the candidates that begin with `name` or are a few typing errors from it, the nearest first.
    static func of(_ name: String, in candidates: [String]) -> [String] {
        let wanted = comparable(name)
        guard !wanted.isEmpty else { return [] }
        let bound = min(3, max(1, wanted.count / 3))
        var found: [(distance: Int, name: String)] = []
        for candidate in candidates {
            let other = comparable(candidate)
            if other.starts(with: wanted) {
                found.append((0, candidate))
            } else if abs(other.count - wanted.count) <= bound {
                let distance = distance(wanted, other)
                if distance <= bound { found.append((distance, candidate)) }
            }
        }
        // Sorting is stable, so names of newer jobs stay before those of older ones.
        return found.sorted { $0.distance < $1.distance }.prefix(3).map(\.name)
    }

    /// How many characters must be inserted, removed or replaced to make one of the other.
    private static func distance(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar]) -> Int {
        var row = Array(0...right.count)
        for (index, scalar) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in right.enumerated() {
                let replaced = diagonal + (scalar == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
            }
        }
        return row[right.count]
    }

    private static func comparable(_ text: String) -> [Unicode.Scalar] {
        Array(text.lowercased().unicodeScalars.prefix(64))
    }
}

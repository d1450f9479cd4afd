import Pipelines
import PlainText

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
            } else if let distance = EditDistance.between(wanted, other, bound: bound) {
                found.append((distance, candidate))
            }
        }
        // Sorting is stable, so names of newer jobs stay before those of older ones.
        return found.sorted { $0.distance < $1.distance }.prefix(3).map(\.name)
    }

    private static func comparable(_ text: String) -> [Unicode.Scalar] {
        Array(text.lowercased().unicodeScalars.prefix(64))
    }
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour to make one text of another.
package enum EditDistance {
    /// The distance if it is at most `bound`, else nil; the cost grows with the length times the bound.
    package static func between(_ left: [Unicode.Scalar], _ right: [Unicode.Scalar], bound: Int) -> Int? {
        guard abs(left.count - right.count) <= bound else { return nil }
        let far = bound + 1
        var beforePrevious = [Int](repeating: far, count: right.count + 1)
        var previous = (0...right.count).map { min($0, far) }
        for row in left.indices {
            var current = [Int](repeating: far, count: right.count + 1)
            current[0] = min(row + 1, far)
            var best = current[0]
            for column in max(0, row - bound)..<max(0, min(right.count, row + bound + 1)) {
                let cost = left[row] == right[column] ? 0 : 1
                var distance = min(previous[column] + cost, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    distance = min(distance, beforePrevious[column - 1] + 1)
                }
                current[column + 1] = min(distance, far)
                best = min(best, current[column + 1])
            }
            guard best <= bound else { return nil }
            (beforePrevious, previous) = (previous, current)
        }
        return previous[right.count] <= bound ? previous[right.count] : nil
    }

    /// The candidate that `name` was probably meant to be; nil when none is close.
    ///
    /// Upper and lower case are the same here. Of equally close candidates the first is taken. Only the first ten
    /// thousand candidates are looked at.
    package static func nearest(to name: String, in candidates: some Sequence<String>) -> String? {
        let wanted = comparable(name)
        guard !wanted.isEmpty, wanted.count <= 200 else { return nil }
        var bound = min(4, max(1, wanted.count / 3))
        var nearest: String?
        for candidate in candidates.prefix(10_000) {
            let other = comparable(candidate)
            guard other.count <= 210, let distance = between(wanted, other, bound: bound) else { continue }
            nearest = candidate
            if distance == 0 { break }
            bound = distance - 1
        }
        return nearest
    }

    private static func comparable(_ text: String) -> [Unicode.Scalar] {
        // The prefix bounds the cost for names that are whole documents.
        text.unicodeScalars.prefix(220).map { scalar in
            if scalar.isASCII {
                let byte = UInt8(ascii: scalar)
                return Unicode.Scalar(byte &- 0x41 < 26 ? byte | 0x20 : byte)
            }
            return scalar.properties.lowercaseMapping.unicodeScalars.first ?? scalar
        }
    }
}

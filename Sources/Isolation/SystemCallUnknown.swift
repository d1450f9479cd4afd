/// A name that is no system call, with the names that were perhaps meant.
package struct UnknownSystemCall: Error, Sendable, Hashable {
    /// The name as it was written, cut to a length that can be shown.
    package let name: String

    /// Up to three names that differ from it in few letters, the nearest first.
    package let nearest: [String]

    /// Longer than any call's name; what is longer resembles none of them, and is not compared.
    private static let greatestLength = 40

    /// Looks for the names that resemble `name`; the work is bounded whatever its length.
    package init(name: String) {
        self.name = String(name.unicodeScalars.prefix(Self.greatestLength).map(Character.init))
        nearest = name.utf8.count <= Self.greatestLength ? Self.names(resembling: name) : []
    }

    private static func names(resembling name: String) -> [String] {
        let wanted = Array(name.utf8.map { $0 | 0x20 })
        let tolerated = max(1, wanted.count / 3)
        return Set(SystemCallArchitecture.allCases.flatMap { SystemCallTable.table(for: $0).names })
            .map { (distance: editDistance(wanted, Array($0.utf8)), name: $0) }
            .filter { $0.distance <= tolerated }
            .sorted { ($0.distance, $0.name) < ($1.distance, $1.name) }
            .prefix(3)
            .map(\.name)
    }

    /// The number of letters to change, add, leave out, or swap with their neighbour.
    private static func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
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
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}

extension UnknownSystemCall: CustomStringConvertible {
    package var description: String { "find system call `\(name)`: no such call is known" }

    /// What to write instead, or nil where nothing resembles the name.
    package var hint: String? {
        guard !nearest.isEmpty else { return nil }
        return "did you mean " + nearest.map { "`\($0)`" }.joined(separator: " or ") + "?"
    }
}

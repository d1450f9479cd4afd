import PlainText

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
        let wanted = Array(name.lowercased().unicodeScalars)
        let tolerated = max(1, wanted.count / 3)
        return Set(SystemCallArchitecture.allCases.flatMap { SystemCallTable.table(for: $0).names })
            .compactMap { known in
                EditDistance.between(wanted, Array(known.unicodeScalars), bound: tolerated).map { ($0, known) }
            }
            .sorted { ($0.0, $0.1) < ($1.0, $1.1) }
            .prefix(3)
            .map(\.1)
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

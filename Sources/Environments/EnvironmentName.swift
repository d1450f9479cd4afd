/// The name of a base or the identifier of a project's environment: one safe component of a path.
package struct EnvironmentName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The name as it was given.
    package let text: String

    /// The most characters.
    package static let limit = 100

    /// Accepts up to 100 ASCII letters, digits, dots, underscores and hyphens that begin with a letter or digit.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.limit, let first = text.utf8.first, isLetterOrDigit(first) else { return nil }
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

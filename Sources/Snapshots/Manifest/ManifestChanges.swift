/// Writes what makes a new manifest of a stored one, in the form of `diff -n`: commands that tell lines of the stored
/// manifest by their numbers, from 1, in ascending order.
///
///     dLINE COUNT    COUNT lines from LINE on are left out
///     aLINE COUNT    behind LINE come COUNT lines, which follow the command
struct ManifestChanges {
    private var text: [UInt8] = []
    /// How many lines of the stored manifest were passed; the header is in both.
    private var line = 1
    private var dropped = 0
    private var added: [UInt8] = []

    /// Passes lines that both have.
    mutating func keep(_ count: Int) {
        if dropped > 0 || !added.isEmpty { flush() }
        line += count
    }

    /// Passes lines that only the stored manifest has.
    mutating func drop(_ count: Int) {
        line += count
        dropped += count
    }

    /// Adds lines that only the new manifest has.
    mutating func add(_ lines: ArraySlice<UInt8>) { added += lines }

    /// The commands for all that was passed and added since the last call.
    mutating func take() -> [UInt8] {
        flush()
        defer { text.removeAll(keepingCapacity: true) }
        return text
    }

    private mutating func flush() {
        if dropped > 0 { text += "d\(line - dropped + 1) \(dropped)\n".utf8 }
        if !added.isEmpty {
            text += "a\(line) \(added.count { $0 == UInt8(ascii: "\n") })\n".utf8
            text += added
        }
        dropped = 0
        added.removeAll(keepingCapacity: true)
    }
}

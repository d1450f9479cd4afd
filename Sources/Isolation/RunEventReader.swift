/// Takes the bytes of an `events.jsonl` as they come, and gives the events of its complete lines.
///
/// A last line without its newline stays unread until the rest of it comes, so a file that a killed supervisor left
/// reads up to its last whole line. Lines that are too long or are no event are counted and passed over, because
/// the file may have been written by a newer version, or by somebody else.
package struct RunEventReader: Sendable {
    /// The longest line that is read, in bytes without its newline.
    package static let longestLine = 256 * 1024

    /// How many lines were passed over.
    package private(set) var passedOver = 0

    private let decode: @Sendable ([UInt8]) throws -> RunEvent
    private var line: [UInt8] = []
    private var isTooLong = false

    /// A reader that turns the bytes of one line into its event with `decode`.
    package init(decode: @escaping @Sendable ([UInt8]) throws -> RunEvent) {
        self.decode = decode
    }

    /// Whether there are bytes after the last newline.
    package var hasTornLine: Bool { isTooLong || !line.isEmpty }

    /// Takes the next bytes of the file, and gives the events that they complete, in order.
    package mutating func read(_ bytes: some Sequence<UInt8>) -> [RunEvent] {
        var events: [RunEvent] = []
        for byte in bytes {
            if byte == UInt8(ascii: "\n") {
                if let event = endLine() { events.append(event) }
            } else if line.count < Self.longestLine {
                line.append(byte)
            } else {
                isTooLong = true
            }
        }
        return events
    }

    private mutating func endLine() -> RunEvent? {
        defer {
            line.removeAll(keepingCapacity: true)
            isTooLong = false
        }
        if line.isEmpty { return nil }
        guard !isTooLong, let event = try? decode(line) else {
            passedOver += 1
            return nil
        }
        return event
    }
}

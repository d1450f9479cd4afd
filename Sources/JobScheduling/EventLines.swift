import Isolation
import Runs

/// Puts a stream of bytes together to events, one a line.
struct EventLines {
    /// The most that is kept of a line that does not end.
    private static let longest = 4 << 20

    private var rest: [UInt8] = []

    /// The events that end in these bytes; what is no event is left out.
    mutating func feed(_ bytes: [UInt8]) -> [RunEvent] {
        guard let end = bytes.lastIndex(of: 0x0A) else {
            rest = rest.count + bytes.count > Self.longest ? [] : rest + bytes
            return []
        }
        let lines = (rest + bytes[..<end]).split(separator: 0x0A)
        rest = Array(bytes[(end + 1)...])
        return lines.compactMap { JSONFile.decode(RunEvent.self, Array($0)) }
    }
}

/// Reads an attempt's events as they are written.
struct EventReader {
    private let attempt: AttemptDirectory
    private var offset: Int64 = 0
    private var lines = EventLines()

    /// Reads from the first event on.
    init(_ attempt: AttemptDirectory) { self.attempt = attempt }

    /// The events since the last call.
    mutating func next() -> [RunEvent] {
        var events: [RunEvent] = []
        while true {
            let bytes = attempt.eventBytes(from: offset, upTo: 65536)
            if bytes.isEmpty { return events }
            offset += Int64(bytes.count)
            events += lines.feed(bytes)
        }
    }
}

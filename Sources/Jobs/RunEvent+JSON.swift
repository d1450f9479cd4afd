import FoundationEssentials
package import Isolation

extension RunEventReader {
    /// A reader of JSON lines.
    package init() {
        self.init { line in try JSONDecoder().decode(RunEvent.self, from: Data(line)) }
    }
}

extension RunEvent {
    /// The event as a line of an `events.jsonl`, with its newline; nil if a number in it is not finite.
    package var line: [UInt8]? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(self)).map { Array($0) + [UInt8(ascii: "\n")] }
    }
}

import Pipelines
import PlainText

/// A set of run numbers, kept as ranges, with the text form `0-3,5,7-9`.
package struct RunNumbers: Sendable, Hashable {
    /// The largest number that a set may hold.
    package static let largest = 9_999_999
    /// The most ranges that are read from a text.
    package static let mostRanges = 100_000

    /// Ascending, never touching each other.
    package private(set) var ranges: [ClosedRange<Int>] = []

    /// An empty set.
    package init() {}

    /// The first `count` numbers.
    package init(first count: Int) {
        if count > 0 { ranges = [0...min(count - 1, Self.largest)] }
    }

    /// These numbers; what is negative or beyond the largest is left out.
    package init(_ numbers: some Sequence<Int>) {
        self.init(joining: numbers.filter { (0...Self.largest).contains($0) }.map { $0...$0 })
    }

    /// Reads numbers and ranges with commas between them; order and repetitions do not matter, and an empty text is
    /// the empty set.
    package init(_ text: String) throws(InvalidRunNumbers) {
        let items = text.split(separator: ",", maxSplits: Self.mostRanges, omittingEmptySubsequences: false)
        guard items.count <= Self.mostRanges else { throw InvalidRunNumbers(item: "…") }
        var found: [ClosedRange<Int>] = []
        if !text.allSatisfy(\.isWhitespace) {
            for item in items { found.append(try Self.range(item)) }
        }
        self.init(joining: found)
    }

    /// How many numbers the set holds.
    package var count: Int { ranges.reduce(0) { $0 + $1.count } }

    /// Whether the set holds no number.
    package var isEmpty: Bool { ranges.isEmpty }

    /// The numbers in ascending order.
    package var numbers: some Sequence<Int> { ranges.lazy.joined() }

    /// Whether `number` is in the set.
    package func contains(_ number: Int) -> Bool {
        var bounds = (low: 0, high: ranges.count)
        while bounds.low < bounds.high {
            let middle = (bounds.low + bounds.high) / 2
            if ranges[middle].upperBound < number { bounds.low = middle + 1 } else { bounds.high = middle }
        }
        return bounds.low < ranges.count && ranges[bounds.low].contains(number)
    }

    /// The numbers that are in this set or in `other`.
    package func union(_ other: RunNumbers) -> RunNumbers {
        RunNumbers(joining: ranges + other.ranges)
    }

    /// The numbers of this set that are not in `other`.
    package func subtracting(_ other: RunNumbers) -> RunNumbers {
        var left: [ClosedRange<Int>] = []
        var holes = other.ranges[...]
        for range in ranges {
            var start = range.lowerBound
            holes = holes.drop { $0.upperBound < range.lowerBound }
            for hole in holes.prefix(while: { $0.lowerBound <= range.upperBound }) {
                if start < hole.lowerBound { left.append(start...hole.lowerBound - 1) }
                start = max(start, hole.upperBound + 1)
            }
            if start <= range.upperBound { left.append(start...range.upperBound) }
        }
        return RunNumbers(joining: left)
    }

    private init(joining found: [ClosedRange<Int>]) {
        for range in found.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = ranges.last, range.lowerBound <= last.upperBound + 1 {
                ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                ranges.append(range)
            }
        }
    }

    private static func range(_ item: Substring) throws(InvalidRunNumbers) -> ClosedRange<Int> {
        let ends = item.split(separator: "-", maxSplits: 2, omittingEmptySubsequences: false)
        let numbers = ends.compactMap(number)
        guard numbers.count == ends.count, numbers.count <= 2, let first = numbers.first, let last = numbers.last,
            first <= last
        else { throw InvalidRunNumbers(item: String(item)) }
        return first...last
    }

    private static func number(_ text: Substring) -> Int? {
        let digits = text.drop { $0 == " " }.prefix { $0 != " " }
        guard text.allSatisfy({ $0 == " " || ("0"..."9").contains($0) }), !digits.isEmpty, digits.utf8.count <= 7,
            text.drop(while: { $0 == " " }).dropFirst(digits.count).allSatisfy({ $0 == " " })
        else { return nil }
        return Int(digits)
    }
}

extension RunNumbers: CustomStringConvertible {
    /// The numbers and ranges, ascending, with commas between them.
    package var description: String {
        ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
    }
}

extension RunNumbers: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try RunNumbers(try container.decode(String.self))
        } catch let error as InvalidRunNumbers {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// A text that is no list of run numbers.
package struct InvalidRunNumbers: Error, Sendable, Hashable, CustomStringConvertible {
    /// The part of the text that is neither a number nor a range; not yet fit to be shown.
    package let item: String

    /// One sentence, safe to show.
    package var description: String { "invalid run numbers: `\(printable(item, limit: 40))` is no number and no range" }

    /// What to do about it.
    package var hint: String? { "write numbers and ascending ranges, such as `3,5-7`" }
}

import PlainText

/// A choice of runs by their numbers, such as `3,5-7,20-`.
///
/// Numbers are those that lists of runs show, from 0 on; both ends of a range belong to it.
package struct RunSelection: Sendable, Hashable, CustomStringConvertible {
    /// The chosen numbers as ascending ranges that do not touch; a range that ends with `Int.max` is open.
    package let ranges: [ClosedRange<Int>]

    /// Reads numbers and ranges separated by commas; a range without an end goes on for ever.
    package init(_ text: String) throws(ParameterError) {
        guard text.utf8.count <= 65_536 else {
            throw ParameterError("the selection of runs has more than 65536 characters", hint: "use ranges: `5-700`")
        }
        var ranges: [ClosedRange<Int>] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            ranges.append(try Self.range(part.trimmed, in: text))
        }
        self.ranges = Self.merged(ranges)
    }

    /// Whether the run with this number is chosen.
    package func contains(_ number: Int) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < number { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(number)
    }

    /// The smallest number that was asked for though there are only `count` runs; nil when there is none.
    ///
    /// An open range only asks for its beginning.
    package func firstMissing(of count: Int) -> Int? {
        for range in ranges where range.upperBound >= count {
            if range.lowerBound >= count { return range.lowerBound }
            if range.upperBound != .max { return count }
        }
        return nil
    }

    /// The chosen numbers below `count`, ascending.
    package func numbers(below count: Int) -> [Int] {
        ranges.flatMap { $0.lowerBound < count ? Array($0.lowerBound...min($0.upperBound, count - 1)) : [] }
    }

    /// The selection in its shortest form.
    package var description: String {
        ranges.map { range in
            if range.upperBound == .max { return "\(range.lowerBound)-" }
            return range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
        }.joined(separator: ",")
    }

    private static func range(_ part: Substring, in text: String) throws(ParameterError) -> ClosedRange<Int> {
        guard !part.isEmpty else {
            throw ParameterError(
                text.isEmpty ? "the selection of runs is empty" : "\(quoted(text)) has an empty place beside a comma",
                hint: "write numbers and ranges, for example `3,5-7,20-`"
            )
        }
        let bounds = part.split(separator: "-", omittingEmptySubsequences: false).map(\.trimmed)
        if bounds.count == 2, bounds[0].isEmpty {
            throw ParameterError(
                "\(quoted(String(part))) has no first run",
                hint: "runs are numbered from 0: write `0\(part)`"
            )
        }
        guard bounds.count <= 2, let first = number(bounds[0]) else {
            throw ParameterError(
                "\(quoted(String(part))) is neither the number of a run nor a range of numbers",
                hint: "write numbers and ranges, for example `3,5-7,20-`"
            )
        }
        guard bounds.count == 2 else { return first...first }
        if bounds[1].isEmpty { return first...Int.max }
        guard let last = number(bounds[1]) else {
            throw ParameterError(
                "\(quoted(String(part))) does not end with the number of a run",
                hint: "write for example `5-7`, or `5-` for all from 5 on"
            )
        }
        guard first <= last else {
            throw ParameterError("\(quoted(String(part))) ends before it begins", hint: "write `\(last)-\(first)`")
        }
        return first...last
    }

    /// A number of digits only; the largest `Int` stands for open ranges and is none.
    private static func number(_ text: Substring) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy(\.isDigit), let number = Int(text), number < .max else { return nil }
        return number
    }

    private static func merged(_ ranges: [ClosedRange<Int>]) -> [ClosedRange<Int>] {
        var merged: [ClosedRange<Int>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound - 1 <= last.upperBound {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}

extension Substring {
    fileprivate var trimmed: Substring {
        var text = drop { $0.isWhitespace }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}

import Pipelines
import PlainText

/// One of the five fields of a cron expression.
package enum CronField: Int, Sendable, Hashable, CaseIterable {
    case minute, hour, dayOfMonth, month, dayOfWeek

    /// What the field is called.
    package var name: String {
        switch self {
        case .minute: "minute"
        case .hour: "hour"
        case .dayOfMonth: "day of the month"
        case .month: "month"
        case .dayOfWeek: "day of the week"
        }
    }

    /// The values that the field may hold.
    package var bounds: ClosedRange<Int> {
        switch self {
        case .minute: 0...59
        case .hour: 0...23
        case .dayOfMonth: 1...31
        case .month: 1...12
        case .dayOfWeek: 0...7
        }
    }

    /// What may stand in the field, in words.
    package var allowed: String {
        let range = "\(bounds.lowerBound)-\(bounds.upperBound)"
        let names =
            switch self {
            case .month: " or JAN-DEC"
            case .dayOfWeek: " or MON-SUN, 0 and 7 are Sunday"
            default: ""
            }
        return "a \(name) is \(range)\(names); `*`, ranges (`2-5`), steps (`*/2`, `2-8/2`) and lists (`1,3`) are read"
    }

    /// The values that a field holds.
    struct Values {
        /// One bit a value.
        var bits: UInt64 = 0
        /// Whether the field begins with `*`: it restricts nothing by itself.
        var beginsWithStar: Bool
        /// Whether there are only single values in it.
        var isPlain = true
    }

    /// What is wrong with a field.
    package enum Problem: Error, Sendable, Hashable {
        /// The item is empty.
        case empty
        /// The text is no value of this field.
        case unknown(String)
        /// The number is not within the bounds.
        case outside(String)
        /// The range ends before it begins.
        case descending(String)
        /// The step is no number, zero, or larger than what it walks over.
        case step(String)
        /// A step behind a single value.
        case stepOfOne(String)
    }

    func values(_ text: String) throws(Problem) -> Values {
        var values = Values(beginsWithStar: text.utf8.first == UInt8(ascii: "*"))
        for item in text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard !item.isEmpty else { throw .empty }
            try add(String(decoding: item, as: UTF8.self), to: &values)
        }
        return values
    }

    private func add(_ item: String, to values: inout Values) throws(Problem) {
        let parts = item.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let ends = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        var range = bounds
        if parts[0] == "*" {
            // Sunday has two numbers.
            if self == .dayOfWeek { range = 0...6 }
        } else {
            let first = try value(ends[0])
            var last = ends.count == 2 ? try value(ends[1]) : first
            if self == .dayOfWeek, ends.count == 2, last == 0, first > 0 { last = 7 }
            guard first <= last else { throw .descending(item) }
            range = first...last
        }
        let isOne = parts[0] != "*" && ends.count == 1
        if !isOne || parts.count == 2 { values.isPlain = false }
        var step = 1
        if parts.count == 2 {
            if isOne { throw .stepOfOne(item) }
            guard let number = Self.number(parts[1]), number > 0, number <= range.upperBound - range.lowerBound + 1
            else { throw .step(item) }
            step = number
        }
        for value in stride(from: range.lowerBound, through: range.upperBound, by: step) {
            values.bits |= 1 << UInt64(self == .dayOfWeek ? value % 7 : value)
        }
    }

    private func value(_ text: String) throws(Problem) -> Int {
        if let number = Self.number(text) {
            guard bounds.contains(number) else { throw .outside(text) }
            return number
        }
        let names =
            switch self {
            case .month: Self.months
            case .dayOfWeek: Self.weekdays
            default: [String]()
            }
        guard let index = names.firstIndex(of: text.uppercased()) else { throw .unknown(text) }
        return self == .month ? index + 1 : index
    }

    private static func number(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.count <= 6, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }

    private static let months = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ]
    private static let weekdays = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
}

/// A text that is no cron expression.
package struct InvalidCronExpression: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    package enum Reason: Sendable, Hashable {
        /// It has so many fields.
        case fieldCount(Int)
        /// A word after `@` that is not known.
        case nickname(String)
        /// That field cannot be read.
        case field(CronField, CronField.Problem)
        /// None of these months has any of these days.
        case noSuchDay(day: String, month: String)
        /// It has more than 256 bytes.
        case tooLong
    }

    /// The text; not yet fit to be shown.
    package let text: String
    /// What is wrong with it.
    package let reason: Reason

    init(_ text: String, _ reason: Reason) {
        self.text = text
        self.reason = reason
    }

    /// One sentence, safe to show.
    package var description: String { "read the schedule `\(printable(text, limit: 80))`: \(explanation)" }

    /// What to do about it.
    package var hint: String? {
        switch reason {
        case .fieldCount(6), .fieldCount(7): "there are no seconds and no years; the first field is the minute"
        case .fieldCount, .tooLong: "write minute, hour, day of the month, month, day of the week: `30 2 * * MON-FRI`"
        case .nickname("@reboot"): "name times, such as `@daily`"
        case .nickname: "there are @hourly, @daily, @weekly, @monthly and @yearly"
        case .field(let field, .descending(let item)): Self.split(item, field) ?? field.allowed
        case .field(let field, .stepOfOne(let item)):
            "write `\(printable(item, limit: 40).replacing("/", with: "-\(field.bounds.upperBound)/"))` for all from there on"
        case .field(let field, _): field.allowed
        case .noSuchDay: "name a day that one of the months has"
        }
    }

    private static func split(_ item: String, _ field: CronField) -> String? {
        let ends = item.split(separator: "-")
        guard ends.count == 2, !item.contains("/") else { return nil }
        let (first, last) = (printable(String(ends[0]), limit: 20), printable(String(ends[1]), limit: 20))
        let upper = field == .dayOfWeek ? 6 : field.bounds.upperBound
        return "write `\(first)-\(upper),\(field.bounds.lowerBound)-\(last)`"
    }

    private var explanation: String {
        switch reason {
        case .fieldCount(let count): "it has \(count) field\(count == 1 ? "" : "s"), and 5 are needed"
        case .nickname(let word): "`\(printable(word, limit: 40))` is not known"
        case .field(let field, let problem): "\(field.name): \(Self.explanation(problem, field))"
        case .noSuchDay(let day, let month):
            "no month of `\(printable(month, limit: 40))` ever has a day `\(printable(day, limit: 40))`"
        case .tooLong: "it is too long"
        }
    }

    private static func explanation(_ problem: CronField.Problem, _ field: CronField) -> String {
        let shown = { (text: String) in "`\(printable(text, limit: 40))`" }
        return switch problem {
        case .empty: "a value is missing beside a comma"
        case .unknown(let text): "\(shown(text)) is no value"
        case .outside(let text): "\(shown(text)) is not \(field.bounds.lowerBound) to \(field.bounds.upperBound)"
        case .descending(let item): "\(shown(item)) ends before it begins"
        case .step(let item): "the step of \(shown(item)) is not a number from 1 to the length of its range"
        case .stepOfOne(let item): "\(shown(item)) has a step and no range"
        }
    }
}

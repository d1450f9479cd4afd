/// An instant in UTC with a resolution of one millisecond, in the years 1 to 9999.
///
/// As text, and in JSON, it is RFC 3339 with milliseconds: `2026-07-01T12:00:00.000Z`.
package struct Timestamp: Sendable, Hashable, Comparable {
    /// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    package let milliseconds: Int64

    /// The instant so many milliseconds after 1970; brought into the years 1 to 9999.
    package init(milliseconds: Int64) {
        self.milliseconds = min(max(milliseconds, Self.earliest), Self.latest)
    }

    /// The instant so many seconds after 1970, rounded to milliseconds; brought into the years 1 to 9999.
    ///
    /// What is not a number becomes 1970-01-01T00:00:00Z.
    package init(seconds: Double) {
        let limits = (lower: Double(Self.earliest), upper: Double(Self.latest))
        let scaled = seconds.isNaN ? 0 : min(max(seconds * 1000, limits.lower), limits.upper)
        milliseconds = Int64(scaled.rounded())
    }

    /// Seconds since 1970.
    package var seconds: Double { Double(milliseconds) / 1000 }

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.milliseconds < right.milliseconds
    }

    private static let millisecondsOfDay: Int64 = 86_400_000
    private static let earliest = days(year: 1, month: 1, day: 1) * millisecondsOfDay
    private static let latest = days(year: 10_000, month: 1, day: 1) * millisecondsOfDay - 1
}

// MARK: - Text

extension Timestamp: CustomStringConvertible {
    /// RFC 3339 in UTC with milliseconds, always 24 characters.
    package var description: String {
        let (day, rest) = Self.split(milliseconds, by: Self.millisecondsOfDay)
        let date = Self.date(day: day)
        let time = [rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60].map { Self.padded($0, to: 2) }
        return Self.padded(date.year, to: 4) + "-" + Self.padded(date.month, to: 2) + "-" + Self.padded(date.day, to: 2)
            + "T" + time.joined(separator: ":") + "." + Self.padded(rest % 1000, to: 3) + "Z"
    }

    /// Reads RFC 3339 with any offset from UTC; nil if `text` is anything else.
    ///
    /// Digits beyond milliseconds are dropped. A leap second is not accepted.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 40 else { return nil }
        var digits = TimestampDigits(text)
        guard let year = digits.number(4), digits.take("-"), let month = digits.number(2), digits.take("-"),
            let day = digits.number(2), digits.take("T") || digits.take("t"),
            let hour = digits.number(2), digits.take(":"), let minute = digits.number(2), digits.take(":"),
            let second = digits.number(2), let fraction = digits.fraction(), let offset = digits.offset(),
            digits.isAtEnd, year >= 1, (1...12).contains(month),
            (1...Self.daysOfMonth(month, year: year)).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let minutes = Self.days(year: year, month: month, day: day) * 1440 + hour * 60 + minute - offset
        let instant = (minutes * 60 + second) * 1000 + fraction
        guard (Self.earliest...Self.latest).contains(instant) else { return nil }
        milliseconds = instant
    }

    private static func padded(_ value: Int64, to width: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
    }
}

extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = Timestamp(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a time in RFC 3339")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

// MARK: - Calendar

extension Timestamp {
    /// Quotient and remainder with the remainder never negative.
    private static func split(_ value: Int64, by divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    /// How many days a month of the Gregorian calendar has; months count from 1.
    package static func daysOfMonth(_ month: Int64, year: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Days from 1970-01-01 to a date of the Gregorian calendar.
    package static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        // Years that start in March have their leap day at the end, so months before it never move.
        let shifted = month > 2 ? year : year - 1
        let monthFromMarch = (month + 9) % 12
        let leapDays = shifted / 4 - shifted / 100 + shifted / 400
        return shifted * 365 + leapDays + (monthFromMarch * 153 + 2) / 5 + day - 1 - daysFromMarchOfYearZero
    }

    /// The date of the Gregorian calendar so many days after 1970-01-01.
    package static func date(day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = split(day + daysFromMarchOfYearZero, by: 146_097)
        let leapDays = dayOfEra / 1460 - dayOfEra / 36_524 + dayOfEra / 146_096
        let yearOfEra = (dayOfEra - leapDays) / 365
        let dayOfYear = dayOfEra - (yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (dayOfYear * 5 + 2) / 153
        let month = (monthFromMarch + 2) % 12 + 1
        let year = era * 400 + yearOfEra + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (monthFromMarch * 153 + 2) / 5 + 1)
    }

    /// Days from 0000-03-01 to 1970-01-01.
    private static let daysFromMarchOfYearZero: Int64 = 719_468
}

/// Walks over the characters of a time.
private struct TimestampDigits {
    private var rest: ArraySlice<UInt8>

    init(_ text: some StringProtocol) {
        rest = Array(text.utf8)[...]
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, UInt32(first) == character.value else { return false }
        rest.removeFirst()
        return true
    }

    /// A number of exactly `count` digits.
    mutating func number(_ count: Int) -> Int64? {
        let digits = rest.prefix(count)
        guard digits.count == count, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        rest = rest.dropFirst(count)
        return digits.reduce(0) { $0 * 10 + Int64($1 - 48) }
    }

    /// Milliseconds after the second; 0 when there is no fraction, nil when it has no digits.
    mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        let digits = rest.prefix { (48...57).contains($0) }
        guard !digits.isEmpty else { return nil }
        rest = rest.dropFirst(digits.count)
        return (Array(digits.prefix(3)) + [48, 48]).prefix(3).reduce(0) { $0 * 10 + Int64($1 - 48) }
    }

    /// Minutes east of UTC.
    mutating func offset() -> Int64? {
        if take("Z") || take("z") { return 0 }
        let isWest = take("-")
        guard isWest || take("+"), let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60
        else { return nil }
        return (isWest ? -1 : 1) * (hours * 60 + minutes)
    }
}

import Isolation

/// When something happens again and again: minute, hour, day of the month, month and day of the week, as in a crontab.
///
/// Fields hold `*`, numbers, names (`JAN`, `MON`), ranges, steps and lists; 7 is Sunday as well as 0. Where both the day
/// of the month and the day of the week are restricted, either suffices; a field that begins with `*` restricts nothing
/// by itself (Vixie cron). Matching is by local time; `CronTimes` makes instants of it.
package struct CronExpression: Sendable, Hashable {
    /// The expression as it was written, with single spaces.
    package let text: String
    let minutes: UInt64, hours: UInt64
    private let days: UInt64, months: UInt64, weekdays: UInt64
    private let eitherDaySuffices: Bool

    /// Whether it names single times of the day, with numbers only in minute and hour; else it goes on at intervals.
    package let isAtFixedTimes: Bool

    /// Reads five fields, or one of `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    package init(_ text: String) throws(InvalidCronExpression) {
        guard text.utf8.count <= Self.longest else { throw InvalidCronExpression(text, .tooLong) }
        var words = Self.words(text)
        if let word = words.first, word.hasPrefix("@") {
            guard words.count == 1, let fields = Self.nicknames[word.lowercased()] else {
                throw InvalidCronExpression(text, .nickname(word))
            }
            self.text = word.lowercased()
            words = Self.words(fields)
        } else {
            self.text = words.joined(separator: " ")
        }
        guard words.count == CronField.allCases.count else {
            throw InvalidCronExpression(text, .fieldCount(words.count))
        }
        var sets: [CronField.Values] = []
        for (field, word) in zip(CronField.allCases, words) {
            do throws(CronField.Problem) { sets.append(try field.values(word)) } catch {
                throw InvalidCronExpression(text, .field(field, error))
            }
        }
        minutes = sets[0].bits
        hours = sets[1].bits
        days = sets[2].bits
        months = sets[3].bits
        weekdays = sets[4].bits
        eitherDaySuffices = !sets[2].beginsWithStar && !sets[4].beginsWithStar
        isAtFixedTimes = sets[0].isPlain && sets[1].isPlain
        if !sets[2].beginsWithStar, sets[4].beginsWithStar, !Self.someMonthHasOne(of: days, months) {
            throw InvalidCronExpression(text, .noSuchDay(day: words[2], month: words[3]))
        }
    }

    /// The first matching minute after `minute`, both in minutes of local time since 1970; nil after the year 9999.
    func nextMinute(after minute: Int64) -> Int64? {
        let (day, ofDay) = minute.splitting(by: Self.minutesOfDay)
        if matches(day: day), let found = minuteOfDay(after: Int(ofDay)) {
            return day * Self.minutesOfDay + Int64(found)
        }
        guard let next = nextDay(after: day), let found = minuteOfDay(after: -1) else { return nil }
        return next * Self.minutesOfDay + Int64(found)
    }

    private func minuteOfDay(after minute: Int) -> Int? {
        let from = minute + 1
        guard from < Int(Self.minutesOfDay) else { return nil }
        let hour = from / 60
        if hours.contains(hour), let found = minutes.first(from: from % 60) { return hour * 60 + found }
        guard let later = hours.first(from: hour + 1), let found = minutes.first(from: 0) else { return nil }
        return later * 60 + found
    }

    private func nextDay(after day: Int64) -> Int64? {
        var (year, month, dayOfMonth) = Timestamp.date(day: day + 1)
        while year <= 9999 {
            if months.contains(Int(month)) {
                let first = Timestamp.days(year: year, month: month, day: 1)
                while dayOfMonth <= Timestamp.daysOfMonth(month, year: year) {
                    if matches(dayOfMonth, ofWeek: first + dayOfMonth - 1) { return first + dayOfMonth - 1 }
                    dayOfMonth += 1
                }
            }
            (year, month, dayOfMonth) = month == 12 ? (year + 1, 1, 1) : (year, month + 1, 1)
        }
        return nil
    }

    private func matches(day: Int64) -> Bool {
        let date = Timestamp.date(day: day)
        return months.contains(Int(date.month)) && matches(date.day, ofWeek: day)
    }

    private func matches(_ dayOfMonth: Int64, ofWeek day: Int64) -> Bool {
        // 1970-01-01 was a Thursday.
        let weekday = Int((day + 4).splitting(by: 7).rest)
        let (month, week) = (days.contains(Int(dayOfMonth)), weekdays.contains(weekday))
        return eitherDaySuffices ? month || week : month && week
    }

    private static func someMonthHasOne(of days: UInt64, _ months: UInt64) -> Bool {
        guard let first = days.first(from: 1) else { return false }
        // 2000 was a leap year.
        return (1...12).contains { months.contains($0) && first <= Int(Timestamp.daysOfMonth(Int64($0), year: 2000)) }
    }

    private static func words(_ text: String) -> [String] {
        text.utf8.split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
    }

    static let nicknames = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]
    private static let longest = 256
    private static let minutesOfDay: Int64 = 1440
}

extension CronExpression: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        do {
            self = try CronExpression(try container.decode(String.self))
        } catch let error as InvalidCronExpression {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

extension Int64 {
    /// Quotient and remainder, of which the remainder is never negative.
    func splitting(by divisor: Int64) -> (quotient: Int64, rest: Int64) {
        let (quotient, rest) = quotientAndRemainder(dividingBy: divisor)
        return rest < 0 ? (quotient - 1, rest + divisor) : (quotient, rest)
    }
}

extension UInt64 {
    /// Whether the bit of that number is set.
    fileprivate func contains(_ number: Int) -> Bool { self & (1 << UInt64(number)) != 0 }

    /// The lowest number from `start` on whose bit is set.
    fileprivate func first(from start: Int) -> Int? {
        guard start < 64 else { return nil }
        let rest = self >> UInt64(start)
        return rest == 0 ? nil : start + rest.trailingZeroBitCount
    }
}

import Isolation

/// How far the clocks of a time zone are ahead of UTC, at every instant.
///
/// All instants are in seconds since 1970 without leap seconds; local times are in the same form, as if they were UTC.
package struct TimeZoneRules: Sendable, Hashable {
    /// A stretch of time in which the clocks are not changed.
    package struct Period: Sendable, Hashable {
        /// Seconds that the clocks are ahead of UTC.
        package var offset: Int64
        /// The first instant that does not belong to it; nil when the clocks are never changed again.
        package var end: Int64?
    }

    /// The instants at which the clocks were changed, ascending, each with the offset from then on.
    let changes: [Change]
    /// The offset before the first change.
    let first: Int64
    /// The rule for all time from the last change on; nil keeps the last offset.
    let later: YearlyRule?

    struct Change: Sendable, Hashable {
        var instant: Int64
        var offset: Int64
    }

    /// Coordinated universal time.
    package static let utc = TimeZoneRules(changes: [], first: 0, later: nil)

    init(changes: [Change], first: Int64, later: YearlyRule?) {
        self.changes = changes
        self.first = first
        self.later = later
    }

    /// The period to which an instant belongs.
    package func period(at instant: Int64) -> Period {
        var bounds = (low: 0, high: changes.count)
        while bounds.low < bounds.high {
            let middle = (bounds.low + bounds.high) / 2
            if changes[middle].instant <= instant { bounds.low = middle + 1 } else { bounds.high = middle }
        }
        if bounds.low < changes.count {
            return Period(
                offset: bounds.low == 0 ? first : changes[bounds.low - 1].offset, end: changes[bounds.low].instant)
        }
        return later?.period(at: instant) ?? Period(offset: changes.last?.offset ?? first, end: nil)
    }

    /// The first instant at which the clocks show `local` or, where they skip it, the instant at which they do so.
    package func firstInstant(ofLocal local: Int64) -> Int64 {
        // No clock is ahead of UTC by more than 26 hours (RFC 8536).
        var instant = local - 36 * 3600
        while true {
            let period = period(at: instant)
            if instant + period.offset >= local { return instant }
            let candidate = local - period.offset
            guard let end = period.end, candidate >= end else { return candidate }
            instant = end
        }
    }
}

/// A rule for every year, as the last line of a time zone's file has it (POSIX `TZ`, RFC 8536 section 3.3.1).
struct YearlyRule: Sendable, Hashable {
    /// A day of every year, and a time on it by the clocks that are in force until then.
    struct Day: Sendable, Hashable {
        enum Form: Sendable, Hashable {
            /// That day of the year from 1, which the 29th of February never counts in.
            case withoutLeapDay(Int64)
            /// That day of the year from 0.
            case ofYear(Int64)
            /// That weekday (0 is Sunday) in that week of the month, of which the fifth is the last.
            case weekday(Int64, week: Int64, month: Int64)
        }

        var form: Form
        var time: Int64
    }

    /// The time of the year in which the clocks are set differently.
    struct Summer: Sendable, Hashable {
        var offset: Int64
        var start: Day
        var end: Day
    }

    static let secondsOfDay: Int64 = 86_400

    var offset: Int64
    var summer: Summer?

    func period(at instant: Int64) -> TimeZoneRules.Period {
        guard let summer else { return .init(offset: offset, end: nil) }
        let year = Self.year(of: instant + offset)
        var changes: [(instant: Int64, offset: Int64)] = []
        for year in year - 1...year + 1 {
            // Ends before beginnings: a summer that ends when the next one begins never ends.
            changes.append((summer.end.local(in: year) - summer.offset, offset))
            changes.append((summer.start.local(in: year) - offset, summer.offset))
        }
        let sorted = changes.enumerated().sorted {
            ($0.element.instant, $0.element.offset == offset ? 0 : 1) < (
                $1.element.instant, $1.element.offset == offset ? 0 : 1
            )
        }.map(\.element)
        let past = sorted.last { $0.instant <= instant }
        return .init(offset: past?.offset ?? offset, end: sorted.first { $0.instant > instant }?.instant)
    }

    private static func year(of local: Int64) -> Int64 {
        Timestamp.date(day: local.splitting(by: secondsOfDay).quotient).year
    }
}

extension YearlyRule.Day {
    /// Its local time in a year.
    func local(in year: Int64) -> Int64 {
        let newYear = Timestamp.days(year: year, month: 1, day: 1)
        let day: Int64 =
            switch form {
            case .ofYear(let number): newYear + number
            case .withoutLeapDay(let number):
                newYear + number - 1 + (number >= 60 && Timestamp.daysOfMonth(2, year: year) == 29 ? 1 : 0)
            case .weekday(let weekday, let week, let month): Self.day(weekday, week: week, month: month, year: year)
            }
        return day * YearlyRule.secondsOfDay + time
    }

    private static func day(_ weekday: Int64, week: Int64, month: Int64, year: Int64) -> Int64 {
        let first = Timestamp.days(year: year, month: month, day: 1)
        // 1970-01-01 was a Thursday.
        let ahead = (weekday - (first + 4)).splitting(by: 7).rest
        var day = first + ahead + (week - 1) * 7
        while day >= first + Timestamp.daysOfMonth(month, year: year) { day -= 7 }
        return day
    }
}

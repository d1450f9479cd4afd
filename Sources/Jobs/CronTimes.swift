package import Isolation

/// The instants of a cron expression in a time zone.
///
/// Where clocks are changed, an expression with fixed times of the day (`30 2 * * *`) happens exactly once for each of
/// them: at the first of two instants with that time, or, where the clocks skip it, at the instant at which they do. One
/// with `*`, a range or a step in its minute or hour goes on at intervals: it happens at every instant at which the clocks
/// show a matching time, so hours that come twice count twice, and skipped ones do not count.
package struct CronTimes: Sendable {
    private let expression: CronExpression
    private let rules: TimeZoneRules

    /// The instants of `expression` where `rules` are in force.
    package init(_ expression: CronExpression, _ rules: TimeZoneRules) {
        self.expression = expression
        self.rules = rules
    }

    /// The first instant after `time`; nil after the year 9999.
    package func next(after time: Timestamp) -> Timestamp? {
        let seconds = time.milliseconds.splitting(by: 1000).quotient
        let found = expression.isAtFixedTimes ? nextFixed(after: seconds) : nextInterval(after: seconds)
        guard let found, found <= Self.latest else { return nil }
        return Timestamp(milliseconds: found * 1000)
    }

    private func nextFixed(after instant: Int64) -> Int64? {
        var minute = (instant + rules.period(at: instant).offset).splitting(by: 60).quotient
        while let next = expression.nextMinute(after: minute), next * 60 <= Self.latest + 86_400 {
            let found = rules.firstInstant(ofLocal: next * 60)
            if found > instant { return found }
            minute = next
        }
        return nil
    }

    private func nextInterval(after instant: Int64) -> Int64? {
        var period = rules.period(at: instant)
        // The last local minute that is no candidate any more.
        var minute = (instant + period.offset).splitting(by: 60).quotient
        while true {
            guard let next = expression.nextMinute(after: minute), next * 60 <= Self.latest + 86_400 else { return nil }
            let found = next * 60 - period.offset
            guard let end = period.end, found >= end else { return found }
            period = rules.period(at: end)
            // The first minute of the new period is a candidate.
            minute = (end + period.offset - 1).splitting(by: 60).quotient
        }
    }

    private static let latest = Timestamp(milliseconds: .max).milliseconds / 1000
}

import Isolation
import Jobs
import Testing

@Suite("Cron expressions") struct CronExpressionTests {
    private func times(_ text: String, after start: String, _ count: Int = 5) throws -> [String] {
        let schedule = JobSchedule(.recurring(try CronExpression(text)))
        let start = try #require(Timestamp(start))
        return schedule.times(after: start, count: count, in: .utc).map { String($0.description.prefix(16)) }
    }

    @Test(arguments: [
        ("*/15 * * * *", ["2026-01-01T00:15", "2026-01-01T00:30", "2026-01-01T00:45"]),
        ("5,50-52 3 * * *", ["2026-01-01T03:05", "2026-01-01T03:50", "2026-01-01T03:51"]),
        ("0 0 * * MON", ["2026-01-05T00:00", "2026-01-12T00:00"]), ("0 0 * * 7", ["2026-01-04T00:00"]),
        ("0 0 * * sat-sun", ["2026-01-03T00:00", "2026-01-04T00:00", "2026-01-10T00:00"]),
        ("0 0 * * 5-7", ["2026-01-02T00:00", "2026-01-03T00:00", "2026-01-04T00:00", "2026-01-09T00:00"]),
        ("0 0 * * */2", ["2026-01-03T00:00", "2026-01-04T00:00", "2026-01-06T00:00"]),
        ("0 12 1 jan,JUL *", ["2026-01-01T12:00", "2026-07-01T12:00", "2027-01-01T12:00"]),
        ("0 0 13 * FRI", ["2026-01-02T00:00", "2026-01-09T00:00", "2026-01-13T00:00", "2026-01-16T00:00"]),
        ("0 0 */10 * FRI", ["2026-05-01T00:00", "2026-07-31T00:00", "2026-08-21T00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("0 0 31 * *", ["2026-01-31T00:00", "2026-03-31T00:00"]),
        ("@hourly", ["2026-01-01T01:00", "2026-01-01T02:00"]), ("@daily", ["2026-01-02T00:00"]),
        ("@weekly", ["2026-01-04T00:00"]), ("@monthly", ["2026-02-01T00:00"]), ("@yearly", ["2027-01-01T00:00"]),
        ("  0\t8   1  1 * ", ["2026-01-01T08:00", "2027-01-01T08:00"]),
        ("10-40/15 5 * * *", ["2026-01-01T05:10", "2026-01-01T05:25", "2026-01-01T05:40"]),
    ])
    func `they happen when a crontab says so`(text: String, expected: [String]) throws {
        #expect(try times(text, after: "2026-01-01T00:00:00Z", expected.count) == expected)
    }

    @Test func `a time that is now is not after now, and seconds do not count`() throws {
        #expect(try times("0 1 * * *", after: "2026-01-01T00:59:59.999Z", 1) == ["2026-01-01T01:00"])
        #expect(try times("0 1 * * *", after: "2026-01-01T01:00:00Z", 1) == ["2026-01-02T01:00"])
        #expect(try times("* * * * *", after: "2026-01-01T01:00:30Z", 1) == ["2026-01-01T01:01"])
        #expect(try times("0 0 29 2 *", after: "2096-03-01T00:00:00Z", 1) == ["2104-02-29T00:00"])
        #expect(try times("0 0 1 1 *", after: "9999-06-01T00:00:00Z").isEmpty)
    }

    @Test(arguments: [
        ("0 0 30 2 *", "no month of `2` ever has a day `30`", "name a day"),
        ("0 0 31 4,6,SEP *", "no month of `4,6,SEP` ever has a day `31`", "name a day"),
        ("60 * * * *", "minute: `60` is not 0 to 59", "`*`"), ("0 24 * * *", "hour: `24` is not 0 to 23", "0-23"),
        ("0 0 0 * *", "day of the month: `0` is not 1 to 31", "1-31"), ("0 0 * 13 *", "month: `13`", "JAN-DEC"),
        ("0 0 * * 8", "day of the week: `8` is not 0 to 7", "Sunday"),
        ("0 0 * * MONDAY", "`MONDAY` is no value", "MON-SUN"),
        ("0 0 L * *", "`L` is no value", "1-31"), ("? 0 * * *", "`?`", "lists"),
        ("1,,2 0 * * *", "missing beside a comma", "lists"),
        ("*/0 * * * *", "the step of `*/0`", "0-59"), ("*/61 * * * *", "the step of `*/61`", "0-59"),
        ("0 22-2 * * *", "`22-2` ends before it begins", "`22-23,0-2`"),
        ("5/15 * * * *", "`5/15` has a step and no range", "`5-59/15`"),
        ("-1 * * * *", "`` is no value", "0-59"), ("0 1-2-3 * * *", "`2-3` is no value", "0-23"),
        ("* * * *", "it has 4 fields, and 5 are needed", "MON-FRI"), ("0 * * * * *", "it has 6 fields", "no seconds"),
        ("", "it has 0 fields", "minute"), ("@reboot", "`@reboot` is not known", "@daily"),
        ("@daily 5", "`@daily` is not known", "@hourly"),
        ("0 0 * * \u{1B}[2J", "\\u{1b}", "Sunday"),
    ])
    func `what cannot be is refused with the field, the reason and what to write`(
        text: String, reason: String, hint: String
    ) {
        let error = #expect(throws: InvalidCronExpression.self) { try CronExpression(text) }
        #expect(error?.description.contains(reason) == true, "\(String(describing: error))")
        #expect(error?.hint?.contains(hint) == true, "\(String(describing: error?.hint))")
        #expect(error.map { holdsControlCharacters($0.description + ($0.hint ?? "")) } == false)
    }

    @Test func `an expression is as long as a line, and JSON of another one is not read`() throws {
        #expect(throws: InvalidCronExpression.self) {
            try CronExpression(String(repeating: "1,", count: 200) + "1 * * * *")
        }
        #expect(try decoded(CronExpression.self, "\"0  5 * * *\"").text == "0 5 * * *")
        #expect(throws: DecodingError.self) { try decoded(CronExpression.self, "\"0 25 * * *\"") }
    }
}

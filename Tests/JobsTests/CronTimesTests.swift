import Foundation
import Isolation
import Jobs
import Testing

/// Against a slow walk over every minute of years in which clocks are changed, by another implementation of time zones.
@Suite("Schedules where clocks are changed") struct CronTimesTests {
    static let zones = [
        "UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Europe/Dublin",
        "Africa/Casablanca", "Asia/Kathmandu", "Africa/Cairo", "America/Havana",
    ]
    static let expressions = [
        "30 2 * * *", "0,30 0,1,2,3 * * *", "15 * * * *", "*/20 1-3 * * *", "0 */2 * * *", "30 23 * * SAT", "5 0 * * 7",
        "45 1,2 1-7 3,4,9,10,11 *", "59 23 31 12 *", "0 0 * * *", "* 2 * * SUN",
    ]

    static func rules(_ name: String) throws -> TimeZoneRules {
        if name == "UTC" { return .utc }
        return try TimeZoneRules(fileContent: [UInt8](Data(contentsOf: URL(filePath: "/usr/share/zoneinfo/\(name)"))))
    }

    /// Every minute of the days around each change of the clocks in a year, in stretches.
    private struct Walk {
        private var stretches: [[(instant: Int64, local: Int64)]] = []

        init(_ name: String, year: Int64) throws {
            let zone = try #require(TimeZone(identifier: name))
            let start = Timestamp.days(year: year, month: 1, day: 1) * 86_400
            func offset(_ instant: Int64) -> Int64 {
                Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(instant))))
            }
            var offsets: [(Int64, Int64)] = []
            for instant in stride(from: start, to: start + 366 * 86_400, by: 3600) {
                let (first, last) = (offset(instant), offset(instant + 3599))
                offsets += [(instant, first), (instant + 1800, first == last ? first : offset(instant + 1800))]
            }
            var middles = [start + 5 * 86_400, start + 362 * 86_400]
            for (before, after) in zip(offsets, offsets.dropFirst()) where before.1 != after.1 {
                middles.append(after.0)
            }
            let known = Dictionary(uniqueKeysWithValues: offsets)
            for middle in middles.sorted() {
                var stretch: [(instant: Int64, local: Int64)] = []
                for instant in stride(from: middle - 3 * 86_400, to: middle + 2 * 86_400, by: 60) {
                    guard let offset = known[instant - instant % 1800] else { continue }
                    stretch.append((instant, instant + offset))
                }
                stretches.append(stretch)
            }
        }

        /// Whether the walk tells of an instant; of the first day of a stretch it does not: what was shown before it is
        /// not known.
        func covers(_ instant: Int64) -> Bool {
            stretches.contains { stretch in
                stretch.count > 1440 && instant >= stretch[1440].instant
                    && instant <= stretch[stretch.count - 1].instant
            }
        }

        func instants(_ expression: String) throws -> [Int64] {
            var found: Set<Int64> = []
            for stretch in stretches { found.formUnion(try instants(expression, in: stretch)) }
            return found.filter(covers).sorted()
        }

        /// The rule, as it is told to users, word by word.
        private func instants(_ expression: String, in minutes: [(instant: Int64, local: Int64)]) throws -> [Int64] {
            let fields = expression.split(separator: " ").map(String.init)
            let isFixed = !(fields[0] + fields[1]).contains { "*-/".contains($0) }
            let sets = [0...59, 0...23, 1...31, 1...12, 0...7].enumerated().map { index, bounds in
                Self.values(fields[index], bounds)
            }
            func matches(_ local: Int64) -> Bool {
                let (day, time) = (Int64((Double(local) / 86_400).rounded(.down)), ((local % 86_400) + 86_400) % 86_400)
                let date = Timestamp.date(day: day)
                guard sets[0].contains(Int(time / 60 % 60)), sets[1].contains(Int(time / 3600)),
                    sets[3].contains(Int(date.month))
                else { return false }
                let month = sets[2].contains(Int(date.day)), week = Int(((day + 4) % 7 + 7) % 7)
                let weekday = sets[4].contains(week) || week == 0 && sets[4].contains(7)
                return fields[2].hasPrefix("*") || fields[4].hasPrefix("*") ? month && weekday : month || weekday
            }
            var found: [Int64] = []
            var shown = Int64.min
            for (instant, local) in minutes {
                if isFixed {
                    // Everything that the clocks show for the first time, or pass over.
                    guard local > shown else { continue }
                    let first = shown == .min ? local : shown + 60
                    if stride(from: first, through: local, by: 60).contains(where: matches) { found.append(instant) }
                    shown = local
                } else if matches(local) {
                    found.append(instant)
                }
            }
            return found
        }

        private static func values(_ field: String, _ bounds: ClosedRange<Int>) -> Set<Int> {
            var values: Set<Int> = []
            let names = ["SUN": 0, "SAT": 6]
            for item in field.split(separator: ",") {
                let parts = item.split(separator: "/"),
                    ends = parts[0].split(separator: "-").map { names[String($0)] ?? Int($0) ?? 0 }
                let range = parts[0] == "*" ? bounds : ends[0]...(ends.count > 1 ? ends[1] : ends[0])
                values.formUnion(
                    stride(
                        from: range.lowerBound, through: range.upperBound, by: parts.count > 1 ? Int(parts[1]) ?? 1 : 1)
                )
            }
            return values
        }
    }

    @Test(arguments: zones, [2026 as Int64, 2051])
    func `a year is what a slow walk over its minutes finds`(zone: String, year: Int64) throws {
        let (walk, rules) = (try Walk(zone, year: year), try Self.rules(zone))
        let start = Timestamp.days(year: year, month: 1, day: 1) * 86_400
        let end = start + 365 * 86_400
        for expression in Self.expressions {
            let schedule = JobSchedule(.recurring(try CronExpression(expression)), zone: zone)
            let expected = try walk.instants(expression)
            var found: [Int64] = []
            var time = Timestamp(seconds: Double(start))
            while let next = schedule.next(after: time, in: rules), next.seconds < Double(end) {
                found.append(next.milliseconds / 1000)
                time = next
            }
            found = found.filter(walk.covers)
            #expect(found == expected, "\(expression) in \(zone) \(year): \(Self.difference(found, expected))")
        }
    }

    private static func difference(_ found: [Int64], _ expected: [Int64]) -> String {
        let shown = { (times: Set<Int64>) in times.sorted().prefix(3).map { Timestamp(seconds: Double($0)).description }
        }
        return "too much \(shown(Set(found).subtracting(expected))), missing \(shown(Set(expected).subtracting(found)))"
    }

    @Test(arguments: [
        // Clocks go from 02:00 to 03:00 at 01:00 UTC.
        ("30 2 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00", "2026-03-30T00:30"]),
        ("0 2,3 * * *", "2026-03-28T12:00:00Z", ["2026-03-29T01:00", "2026-03-30T00:00", "2026-03-30T01:00"]),
        ("0 * * * *", "2026-03-28T23:30:00Z", ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"]),
        // Clocks go from 03:00 to 02:00 at 01:00 UTC.
        ("30 2 * * *", "2026-10-24T12:00:00Z", ["2026-10-25T00:30", "2026-10-26T01:30"]),
        ("30 2 * * *", "2026-10-25T01:10:00Z", ["2026-10-26T01:30"]),
        ("0 * * * *", "2026-10-24T23:30:00Z", ["2026-10-25T00:00", "2026-10-25T01:00", "2026-10-25T02:00"]),
        (
            "30 1-3 * * *", "2026-10-24T23:00:00Z",
            ["2026-10-24T23:30", "2026-10-25T00:30", "2026-10-25T01:30", "2026-10-25T02:30"]
        ),
    ])
    func `fixed times happen once, intervals go on`(text: String, start: String, expected: [String]) throws {
        let schedule = JobSchedule(.recurring(try CronExpression(text)), zone: "Europe/Berlin")
        let times = schedule.times(
            after: try #require(Timestamp(start)), count: expected.count, in: try Self.rules("Europe/Berlin"))
        #expect(times.map { String($0.description.prefix(16)) } == expected)
    }

    @Test func `a local time is the first instant that shows it, or the end of the gap that swallows it`() throws {
        let rules = try Self.rules("Europe/Berlin")
        let local = { (text: String) throws in try #require(Timestamp(text)).milliseconds / 1000 }
        #expect(rules.firstInstant(ofLocal: try local("2026-07-01T12:00:00Z")) == (try local("2026-07-01T10:00:00Z")))
        #expect(rules.firstInstant(ofLocal: try local("2026-03-29T02:30:00Z")) == (try local("2026-03-29T01:00:00Z")))
        #expect(rules.firstInstant(ofLocal: try local("2026-10-25T02:30:00Z")) == (try local("2026-10-25T00:30:00Z")))
        #expect(rules.firstInstant(ofLocal: try local("2099-07-01T12:00:00Z")) == (try local("2099-07-01T10:00:00Z")))
        // Samoa had no 30 December 2011.
        let samoa = try Self.rules("Pacific/Apia")
        #expect(samoa.firstInstant(ofLocal: try local("2011-12-30T12:00:00Z")) == (try local("2011-12-30T10:00:00Z")))
    }

    @Test func `files that are cut off, altered or no files of time zones are refused or read within bounds`() throws {
        let bytes = [UInt8](try Data(contentsOf: URL(filePath: "/usr/share/zoneinfo/Europe/Berlin")))
        for length in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: InvalidTimeZoneFile.self) { try TimeZoneRules(fileContent: Array(bytes.prefix(length))) }
        }
        var generator = SeededGenerator(state: 7)
        for _ in 0..<3000 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                changed[Int.random(in: 0..<bytes.count, using: &generator)] = .random(in: 0...255, using: &generator)
            }
            guard let rules = try? TimeZoneRules(fileContent: changed) else { continue }
            for instant in [0, 1_800_000_000, 4_000_000_000] as [Int64] {
                _ = rules.period(at: instant)
                _ = rules.firstInstant(ofLocal: instant)
            }
        }
        #expect(throws: InvalidTimeZoneFile.self) { try TimeZoneRules(fileContent: Array("TZif3".utf8)) }
        #expect(throws: InvalidTimeZoneFile.self) { try TimeZoneRules(fileContent: Array(repeating: 0, count: 100)) }
    }
}

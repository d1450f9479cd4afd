import ArgumentParser
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Pipelines
import PlainText

/// When the runs of a job are made.
struct ScheduleOptions: ParsableArguments {
    @Option(help: "Make its runs at this time: 2026-12-01T08:00:00+01:00, or `2026-12-01 08:00` in --time-zone.")
    var at: String?
    @Option(help: "Make its runs again and again: `30 2 * * MON-FRI`, @hourly, @daily, @weekly, @monthly.")
    var cron: String?
    @Option(help: "The time zone of --at and --cron: Europe/Berlin; by default UTC.")
    var timeZone: String?
    @Option(
        help: "What becomes of missed times: none, one (together one batch, the default) or all (a batch each).",
        completion: .list(JobSchedule.CatchUp.allCases.map(\.rawValue)))
    var catchUp: String?
    @Option(
        help: "While earlier runs go on: allow more (the default), skip the time, or queue behind them.",
        completion: .list(JobSchedule.Overlap.allCases.map(\.rawValue)))
    var overlap: String?

    var isEmpty: Bool { at == nil && cron == nil && timeZone == nil && catchUp == nil && overlap == nil }

    /// The schedule that they describe, where `old` has what they do not say; nil when there is none.
    func schedule(from old: JobSchedule? = nil, at now: Timestamp) throws -> JobSchedule? {
        guard at == nil || cron == nil else {
            throw ValidationError("--at and --cron exclude each other: a job has one time, or many")
        }
        guard at != nil || cron != nil || old != nil else {
            guard isEmpty else {
                throw ValidationError("--time-zone, --catch-up and --overlap need --cron, or --at for the zone")
            }
            return nil
        }
        let zone = timeZone ?? old?.zone ?? "UTC"
        let rules = try TimeZoneDirectory().rules(zone)
        var schedule = old ?? JobSchedule(.once(now))
        schedule.zone = zone
        if let at { schedule.times = .once(try Self.time(at, rules, zone, now)) }
        if let cron { schedule.times = .recurring(try CronExpression(cron)) }
        if let catchUp { schedule.catchUp = try Self.value(catchUp, "--catch-up") }
        if let overlap { schedule.overlap = try Self.value(overlap, "--overlap") }
        guard schedule.isRecurring || catchUp == nil && overlap == nil else {
            throw ValidationError("--catch-up and --overlap are for --cron: a single time is never dropped")
        }
        return schedule
    }

    private static func value<Value: RawRepresentable & CaseIterable>(_ text: String, _ option: String) throws -> Value
    where Value.RawValue == String {
        guard let value = Value(rawValue: text) else {
            throw ValidationError(
                "\(option) is one of \(Value.allCases.map(\.rawValue).joined(separator: ", ")), not `\(printable(text))`"
            )
        }
        return value
    }

    private static func time(
        _ text: String, _ rules: TimeZoneRules, _ zone: String, _ now: Timestamp
    ) throws -> Timestamp {
        let time: Timestamp
        if let exact = Timestamp(text) {
            time = exact
        } else if let local = local(text) {
            time = try instant(ofLocal: local, rules) { "`\(printable(text))` \($0) in \(zone), where clocks are set" }
        } else {
            throw ValidationError(
                "`\(printable(text))` is no time; write 2026-12-01T08:00:00Z, or 2026-12-01 08:00 in --time-zone")
        }
        guard time > now else { throw ValidationError("\(time) is past; leave --at out to make the runs now") }
        return time
    }

    /// The one instant of a local time in seconds; nobody can mean one that is skipped, and of two nobody knows which.
    private static func instant(
        ofLocal local: Int64, _ rules: TimeZoneRules, problem: (String) -> String
    ) throws -> Timestamp {
        func time(_ seconds: Int64) -> Timestamp { Timestamp(milliseconds: seconds * 1000) }
        let first = rules.firstInstant(ofLocal: local)
        let period = rules.period(at: first)
        guard first + period.offset == local else {
            throw ValidationError("\(problem("is skipped")) forward: write \(time(first)), or a later time")
        }
        if let end = period.end, case let second = local - rules.period(at: end).offset, second >= end {
            throw ValidationError("\(problem("comes twice")) back: write \(time(first)) or \(time(second))")
        }
        return time(first)
    }

    /// A date and a time without a zone, in seconds.
    private static func local(_ text: String) -> Int64? {
        let parts = text.utf8.split(whereSeparator: { $0 == 0x20 || $0 == UInt8(ascii: "T") })
            .map { String(decoding: $0, as: UTF8.self) }
        guard parts.count == 2, parts[1].utf8.count == 5 || parts[1].utf8.count == 8 else { return nil }
        let seconds = parts[1].utf8.count == 5 ? ":00" : ""
        return Timestamp("\(parts[0])T\(parts[1])\(seconds)Z").map { $0.milliseconds / 1000 }
    }

    static let explanation = """
        A cron expression has minute, hour, day of the month, month and day of the week; where both days are restricted, \
        either suffices. Where clocks are changed, single times of the day (30 2 * * *) happen once: at the first of two \
        such instants, or at the end of the hour that is skipped; `*`, ranges and steps in minute or hour go on in real \
        time. A time is missed when nothing ran its schedule within a minute; of missed times at most the newest 1000 are \
        made up for. Steps see the time that their run is for as CLOCHE_SCHEDULED_TIME. `cloche cancel JOB` ends a \
        schedule, `cloche job pause JOB` stops it for a while.
        """
}

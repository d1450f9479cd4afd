import Isolation
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import TerminalOutput

/// The schedule of a job, in words and as JSON.
struct ScheduleDescription {
    private let job: JobRecord

    init(_ job: JobRecord) { self.job = job }

    /// Rows for `show`.
    func facts() -> [(String, String)] {
        guard let schedule = job.schedule else { return [] }
        var facts = [("schedule", Self.text(schedule)), ("batches", "\(job.batches) made")]
        if let skipped = job.skipped {
            facts.append(
                (
                    "skipped",
                    "\(counted(skipped.count, "time")) while runs went on, last \(shown(skipped.last, in: schedule))"
                ))
        }
        let times = nextTimes()
        for (index, time) in times.enumerated() {
            facts.append((index == 0 ? "next" : "", shown(time, in: schedule)))
        }
        if times.isEmpty { facts.append(("next", reasonForNone)) }
        return facts
    }

    /// When its next runs are made, for a list; nil for a job that waits for no time.
    func next() -> String? {
        guard let schedule = job.schedule, let next = job.next, job.state != .paused else { return nil }
        return shown(next, in: schedule, briefly: true)
    }

    /// The same as a line.
    func line() -> String? { next().map { "next \($0)" } }

    /// Tells when the runs of the job are made, and the service that there is something to wait for.
    func say(in context: CommandContext) throws {
        guard let schedule = job.schedule else { return }
        context.say("schedule: \(Self.text(schedule))")
        let times = nextTimes()
        for time in times { context.say("  next: \(shown(time, in: schedule))") }
        if times.isEmpty { return context.say("  next: \(reasonForNone)") }
        if CommandContext.wakeService() { return }
        context.say(
            "note: no service is running: nothing starts before `cloche serve` does; "
                + "`cloche job trigger \(shellWord(job.name.description))` makes runs now")
    }

    /// Members for the document of a job.
    func members() -> [(String, JSONValue)] {
        guard let schedule = job.schedule else { return [] }
        return [
            ("schedule", Documents.value(schedule)), ("batches", Documents.value(job.batches)),
            ("skipped_times", Documents.value(job.skipped?.count ?? 0)),
            ("last_skipped", Documents.value(job.skipped?.last)), ("next", Documents.value(job.next)),
            ("next_times", .array(nextTimes().map { Documents.value($0) })),
        ]
    }

    private var reasonForNone: String {
        switch job.state {
        case .draft: "none before it is started by `cloche job start \(shellWord(job.name.description))`"
        case .paused: "none before it is resumed by `cloche job resume \(shellWord(job.name.description))`"
        default: "none"
        }
    }

    private func nextTimes() -> [Timestamp] {
        guard let schedule = job.schedule, let next = job.next, job.state != .paused else { return [] }
        // A zone that this host does not know any more: the next time is known still.
        guard let rules = try? TimeZoneDirectory().rules(schedule.zone) else { return [next] }
        return [next] + schedule.times(after: next, count: 4, in: rules)
    }

    private func shown(_ time: Timestamp, in schedule: JobSchedule, briefly: Bool = false) -> String {
        let seconds = time.milliseconds / 1000
        guard schedule.zone != "UTC", let rules = try? TimeZoneDirectory().rules(schedule.zone) else {
            return Self.minutes(time) + " UTC"
        }
        let offset = rules.period(at: seconds).offset
        let local = Self.minutes(Timestamp(milliseconds: (seconds + offset) * 1000)), universal = Self.minutes(time)
        if briefly { return "\(local) \(schedule.zone)" }
        let isSameDay = local.prefix(10) == universal.prefix(10)
        return "\(local) \(schedule.zone) (\(isSameDay ? universal.dropFirst(11) : universal[...]) UTC)"
    }

    /// A time of its schedule, in the zone of that.
    func text(of time: Timestamp) -> String { job.schedule.map { shown(time, in: $0) } ?? time.description }

    private static func minutes(_ time: Timestamp) -> String {
        let text = time.description
        let seconds = text.dropFirst(17).prefix(2) == "00" ? "" : ":\(text.dropFirst(17).prefix(2))"
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5))\(seconds)"
    }

    private static func text(_ schedule: JobSchedule) -> String {
        switch schedule.times {
        case .once(let time): return "once at \(time)"
        case .recurring(let expression):
            let missed =
                switch schedule.catchUp {
                case .dropped: "missed times are left out"
                case .one: "missed times make one batch"
                case .all: "missed times make a batch each"
                }
            let overlap =
                switch schedule.overlap {
                case .allow: "batches may overlap"
                case .skip: "a time is skipped while runs go on"
                case .queue: "a batch waits for the one before"
                }
            return "\(printable(expression.text)) in \(printable(schedule.zone)); \(missed); \(overlap)"
        }
    }
}

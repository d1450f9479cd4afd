package import Isolation

/// When the runs of a job are made: once at a time, or again and again.
///
/// Each time makes one *batch*: a run for every selected combination of its parameters.
package struct JobSchedule: Sendable, Hashable {
    /// The times.
    package enum Times: Sendable, Hashable {
        /// This one.
        case once(Timestamp)
        /// Those of a cron expression.
        case recurring(CronExpression)
    }

    /// What becomes of times that passed while nobody was there to make their runs.
    package enum CatchUp: String, Sendable, Hashable, Codable, CaseIterable {
        /// Nothing.
        case dropped = "none"
        /// All of them together make one batch.
        case one
        /// Each makes a batch, at most the newest thousand.
        case all
    }

    /// What happens at a time at which runs of an earlier batch have not ended.
    package enum Overlap: String, Sendable, Hashable, Codable, CaseIterable {
        /// The new runs start beside them.
        case allow
        /// No batch is made.
        case skip
        /// The new runs start when all earlier ones have ended.
        case queue
    }

    /// When.
    package var times: Times
    /// The IANA time zone of a cron expression.
    package var zone: String
    /// What becomes of missed times; a single time is never dropped.
    package var catchUp: CatchUp
    /// What happens when batches meet.
    package var overlap: Overlap

    /// Makes a schedule.
    package init(_ times: Times, zone: String = "UTC", catchUp: CatchUp = .one, overlap: Overlap = .allow) {
        self.times = times
        self.zone = zone
        self.catchUp = catchUp
        self.overlap = overlap
    }

    /// Whether it goes on for ever.
    package var isRecurring: Bool {
        if case .recurring = times { return true }
        return false
    }

    /// The first of its times after `time`; nil when there is none.
    package func next(after time: Timestamp, in rules: TimeZoneRules) -> Timestamp? {
        switch times {
        case .once(let once): once > time ? once : nil
        case .recurring(let expression): CronTimes(expression, rules).next(after: time)
        }
    }

    /// Its first times after `time`, at most `count`.
    package func times(after time: Timestamp, count: Int, in rules: TimeZoneRules) -> [Timestamp] {
        var found: [Timestamp] = []
        while found.count < count, let next = next(after: found.last ?? time, in: rules) { found.append(next) }
        return found
    }
}

extension JobSchedule {
    /// What is to be done at an instant.
    package struct Due: Sendable, Hashable {
        /// The times for which a batch is made, ascending.
        package var batches: [Timestamp]
        /// The first time after the instant.
        package var next: Timestamp?
    }

    /// A time that lies less than a minute back is not missed.
    package static let punctuality: Int64 = 60_000
    /// Of missed times, at most so many make a batch of their own.
    package static let mostCaughtUp = 1000

    /// What is to be done at `now`, when `next` is the first of its times for which nothing was done yet.
    package func due(from next: Timestamp, at now: Timestamp, in rules: TimeZoneRules) -> Due {
        guard next <= now else { return Due(batches: [], next: next) }
        guard isRecurring else { return Due(batches: [next], next: nil) }
        let passed = passed(from: next, to: now, in: rules)
        let batches: [Timestamp] =
            switch catchUp {
            case .dropped: passed.suffix(1).filter { now.milliseconds - $0.milliseconds < Self.punctuality }
            case .one: Array(passed.suffix(1))
            case .all: passed
            }
        return Due(batches: batches, next: self.next(after: now, in: rules))
    }

    /// The newest times from `first` to `now`, at least as many as may matter.
    private func passed(from first: Timestamp, to now: Timestamp, in rules: TimeZoneRules) -> [Timestamp] {
        let wanted = catchUp == .all ? Self.mostCaughtUp : 1
        // After a long time, or a jump of the clock, only the last of them are walked through.
        for hours in [2, 24, 40 * 24, 400 * 24] as [Int64] {
            let start = Timestamp(milliseconds: now.milliseconds - hours * 3_600_000)
            var found = first > start ? [first] : []
            while let time = next(after: found.last ?? start, in: rules), time <= now { found.append(time) }
            if found.count >= wanted || first > start { return found.suffix(Self.mostCaughtUp) }
        }
        return [first]
    }
}

extension JobSchedule: Codable {
    private enum CodingKeys: String, CodingKey {
        case at, cron, overlap
        case timeZone = "time_zone"
        case catchUp = "catch_up"
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        if let once = try container.decodeIfPresent(Timestamp.self, forKey: .at) {
            times = .once(once)
        } else {
            times = .recurring(try container.decode(CronExpression.self, forKey: .cron))
        }
        zone = try container.decode(String.self, forKey: .timeZone)
        catchUp = try container.decode(CatchUp.self, forKey: .catchUp)
        overlap = try container.decode(Overlap.self, forKey: .overlap)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        switch times {
        case .once(let once): try container.encode(once, forKey: .at)
        case .recurring(let expression): try container.encode(expression, forKey: .cron)
        }
        try container.encode(zone, forKey: .timeZone)
        try container.encode(catchUp, forKey: .catchUp)
        try container.encode(overlap, forKey: .overlap)
    }
}

/// How many batches of a job were made, and when the next one is due.
package struct JobBatches: Sendable, Hashable, Codable {
    /// How many were made.
    package var made: Int
    /// The first time of the schedule for which nothing was done yet; nil when no further batch is made by itself.
    package var next: Timestamp?
    /// When `next` was worked out: a clock that is behind this by hours was set back.
    package var decided: Timestamp?
    /// The times of the schedule for which batches were made, by their numbers; nil for none.
    ///
    /// Kept until all runs of a batch have begun: from then on their directories tell it.
    package var times: [Int: Timestamp]?
    /// The times for which no batch was made because runs went on; nil for none.
    package var skipped: Skipped?

    /// Times for which no batch was made.
    package struct Skipped: Sendable, Hashable, Codable {
        /// How many.
        package var count: Int
        /// The last of them.
        package var last: Timestamp

        /// So many times.
        package init(count: Int, last: Timestamp) {
            self.count = count
            self.last = last
        }
    }

    /// Makes no batch for these times, because runs go on.
    package mutating func skip(_ times: some BidirectionalCollection<Timestamp>) {
        guard let last = times.last else { return }
        skipped = Skipped(count: (skipped?.count ?? 0) + times.count, last: last)
    }

    /// So many batches, and none to come.
    package init(made: Int, next: Timestamp? = nil, decided: Timestamp? = nil, times: [Int: Timestamp]? = nil) {
        self.made = made
        self.next = next
        self.decided = decided
        self.times = times
    }
}

package import Isolation
package import Jobs

extension JobBatches {
    /// What a job begins with that is started at `now`: its runs, or the first time of its schedule; a draft has neither.
    package init(beginning document: JobDocument, at now: Timestamp) throws {
        guard document.will.confirmed != nil else {
            self.init(made: 0)
            return
        }
        guard let schedule = document.schedule else {
            self.init(made: 1)
            return
        }
        self.init(made: 0, next: try schedule.first(after: now), decided: schedule.isRecurring ? now : nil)
    }
}

extension JobSchedule {
    /// The first of its times that is to come at `now`; a single time may be past, and is then due.
    package func first(after now: Timestamp) throws -> Timestamp {
        if case .once(let once) = times { return once }
        guard let next = next(after: now, in: try TimeZoneDirectory().rules(zone)) else {
            throw StoreError(message: "make the schedule: it has no time to come", hint: "name other times")
        }
        return next
    }
}

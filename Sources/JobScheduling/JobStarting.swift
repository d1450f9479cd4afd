package import Isolation
import JobStorage
package import Jobs
import PlainText

extension Store {
    /// Starts a draft at `now`: makes its runs, or sets its schedule going.
    ///
    /// One whose runs cannot be prepared stays a draft.
    package func start(draft job: JobID, at now: Timestamp) throws {
        try change(job) { document in
            guard document.will.confirmed == nil else {
                let name = shellWord(document.name.description)
                throw JobRefusal(
                    message: "start the job `\(document.name)`: it was started before",
                    hint: "`cloche show \(name)` tells of it, and `cloche watch \(name)` follows it")
            }
            _ = try RunPreparation(self, job: job)
            document.will.confirmed = now
            let batches = BatchMaking(self, at: now)
            guard let schedule = document.schedule else {
                try batches.makeBatch(&document, next: nil, event: .confirm)
                return
            }
            if case .once(let once) = schedule.times, once <= now {
                throw JobRefusal(
                    message: "start the job `\(document.name)`: its time \(once) is past",
                    hint: "give it another one by `cloche job edit \(shellWord(document.name.description)) --at TIME`")
            }
            try batches.move(&document, next: schedule.first(after: now), event: .confirm)
        }
    }

    /// Makes a batch of a job at `now`, beside those of its schedule, and gives the numbers of its runs.
    package func trigger(_ job: JobID, at now: Timestamp) throws -> Range<Int> {
        try change(job) { document in
            let record = try database.job(job)
            guard record.state != .draft else {
                throw JobStorageError.refused(record.name.description, .batch(.draft))
            }
            guard document.schedule != nil, !record.state.isFinal else {
                throw JobRefusal(
                    message: "make runs of the job `\(shellWord(record.name.description))`: "
                        + (record.state.isFinal ? "it is \(record.state.rawValue)" : "it has no schedule"),
                    hint: "make another one of it by `cloche job copy \(shellWord(record.name.description))`")
            }
            guard record.state != .paused else {
                throw JobRefusal(
                    message: "make runs of the job `\(shellWord(record.name.description))`: it is paused",
                    hint: "go on with it by `cloche job resume \(shellWord(record.name.description))`")
            }
            if document.schedule?.overlap == .skip, record.counts.pending + record.counts.running > 0 {
                throw JobRefusal(
                    message:
                        "make runs of the job `\(shellWord(record.name.description))`: those of its last batch have not ended",
                    hint:
                        "wait for them, or change that by `cloche job edit \(shellWord(record.name.description)) --overlap queue`"
                )
            }
            return try BatchMaking(self, at: now).makeBatch(&document, next: document.batches.next)
        }
    }

    /// Goes on with a paused job at `now`; times of its schedule that passed meanwhile are left out.
    package func resume(_ job: JobID, at now: Timestamp) throws {
        try change(job) { document in
            document.will.paused = nil
            guard let schedule = document.schedule, let next = document.batches.next else {
                _ = try database.apply(.resume, to: job, at: now)
                return
            }
            let first = schedule.isRecurring && next <= now ? try schedule.first(after: now) : next
            try BatchMaking(self, at: now).move(&document, next: first, event: .resume)
        }
    }
}

/// Something that was asked of a job whose state does not allow it; nothing was changed.
package struct JobRefusal: Error, Sendable, CustomStringConvertible {
    /// What, a colon, and why; safe to show.
    package let message: String
    /// What to do about it.
    package let hint: String

    package var description: String { message }
}

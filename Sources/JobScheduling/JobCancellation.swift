import Isolation
import JobStorage
package import Jobs
import LinuxSystem

/// The wish that a whole job ends, or some of its runs, written where everybody sees it.
package enum JobCancellation {
    /// Cancels a job with the times that were to come, in the database and in its document.
    ///
    /// Throws where the job is in no state for it.
    package static func cancel(_ store: Store, _ job: JobID) throws {
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        try store.change(job) { document in
            _ = try store.database.apply(.cancel, to: job, at: now)
            document.will.cancelled = now
            document.batches.next = nil
        }
    }

    /// Cancels runs of a job, which goes on with the others.
    ///
    /// Throws where one of them is in no state for it.
    package static func cancel(_ store: Store, _ runs: RunNumbers, of job: JobID) throws {
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        try store.change(job) { document in
            for number in runs.numbers { _ = try store.database.cancel(RunAddress(job: job, number: number), at: now) }
            document.will.cancelledRuns = document.will.cancelledRuns.union(runs)
        }
    }

    /// Cancels a job; one that has ended, or is being cancelled, stays as it is.
    static func ask(_ store: Store, _ job: JobID) throws {
        let record = try store.database.job(job)
        if !record.state.isFinal, record.cancelled == nil { try cancel(store, job) }
    }
}

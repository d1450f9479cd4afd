import Isolation
import JobStorage
package import Jobs
import LinuxSystem

/// The wish that a whole job ends, written where everybody sees it.
package enum JobCancellation {
    /// Cancels a job in the database and in its document; one that has ended, or is being cancelled, stays as it is.
    package static func ask(_ store: Store, _ job: JobID) throws {
        let record = try store.database.job(job)
        guard !record.state.isFinal, record.cancelled == nil else { return }
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        try store.change(job) { document in
            _ = try store.database.apply(.cancel, to: job, at: now)
            document.will.cancelled = now
        }
    }
}

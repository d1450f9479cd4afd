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

    /// Cancels a run of a job, which goes on with the others.
    ///
    /// Throws where the run is in no state for it.
    package static func cancel(_ store: Store, _ run: RunAddress) throws {
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        try store.change(run.job) { document in
            _ = try store.database.cancel(run, at: now)
            document.will.cancelledRuns = document.will.cancelledRuns.union(RunNumbers([run.number]))
        }
    }

    /// Cancels those of a job's runs that are in one of these states when it happens, and gives their numbers.
    ///
    /// The job goes on with the others.
    package static func cancel(
        _ store: Store, _ runs: RunNumbers, of job: JobID, in states: Set<RunState>
    ) throws -> RunNumbers {
        try store.change(job) { document in try cancel(runs, in: states, of: store, &document) }
    }

    @discardableResult
    private static func cancel(
        _ runs: RunNumbers, in states: Set<RunState>, of store: Store, _ document: inout JobDocument
    ) throws -> RunNumbers {
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        let cancelled = try store.database.cancel(runs, of: document.uuid, in: states, at: now)
        document.will.cancelledRuns = document.will.cancelledRuns.union(cancelled)
        return cancelled
    }

    /// Ends a job whose time is over, or, where its schedule goes on, the runs that there are.
    static func expire(_ store: Store, _ job: JobID) throws {
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        try store.change(job) { document in
            let ended = try store.database.expire(job, at: now)
            if try store.database.job(job).timedOut == nil {
                document.will.cancelledRuns = document.will.cancelledRuns.union(ended)
            } else {
                document.will.cancelled = now
                document.will.timedOut = now
            }
        }
    }

    /// Cancels a job, or, where its schedule goes on, the runs that there are.
    ///
    /// Who stops a batch does not mean all later ones. One that has ended, or is being cancelled, stays as it is.
    static func ask(_ store: Store, _ job: JobID) throws {
        let record = try store.database.job(job)
        if record.state.isFinal || record.cancelled != nil { return }
        if record.next == nil { return try cancel(store, job) }
        try store.change(job) { document in
            let open = try store.database.runs(of: job, states: [.pending, .running], limit: .max)
            try cancel(RunNumbers(open.map(\.address.number)), in: [.pending, .running], of: store, &document)
        }
    }
}

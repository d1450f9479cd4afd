/// Which run: its job, and its number in the life of the job.
package struct RunAddress: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The job.
    package let job: JobID
    /// From 0, never used again after the run was deleted.
    package let number: Int

    /// Makes an address.
    package init(job: JobID, number: Int) {
        self.job = job
        self.number = number
    }

    /// The identity of the run.
    package var id: RunID { RunID(job: job, number: number) }

    /// The identity of the job, a slash and the number, as a command line takes it.
    package var description: String { "\(job)/\(number)" }

    package static func < (left: RunAddress, right: RunAddress) -> Bool {
        (left.job.description, left.number) < (right.job.description, right.number)
    }
}

package import Jobs

/// What a rebuilt database holds.
package struct RebuildReport: Sendable, Hashable {
    /// A job that had to be given another name, because an older one of the same owner has its name.
    package struct Renaming: Sendable, Hashable {
        /// The job.
        package var job: JobID
        /// What its document calls it.
        package var from: JobName
        /// What it is called now.
        package var to: JobName
    }

    /// How many jobs there are.
    package var jobs = 0
    /// How many runs there are.
    package var runs = 0
    /// The jobs that were given another name.
    package var renamings: [Renaming] = []
    /// The documents that were left out, because another one has the same identity.
    package var duplicates: [JobID] = []
}

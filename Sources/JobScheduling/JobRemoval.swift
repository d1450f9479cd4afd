import JobStorage
package import Jobs
import LinuxSystem
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Removes a job for good: its rows, then its directories; what was begun is finished by a later command.
package enum JobRemoval {
    private static let marker = FilePath("removing")

    /// Removes a job that has ended, or is a draft.
    package static func remove(_ job: JobID, from store: Store) throws {
        // Without the mark, a job whose rows are gone would look like one whose rows are still to be written.
        let directory = store.jobDirectory(job)
        if Syscall.exists(directory) {
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            try Syscall.writeFile(marker, at: opened.number, [])
            try Syscall.fsync(opened.number)
        }
        do throws(JobStorageError) {
            try store.database.delete(job)
        } catch {
            if case .full = error {
                // What there is of it makes room for the database to forget it; the mark tells that it must.
                try removeContents(of: job, in: store.path)
                try store.database.delete(job)
                return try removeDirectories(of: job, in: store.path)
            }
            try? Syscall.unlink(directory.appending(marker.string))
            throw error
        }
        try removeDirectories(of: job, in: store.path)
    }

    /// Whether somebody has begun to remove the job.
    static func hasBegun(_ job: JobID, in store: FilePath) -> Bool {
        Syscall.exists(store.appending("jobs").appending(job.description).appending(marker.string))
    }

    /// Removes the directory of a job whose maker ended before its document was there, and tells whether it was one.
    ///
    /// Nobody may be making it. A job that has runs had a document, and stays.
    static func removeUnmade(_ job: JobID, in store: FilePath) throws -> Bool {
        let name = job.description
        let document = store.appending("jobs").appending(name).appending("job.json")
        if Syscall.exists(document) || Syscall.exists(store.appending("runs").appending(name)) { return false }
        try remove(store.appending("jobs"), name)
        return true
    }

    /// Removes everything of a job but its rows.
    static func removeDirectories(of job: JobID, in store: FilePath) throws {
        try removeContents(of: job, in: store)
        try remove(store.appending("jobs"), job.description)
    }

    /// Removes everything of a job but its rows and the mark that it is being removed.
    private static func removeContents(of job: JobID, in store: FilePath) throws {
        let name = job.description
        try remove(store.appending("runs"), name)
        try remove(store.appending("data").appending("jobs"), name)
        let directory = store.appending("jobs").appending(name)
        if Syscall.exists(directory) {
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            // The mark last, and after a loss of power as well: a document without it is a job that is to be taken up.
            for entry in try Syscall.directoryEntries(opened.number) where entry.path != marker {
                try TreeRemoval.remove(directory: opened.number, name: entry.path)
            }
            try Syscall.fsync(opened.number)
        }
    }

    private static func remove(_ parent: FilePath, _ name: String) throws {
        guard Syscall.exists(parent.appending(name)) else { return }
        let opened = try Syscall.open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try TreeRemoval.remove(directory: opened.number, name: FilePath(name))
    }
}

import Isolation
import JobStorage
package import Jobs
import LinuxSystem
import Runs
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension Store {
    /// Removes the ended runs that a job no longer keeps, with their files and logs; one that goes on is never removed.
    ///
    /// The document first, the rows last: whoever is interrupted leaves rows that the next call takes up.
    func removeRunsBeyondKeep(of job: JobID) throws {
        // A few at a time: who else wants to change the job need not wait for all of them.
        while try !database.runsBeyondKeep(of: job).isEmpty {
            try change(job) { document in
                let old = try database.runsBeyondKeep(of: job).prefix(20).map { try database.run($0) }
                if document.options.keepLogs == true {
                    for run in old { try removeFiles(of: run.address) }
                    return
                }
                for run in old { document.will.remove(RunNumbers([run.address.number]), endedAs: run.state) }
                if !old.isEmpty { try write(document) }
                for run in old {
                    try removeTree(String(run.address.number), in: runsDirectory(job))
                    try database.delete(run.address)
                }
            }
        }
    }

    /// Removes the files of a run that has ended, and keeps what tells of it: logs, verdicts, events, metrics and usage.
    ///
    /// The caller holds the job's document, so that nobody makes the run again meanwhile. Whoever is interrupted leaves
    /// files that the next call removes.
    package func removeFiles(of run: RunAddress) throws {
        guard try database.run(run).state.isFinal else { return }
        let now = Timestamp(seconds: Syscall.wallClockSeconds())
        try runDirectory(run).removeFiles(at: now) { directory, name in
            try TreeRemoval.remove(directory: directory, name: name)
        }
        try database.noteFilesRemoved(of: run, at: now)
    }

    /// Removes a directory of the store with all that is in it; one that is not there is no error.
    package func removeTree(_ name: String, in parent: FilePath) throws {
        guard Syscall.exists(parent.appending(name)) else { return }
        let opened = try Syscall.open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try TreeRemoval.remove(directory: opened.number, name: FilePath(name))
    }
}

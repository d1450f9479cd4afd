import JobStorage
import Jobs
import LinuxSystem
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
                for run in old { document.will.remove(RunNumbers([run.address.number]), endedAs: run.state) }
                if !old.isEmpty { try write(document) }
                for run in old {
                    try removeTree(String(run.address.number), in: runsDirectory(job))
                    try database.delete(run.address)
                }
            }
        }
    }

    /// Removes a directory of the store with all that is in it; one that is not there is no error.
    package func removeTree(_ name: String, in parent: FilePath) throws {
        guard Syscall.exists(parent.appending(name)) else { return }
        let opened = try Syscall.open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        try TreeRemoval.remove(directory: opened.number, name: FilePath(name))
    }
}

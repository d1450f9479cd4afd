import Isolation
package import JobStorage
package import Jobs
import LinuxSystem
import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Makes the database of a store anew from its documents and run directories.
package enum StoreRebuild {
    /// What came of it.
    package struct Report: Sendable {
        /// What the new database holds.
        package var database: RebuildReport
        /// Jobs whose document cannot be read, and why: they are left out, and their directories as they are.
        package var leftOut: [(job: JobID, why: String)]
        /// The old database; nil where there was none.
        package var backup: FilePath?
    }

    /// Rebuilds the database, whatever the old one is like, and keeps that beside it.
    ///
    /// Refuses where another process uses the store, and where a job's document is of a newer format.
    package static func rebuild(_ store: FilePath) throws -> Report {
        guard Syscall.exists(store) else {
            throw StoreError(
                message: "rebuild the database: there is no store `\(store)`", hint: "name another one in CLOCHE_HOME")
        }
        do throws(SyscallError) { try Syscall.requireWriting(store) } catch { throw StoreError(store, error) }
        let use = try StoreUse.alone(store)
        defer { use.end() }
        _ = try HostIdentity.stored(in: store)
        var documents: [JobDocument] = []
        var leftOut: [(job: JobID, why: String)] = []
        for job in try StoreFacts.jobs(store) where !JobRemoval.hasBegun(job, in: store) {
            if try JobRemoval.removeUnmade(job, in: store) { continue }
            do throws(StoreError) {
                documents.append(try Store.document(job, in: store))
            } catch {
                if error.isNewer { throw error }
                leftOut.append((job, error.message))
            }
        }
        documents.sort { ($0.created, $0.uuid.description) < ($1.created, $1.uuid.description) }
        let path = store.appending("cloche.db")
        let backup = try keep(path)
        let facts = StoreFacts(store, try SnapshotStore(store: store))
        let report = try JobDatabase.rebuild(
            path: path.string, from: documents.lazy.map { facts.facts($0) }, parameters: facts.parameters)
        return Report(database: report, leftOut: leftOut, backup: backup)
    }

    /// Gives the files of the database a second name, under which they stay; costs no room on the disk.
    private static func keep(_ path: FilePath) throws -> FilePath? {
        guard Syscall.exists(path) else { return nil }
        let time = Timestamp(seconds: Syscall.wallClockSeconds()).description.prefix(19).filter {
            $0 != ":" && $0 != "-"
        }
        var backup = FilePath("\(path).before-reindex-\(time)Z"), number = 1
        while Syscall.exists(backup) {
            number += 1
            backup = FilePath("\(path).before-reindex-\(time)Z-\(number)")
        }
        for ending in ["", "-wal"] where Syscall.exists(FilePath(path.string + ending)) {
            guard link(path.string + ending, backup.string + ending) == 0 else {
                throw StoreError(
                    message: "keep the old database as `\(backup)`: \(String(cString: strerror(errno)))",
                    hint: "move `\(path)` away yourself, then rebuild")
            }
        }
        return backup
    }
}

/// That a process uses a store's database: many at once may, or one alone that replaces it.
package final class StoreUse: Sendable {
    private let descriptor: CInt

    private init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Uses the store together with others, as long as the value lives; waits while one is alone.
    static func shared(_ store: FilePath) throws(StoreError) -> StoreUse {
        do throws(SyscallError) {
            let directory = try Syscall.open(store.appending("jobs"), O_RDONLY | O_DIRECTORY)
            try Syscall.flock(directory.number, LOCK_SH)
            return StoreUse(directory.release())
        } catch {
            throw StoreError(store, error)
        }
    }

    /// Uses the store alone; others get a few seconds to end.
    static func alone(_ store: FilePath) throws -> StoreUse {
        try Syscall.makeDirectories(store.appending("jobs"), mode: 0o700)
        let directory = try Syscall.open(store.appending("jobs"), O_RDONLY | O_DIRECTORY)
        let deadline = Syscall.monotonicSeconds() + 3
        while true {
            do throws(SyscallError) {
                try Syscall.flock(directory.number, LOCK_EX | LOCK_NB)
                return StoreUse(directory.release())
            } catch {
                guard error.errno == .wouldBlock || error.errno == .resourceTemporarilyUnavailable,
                    Syscall.monotonicSeconds() < deadline
                else {
                    throw StoreError(
                        message: "use the store `\(store)` alone: other commands use it",
                        hint: "wait for them to end, or stop the service and cancel the jobs that run")
                }
            }
            _ = try Syscall.poll([], milliseconds: 50)
        }
    }

    /// Lets others in again.
    func end() { _ = flock(descriptor, LOCK_UN) }
}

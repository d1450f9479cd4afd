package import Jobs
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The lock of whoever drives a job: held as long as the descriptor, so it dies with its process.
package enum JobLock {
    /// Takes the lock, or tells that another process drives the job.
    static func take(_ store: Store, _ job: JobID) throws(StoreError) -> OwnedFileDescriptor {
        if let lock = tryTake(store, job, patience: 50) { return lock }
        throw StoreError(
            message: "drive the job: another process is driving it", hint: "follow it with `cloche watch`")
    }

    /// Takes the lock; nil when another process holds it, or the job is not there any more.
    ///
    /// Who only looks whether it is held holds it for a moment, which is waited for: `patience` is in steps of 2 ms.
    static func tryTake(_ store: Store, _ job: JobID, patience: Int = 5) -> OwnedFileDescriptor? {
        let path = store.jobDirectory(job).appending("lock")
        guard let lock = try? Syscall.open(path, O_RDWR | O_CREAT, mode: 0o600) else { return nil }
        for _ in 0..<patience {
            if (try? Syscall.flock(lock.number, LOCK_EX | LOCK_NB)) != nil { return lock }
            _ = try? Syscall.poll([], milliseconds: 2)
        }
        return nil
    }

    /// Makes a new job's directory and takes its lock, to be held until its rows are there.
    ///
    /// Without them the job would look like one that a killed command left half-made.
    static func hold(_ store: Store, forMaking job: JobID) throws -> OwnedFileDescriptor {
        try Syscall.makeLastingDirectories(store.jobDirectory(job), mode: 0o700)
        return try take(store, job)
    }

    /// Whether a process drives the job, or is about to.
    package static func isHeld(_ store: Store, _ job: JobID) -> Bool {
        isLocked(store.jobDirectory(job).appending("lock"))
    }

    /// Whether somebody holds the file's exclusive lock; several may look at once.
    static func isLocked(_ path: FilePath) -> Bool {
        guard let lock = try? Syscall.open(path, O_RDONLY) else { return false }
        do throws(SyscallError) {
            try Syscall.flock(lock.number, LOCK_SH | LOCK_NB)
            return false
        } catch {
            return true
        }
    }
}

extension Store {
    /// Whether a process goes on with the job: one that drives it, or the service, which will.
    package func isDriven(_ job: JobRecord) -> Bool {
        if JobLock.isHeld(self, job.uuid) { return true }
        return [.pending, .running].contains(job.state) && ServicePlace.isServed(path)
    }

    /// Whether there is something to go on with, and nobody does.
    package func isStopped(_ job: JobRecord) -> Bool {
        !job.state.isFinal && job.state != .draft && job.counts.pending + job.counts.running > 0 && !isDriven(job)
    }
}

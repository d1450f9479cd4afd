import Isolation
import JobStorage
import Jobs
import LinuxSystem
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension Recovery {
    /// Holds the boot in which the database was last compared with the run directories.
    private static let bootFile: FilePath = "boot"

    /// Looks, once a boot, for attempts of which the run directories tell and the database does not: a loss of power can
    /// undo what the database learned last, while verdicts are on the disk before anybody is told of them.
    ///
    /// Gives what a user should know of.
    static func recoverFromPowerLoss(_ store: Store) throws -> [String] {
        let boot = Array(HostBoot.identity().utf8)
        let directory = try Syscall.open(store.path, O_RDONLY | O_DIRECTORY)
        if (try? Syscall.readFile(bootFile, at: directory.number, limit: 4096)) == boot { return [] }
        var found = 0
        var isComplete = true
        for job in try store.database.jobsWithPendingRuns() {
            // Whoever drives the job may be making the attempts that are found.
            guard let lock = JobLock.tryTake(store, job, patience: 1) else {
                isComplete = false
                continue
            }
            defer { withExtendedLifetime(lock) {} }
            found += try recoverAttempts(of: job, in: store)
        }
        if isComplete { try Syscall.replaceFile(bootFile, at: directory.number, boot, mode: 0o600) }
        if found == 0 { return [] }
        return ["the database had lost \(found) attempt\(found == 1 ? "" : "s"), which the run directories told again"]
    }

    private static func recoverAttempts(of job: JobID, in store: Store) throws -> Int {
        // Before its first run a job has no such directory.
        guard let runs = try? Syscall.open(store.runsDirectory(job), O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else {
            return 0
        }
        let known = try store.database.pendingAttempts(of: job)
        var found = 0
        for entry in try Syscall.directoryEntries(runs.number) {
            guard let number = Int(String(decoding: entry.name, as: UTF8.self)), let attempt = known[number] else {
                continue
            }
            let address = RunAddress(job: job, number: number)
            let directory = store.runDirectory(address)
            guard let latest = directory.attempts().last, latest > attempt, !directory.attempt(latest).isHeld() else {
                continue
            }
            let time = directory.attempt(latest).events().first?.time
            guard let run = try store.database.begin(latest, ofPending: address, at: time ?? JobEngine.now()) else {
                continue
            }
            try conclude(store, unwatched: run)
            found += 1
        }
        return found
    }
}

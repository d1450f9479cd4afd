import Cgroups
import Isolation
import JobStorage
import Jobs
import LinuxSystem
import Runs
import SystemPackage

/// Brings the database to what the run directories and the living processes say.
package enum Recovery {
    /// Ends an attempt in the database by the verdict in its directory; where there is none, its supervisor was lost.
    @discardableResult
    static func conclude(_ store: Store, _ run: RunAddress, attempt: Int, lost: String) throws -> RunRecord {
        let directory = store.runDirectory(run)
        let number = directory.attempts().last ?? 0
        let verdict: Verdict
        if number >= attempt, let written = directory.attempt(number).verdict() {
            verdict = written
        } else {
            verdict = Verdict(
                .supervisorLost, "the supervisor of the run ended without a word",
                detail: ["supervisor": .text(lost)],
                remedy: "run it again; if it happens again, see what on this host ends processes")
            if number >= attempt, number > 0 { try directory.attempt(number).conclude(verdict) }
        }
        // Nobody is left who could remove what belonged to the run.
        if verdict.cause == .supervisorLost { _ = CgroupHost.probe().removeStale(alive: { $0 != run.id.description }) }
        if number > attempt { try store.database.beginAttempt(number, of: run) }
        return try store.database.finish(
            run, attempt: max(number, attempt), verdict: verdict, at: Timestamp(seconds: Syscall.wallClockSeconds()))
    }

    /// Looks at every run that the database takes for running and that no living process drives or makes: gives it its
    /// true end.
    ///
    /// Called by every command that opens the store. Gives what the user should know of and nothing depends on.
    package static func reconcile(_ store: Store) throws -> [String] {
        for run in try store.database.runningRuns() {
            if JobLock.isHeld(store, run.address.job) { continue }
            if let attempt = store.runDirectory(run.address).latestAttempt(), attempt.isHeld() { continue }
            try conclude(store, run.address, attempt: run.attempt, lost: "ended while nobody watched")
        }
        try SandboxRegister(store.path).clear()
        return [ScratchPlace.sweep(store.path, store.identity)].compactMap { $0 }
    }
}

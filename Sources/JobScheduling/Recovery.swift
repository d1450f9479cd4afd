import Cgroups
import Isolation
import JobStorage
import Jobs
import LinuxSystem
import Runs
import SandboxRuntime
import SystemPackage

/// Brings the database to what the run directories and the living processes say.
package enum Recovery {
    /// Ends an attempt of which nobody has told the end, by what its directory tells.
    ///
    /// The caller holds the job's lock, and no supervisor lives.
    @discardableResult
    static func conclude(_ store: Store, unwatched run: RunRecord) throws -> RunRecord {
        let directory = store.runDirectory(run.address)
        let number = directory.attempts().last ?? 0
        let attempt = directory.attempt(number)
        if number < run.attempt || (attempt.verdict() == nil && !attempt.hasBegun) {
            // Nothing of it was executed: it is as if it had not been taken from the queue.
            let verdict = Verdict(.interrupted, "the engine ended before the run began")
            if number >= run.attempt { try attempt.conclude(verdict) }
            return try finish(store, run.address, attempt: run.attempt, latest: number, verdict)
        }
        if number > run.attempt { try store.database.beginAttempt(number, of: run.address) }
        try recordSteps(store, run.address, number, attempt)
        var ended: Timestamp?
        if let last = attempt.events().last, case .runEnded = last.occurrence { ended = last.time }
        return try conclude(
            store, run.address, attempt: run.attempt, ended: ended, lost: "ended while nobody watched")
    }

    /// Ends an attempt in the database by the verdict in its directory; where there is none, its supervisor was lost.
    ///
    /// `ended` is when, as its supervisor has told: that can be long ago.
    @discardableResult
    static func conclude(
        _ store: Store, _ run: RunAddress, attempt: Int, ended: Timestamp?, lost: String
    ) throws -> RunRecord {
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
        if verdict.cause == .supervisorLost { removeGroups(of: run) }
        return try finish(store, run, attempt: attempt, latest: number, verdict, ended: ended)
    }

    /// Removes the control groups that a lost supervisor has left, once the last of its processes is gone.
    private static func removeGroups(of run: RunAddress) {
        let host = CgroupHost.probe()
        for _ in 0..<50 {
            guard host.removeStale(alive: { $0 != run.id.description }).left.contains(run.id.description) else {
                return
            }
            // Processes that were killed with it are in their groups until they are reaped.
            _ = try? Syscall.poll([], milliseconds: 10)
        }
    }

    /// Ends a run that was taken from the queue and could not be started.
    static func conclude(_ store: Store, _ run: RunRecord, unstarted error: any Error) throws -> RunRecord {
        let verdict = Verdict(
            .setup, "the run could not be started: \(error)",
            remedy: "`cloche system doctor` tells what this host lacks")
        let directory = store.runDirectory(run.address)
        let number = directory.attempts().last ?? 0
        if number >= run.attempt { try directory.attempt(number).conclude(verdict) }
        return try finish(store, run.address, attempt: run.attempt, latest: number, verdict)
    }

    private static func finish(
        _ store: Store, _ run: RunAddress, attempt: Int, latest number: Int, _ verdict: Verdict,
        ended: Timestamp? = nil
    ) throws -> RunRecord {
        if number > attempt { try store.database.beginAttempt(number, of: run) }
        var time = Timestamp(seconds: Syscall.wallClockSeconds())
        if let ended {
            // Its user's processes could have written the file that tells it.
            time = max(min(ended, time), try store.database.run(run).started ?? ended)
        }
        return try store.database.finish(
            run, attempt: max(number, attempt), verdict: verdict,
            metrics: number > 0 ? store.runDirectory(run).attempt(number).metricsText() : nil,
            at: time)
    }

    /// Writes what an attempt's events tell of its steps.
    static func recordSteps(_ store: Store, _ run: RunAddress, _ number: Int, _ attempt: AttemptDirectory) throws {
        guard let spec = try? store.runDirectory(run).spec() else { return }
        let events = attempt.events()
        let records = spec.steps.enumerated().map { position, step in
            var record = StepRecord(uuid: step.uuid, title: step.name, position: position, attempt: number)
            for event in events { record.apply(event) }
            return record
        }
        try store.database.record(records, of: run)
    }

    /// Looks at every run that the database takes for running and that no living process drives or makes: gives it its
    /// true end.
    ///
    /// Called by every command that opens the store. Gives what the user should know of and nothing depends on.
    package static func reconcile(_ store: Store) throws -> [String] {
        var warnings = try recoverFromPowerLoss(store)
        let runs = try store.database.runningRuns()
        for (job, runs) in Dictionary(grouping: runs, by: \.address.job) where !JobLock.isHeld(store, job) {
            // Whoever begins to drive the job meanwhile does the same.
            guard let lock = JobLock.tryTake(store, job, patience: 1) else { continue }
            defer { withExtendedLifetime(lock) {} }
            for known in runs {
                let run = try store.database.run(known.address)
                guard run.state == .running else { continue }
                if let attempt = store.runDirectory(run.address).latestAttempt(), attempt.isHeld() { continue }
                try conclude(store, unwatched: run)
            }
            do { try store.removeRunsBeyondKeep(of: job) } catch {
                warnings.append("remove runs that are not kept any more: \(error)")
            }
        }
        let taken = try takeUp(store)
        // A database that was made anew knows nobody to tell.
        let unread = try store.takeOverNotifiers()
        try SandboxRegister(store.path).clear()
        return warnings + taken + unread + [ScratchPlace.sweep(store.path, store.identity)].compactMap { $0 }
    }

    /// Finishes what the death of a command left between a job's directory and its rows: takes up a job whose rows were
    /// not written, and removes what is left of one whose rows are gone.
    private static func takeUp(_ store: Store) throws -> [String] {
        let jobs = try StoreFacts.jobs(store.path)
        let known = try store.database.identities()
        guard jobs.count != known.count || !known.isSuperset(of: jobs) else { return [] }
        var told: [String] = []
        var missing: [JobDocument] = []
        // A job that is just being made is locked; looked at again once it is not, it may have its rows.
        for job in jobs where !known.contains(job) && !JobLock.isHeld(store, job) {
            guard (try? store.database.job(job)) == nil else { continue }
            if JobRemoval.hasBegun(job, in: store.path) {
                try JobRemoval.removeDirectories(of: job, in: store.path)
                continue
            }
            // A document that cannot be read, or is not there yet, is no reason to refuse every command.
            if let document = try? store.document(job) { missing.append(document) }
        }
        missing.sort { ($0.created, $0.uuid.description) < ($1.created, $1.uuid.description) }
        var begun = 0
        for document in missing {
            let facts = StoreFacts(store.path, store.snapshots)
            let found = facts.facts(document)
            let report = try store.database.take(found, parameters: facts.parameters)
            guard report.jobs > 0 else { continue }
            // Nobody begins runs of a job before its rows are there: they were, and are gone.
            if !found.runs.isEmpty || !document.will.removed.isEmpty {
                begun += 1
                continue
            }
            let name = report.renamings.first?.to ?? document.name
            told.append("job `\(name)` was left half-made by a command that was killed, and is taken up again")
        }
        if begun > 0 {
            let jobs = begun == 1 ? "1 job was" : "\(begun) jobs were"
            told.append("\(jobs) not in the database, as if that had been removed: made anew from the run directories")
        }
        return told
    }
}

import JobStorage
package import Jobs
import LinuxSystem
import Runs

extension JobEngine {
    /// How many jobs that have nothing running are kept ready for their next run.
    private static let mostIdleJobs = 16

    /// Takes over the runs that are running without an engine; those whose supervisor has ended get their true end.
    func adopt() throws {
        for known in try store.database.runningRuns() where active[known.address] == nil {
            if let only, known.address.job != only { continue }
            guard drive(known.address.job) != nil else {
                // Whoever drives it may end without a word.
                looksAgain = true
                continue
            }
            // Whoever drove it before may just have ended it.
            let run = try store.database.run(known.address)
            guard run.state == .running else { continue }
            guard let attempt = store.runDirectory(run.address).latestAttempt(), attempt.isHeld() else {
                notify(.runEnded(try Recovery.conclude(store, unwatched: run)))
                continue
            }
            guard let supervisor = AdoptedSupervisor(attempt) else {
                // One that is just beginning, or just ending.
                looksAgain = true
                continue
            }
            let number = store.runDirectory(run.address).attempts().last ?? run.attempt
            if number > run.attempt { try store.database.beginAttempt(number, of: run.address) }
            follow(ActiveRun(run.address, supervisor, attempt: number), adopted: true)
        }
    }

    /// Ends the cancelled runs of a job that nobody drives, and starts none.
    ///
    /// Comes back when `isDone`, or after so many seconds. Throws where somebody drives the job after all.
    package static func endCancelled(
        of job: JobID, in store: Store, within seconds: Double, until isDone: @escaping () throws -> Bool
    ) throws {
        let loop = EventLoop()
        var engine: JobEngine?
        defer { engine = nil }
        engine = try JobEngine(store, job: job, limit: 0, loop: loop) { notice in
            // What cannot be read is looked at again by the caller.
            if case .runEnded = notice, (try? isDone()) ?? true { engine?.stop(leaving: true) }
        }
        loop.after(seconds) { engine?.stop(leaving: true) }
        try engine?.run()
    }

    /// Ends the jobs whose time is over, and what runs of them.
    func expire() throws {
        for job in try store.database.jobsOutOfTime(at: Self.now()) where only == nil || only == job {
            guard drive(job) != nil else {
                looksAgain = true
                continue
            }
            try JobCancellation.expire(store, job)
            for run in active.values where run.address.job == job { run.give(.expire) }
            // Those that nobody has adopted yet are asked when they are.
            looksAgain = true
        }
    }

    /// What is known of the steps of a run that begins.
    func preparedSteps(of run: ActiveRun) -> [String: StepRecord] {
        if let preparation = jobs[run.address.job]?.preparation {
            return preparation.stepRecords(attempt: run.attempt)
        }
        guard let spec = try? store.runDirectory(run.address).spec() else { return [:] }
        var records: [String: StepRecord] = [:]
        for (position, step) in spec.steps.enumerated() {
            records[step.uuid] = StepRecord(
                uuid: step.uuid, title: step.name, position: position, attempt: run.attempt)
        }
        return records
    }

    /// Lets go of the jobs that have nothing to do, so that other processes can drive them.
    func releaseIdle() {
        guard only == nil else { return }
        var kept = 0
        for (job, driven) in jobs where driven.active == 0 {
            let record = try? store.database.job(job)
            let isReady = record.map { [.pending, .running].contains($0.state) && $0.counts.pending > 0 } ?? false
            if isReady, driven.preparation != nil, kept < Self.mostIdleJobs {
                kept += 1
            } else {
                jobs[job] = nil
            }
        }
    }
}

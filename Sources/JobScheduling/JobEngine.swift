package import Isolation
import JobStorage
package import Jobs
package import LinuxSystem
import Runs
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Drives jobs to their end: takes runs from the queue, starts their supervisors, and writes what they tell into the
/// database.
///
/// One code for one job in the foreground and for all jobs of a store in the service. A single thread with its event loop.
/// It holds the lock of each job that it drives, so no run is ever made twice: what another process drives is left to it,
/// and looked at again. Supervisors that an engine has left which has ended are adopted.
package final class JobEngine {
    /// What a listener is told, for a display, a log, and followers.
    package enum Notice {
        /// A run has begun, as the attempt of that number, or one that had begun before was adopted.
        case runStarted(RunAddress, attempt: Int, adopted: Bool)
        /// Something happened to a step of a run.
        case event(RunAddress, RunEvent)
        /// A run has its verdict, and the state that follows from it.
        case runEnded(RunRecord)
        /// Something failed that the engine tries again; of that job, or of all.
        case trouble(JobID?, String)
    }

    /// What the engine holds of a job that it drives.
    final class DrivenJob {
        let lock: OwnedFileDescriptor
        var preparation: RunPreparation?
        var active = 0

        init(_ lock: consuming OwnedFileDescriptor) { self.lock = lock }
    }

    let store: Store
    /// The only job, where there is only one.
    let only: JobID?
    private let limit: Int
    /// What it shares with the engines of other stores; nil where it has the host for itself.
    private let slots: RunSlots?
    private let loop: EventLoop
    let notify: (Notice) -> Void
    var jobs: [JobID: DrivenJob] = [:]
    private(set) var active: [RunAddress: ActiveRun] = [:]
    /// Jobs that could not be prepared or that others drive, and when that is looked at again.
    private var setAside: [JobID: Double] = [:], elsewhere: [JobID: Double] = [:]
    /// Whether something has to be looked at again although nobody changed the database.
    var looksAgain = false
    private var seenChanges: Int64 = -1
    /// When the service comes back for a run that waits for another attempt.
    private var retryTimer: Int?
    private var failure: (any Error)?
    private var takesRuns = true
    private let courier: CourierProcess
    private let supervisors = SupervisorSource()
    private var isLeaving = false
    /// Jobs of which it was told that their runs wait for room on the disk.
    var toldOfRoom: Set<JobID> = []

    /// Drives one job; takes its lock.
    ///
    /// `limit` is how many runs are made at once.
    package init(
        _ store: Store, job: JobID, limit: Int, loop: EventLoop, notify: @escaping (Notice) -> Void
    ) throws {
        self.store = store
        only = job
        slots = nil
        self.limit = limit
        self.loop = loop
        self.notify = notify
        courier = CourierProcess(store)
        let driven = DrivenJob(try JobLock.take(store, job))
        driven.preparation = try RunPreparation(store, job: job)
        jobs[job] = driven
        ControlGroups.makeRoom()
    }

    /// Drives all jobs of a store, until it is told to stop; no more than `limit` runs of all jobs run at once, and no
    /// more than the `slots` that it shares with the engines of other stores let it.
    ///
    /// Its runs outlive it.
    package init(
        _ store: Store, limit: Int, slots: RunSlots? = nil, loop: EventLoop, notify: @escaping (Notice) -> Void
    ) {
        self.store = store
        only = nil
        self.limit = limit
        self.slots = slots
        self.loop = loop
        self.notify = notify
        courier = CourierProcess(store)
        ControlGroups.makeRoom()
    }

    /// Whether nothing is left that it would do.
    package var isDone: Bool {
        if failure != nil || isLeaving { return true }
        return active.isEmpty && (only != nil ? !looksAgain : !takesRuns)
    }

    /// Runs until no run of its job is pending or running, or until it was told to stop.
    package func run() throws {
        begin()
        defer {
            // What is being delivered would wait for longer if it was cut off.
            if only != nil { courier.wait(until: Syscall.monotonicSeconds() + 5) }
            end()
        }
        while !isDone { try loop.run() }
        if let failure { throw failure }
    }

    /// Looks at everything, and again whenever something changes, as long as its loop runs.
    package func begin() {
        look()
        tick()
    }

    /// Ends what it has running beside runs: the delivery of notifications.
    func end() { courier.end() }

    /// Asks for the end of the whole job; `force` leaves the commands no time.
    package func cancel(_ job: JobID, force: Bool) {
        attempt(job) { try JobCancellation.ask(store, job) }
        for run in active.values where run.address.job == job { run.give(force ? .kill : .cancel) }
    }

    /// Gives up the runs that it makes, which are pending again, and starts no more: `run` returns when they have ended.
    package func interrupt() {
        takesRuns = false
        looksAgain = false
        for run in active.values { run.give(.interrupt) }
        if isDone { loop.stop() }
    }

    /// Starts no more runs: `run` returns when those that run have ended, or at once when they are `left` to themselves.
    package func stop(leaving left: Bool) {
        takesRuns = false
        isLeaving = isLeaving || left
        if isDone { loop.stop() }
    }

    static func now() -> Timestamp { Timestamp(seconds: Syscall.wallClockSeconds()) }

    /// Does something of which a failure ends a foreground engine; a service tells it, and looks again.
    func attempt(_ job: JobID? = nil, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            looksAgain = true
            if only == nil { return notify(.trouble(job, "\(error)")) }
            if failure == nil { failure = error }
            loop.stop()
        }
    }

    // MARK: Looking

    /// Looks at the whole: what was cancelled, what is to be adopted, what can be started.
    package func look() {
        looksAgain = false
        attempt { seenChanges = try store.database.changesByOthers() }
        if takesRuns || only == nil { attempt { try adopt() } }
        // After that: one that is adopted may have been cancelled before.
        attempt {
            for run in try store.database.cancelledRunningRuns() {
                guard let known = active[run.address], known.order == nil else { continue }
                known.give(try store.database.job(run.address.job).timedOut == nil ? .cancel : .expire)
            }
        }
        fill()
        if isDone { loop.stop() }
    }

    private func tick() {
        if takesRuns || only == nil { attempt { try expire() } }
        attempt {
            if try looksAgain || store.database.changesByOthers() != seenChanges { look() }
        }
        courier.look()
        for run in active.values where run.supervisor.news == nil { readEvents(run) }
        // Ends that could not be written, for want of room on the disk.
        for run in active.values where run.isOver { conclude(run) }
        if isDone { loop.stop() }
        let isIdle = active.isEmpty && only == nil
        if isIdle { supervisors.rest() }
        loop.after(isIdle ? 1 : 0.2) { [weak self] in self?.tick() }
    }

    // MARK: Starting

    func fill() {
        // Whoever has nothing to start after all keeps nobody waiting.
        var ticket = slots?.leave(self)
        guard takesRuns else { return }
        attempt {
            var passed: Set<JobID> = []
            if try waitsForRoom() { return }
            while active.count < limit {
                if let slots, !slots.isOpen(to: self, ticket) {
                    if try !store.database.jobsWithWork(count: 1).isEmpty { slots.wait(self, ticket) }
                    break
                }
                guard let job = try nextJob(passing: &passed) else { break }
                let most = only == nil ? limit : .max
                guard let run = try store.database.claimNextRun(of: job, limit: most, at: Self.now()) else {
                    if only == nil { try waitForRetry() }
                    if try only != nil || store.database.runningCount() >= limit { break }
                    passed.insert(job)
                    continue
                }
                ticket = nil
                start(run)
            }
            // Runs that wait for another attempt.
            if let only, try store.database.nextRetryTime(of: only) != nil { looksAgain = true }
        }
        releaseIdle()
    }

    /// Comes back when the first run may start that waits for another attempt; everything else that lets one start is a
    /// change of the database, or the end of a run.
    private func waitForRetry() throws {
        loop.cancelTimer(retryTimer)
        guard let next = try store.database.nextRetryTime() else { return }
        // A clock that is set back or forth is noticed in half a minute.
        let wait = min(30, max(0.02, next.seconds - Syscall.wallClockSeconds()))
        retryTimer = loop.after(wait) { [weak self] in self?.look() }
    }

    /// The job whose turn it is; one that is driven from here on.
    private func nextJob(passing passed: inout Set<JobID>) throws -> JobID? {
        if let only { return only }
        while true {
            let ready = try store.database.jobsWithWork(count: passed.count + 8)
            let open = ready.filter { !passed.contains($0) }
            for job in open {
                if try prepare(job) { return job }
                passed.insert(job)
                looksAgain = true
            }
            if open.isEmpty { return nil }
        }
    }

    /// Takes a job's lock and reads what its runs need; false when that cannot be done now.
    private func prepare(_ job: JobID) throws -> Bool {
        let now = Syscall.monotonicSeconds()
        if let time = setAside[job], time > now { return false }
        guard let driven = drive(job) else { return false }
        if driven.preparation != nil { return true }
        do {
            driven.preparation = try RunPreparation(store, job: job)
            setAside[job] = nil
            return true
        } catch {
            notify(.trouble(job, "its runs cannot be prepared: \(error)"))
            setAside[job] = now + 30
            return false
        }
    }

    /// The job, if this engine drives it or can begin to.
    func drive(_ job: JobID) -> DrivenJob? {
        if let known = jobs[job] { return known }
        let now = Syscall.monotonicSeconds()
        guard only == nil, elsewhere[job] ?? 0 <= now else { return nil }
        guard let lock = JobLock.tryTake(store, job, patience: 1) else {
            elsewhere[job] = now + 0.5
            return nil
        }
        elsewhere[job] = nil
        let driven = DrivenJob(lock)
        jobs[job] = driven
        return driven
    }

    private func start(_ run: RunRecord) {
        do {
            guard let driven = jobs[run.address.job], let preparation = try driven.preparation?.current() else {
                return
            }
            driven.preparation = preparation
            let directory = try preparation.prepare(run)
            let claim = try directory.claimAttempt(from: run.attempt)
            // Nothing may fail once the supervisor has been started: it would be taken for one that was not.
            if claim.number > run.attempt { try store.database.beginAttempt(claim.number, of: run.address) }
            let supervisor = try SupervisorProcess(
                directory, claim, outlives: only == nil, secrets: preparation.secrets, from: supervisors)
            follow(ActiveRun(run.address, supervisor, attempt: claim.number), adopted: false)
        } catch let error as SyscallError where error.isShortage {
            // None of the run's fault, and likely to pass.
            attempt(run.address.job) {
                try Recovery.conclude(store, unwatched: run)
                setAside[run.address.job] = Syscall.monotonicSeconds() + 5
                throw error
            }
        } catch {
            attempt(run.address.job) { notify(.runEnded(try Recovery.conclude(store, run, unstarted: error))) }
        }
    }

    func follow(_ run: ActiveRun, adopted: Bool) {
        active[run.address] = run
        jobs[run.address.job]?.active += 1
        notify(.runStarted(run.address, attempt: run.attempt, adopted: adopted))
        if let news = run.supervisor.news { loop.watch(news) { [weak self] in self?.readEvents(run) } }
        loop.watch(run.supervisor.end) { [weak self] in self?.supervisorEnded(run) }
        if adopted { readEvents(run) }
    }

    // MARK: Ending

    private func readEvents(_ run: ActiveRun) {
        while let events = run.nextEvents() {
            if events.isEmpty { return }
            attempt(run.address.job) {
                do {
                    try record(events, of: run)
                } catch {
                    run.isIncomplete = true
                    throw error
                }
            }
            for event in events { notify(.event(run.address, event)) }
        }
        if let news = run.supervisor.news { loop.unwatch(news) }
    }

    /// Writes what events tell of steps, in one transaction: what a supervisor tells at once was on its disk at once.
    private func record(_ events: [RunEvent], of run: ActiveRun) throws {
        var changed: Set<String> = []
        for event in events {
            switch event.occurrence {
            case .runStarted:
                run.steps = preparedSteps(of: run)
                changed.formUnion(run.steps.keys)
            case .stepStarted(let step), .stepEnded(let step, _, _):
                if run.steps[step]?.apply(event) != nil { changed.insert(step) }
            case .keeping(.kept(let kept)):
                if run.steps[kept.step]?.apply(event) != nil { changed.insert(kept.step) }
            case .runEnded: run.ended = event.time
            case .keeping: break
            }
        }
        try store.database.record(changed.compactMap { run.steps[$0] }, of: run.address)
    }

    private func supervisorEnded(_ run: ActiveRun) {
        guard let outcome = run.supervisor.outcome() else { return }
        loop.unwatch(run.supervisor.end)
        readEvents(run)
        if let news = run.supervisor.news { loop.unwatch(news) }
        run.outcome = outcome
        conclude(run)
        fill()
        if isDone { loop.stop() }
    }

    private func conclude(_ run: ActiveRun) {
        attempt(run.address.job) {
            if run.isIncomplete {
                let attempt = store.runDirectory(run.address).attempt(run.attempt)
                try Recovery.recordSteps(store, run.address, run.attempt, attempt)
            }
            let record = try Recovery.conclude(
                store, run.address, attempt: run.attempt, ended: run.ended, lost: run.outcome ?? "unknown")
            active[run.address] = nil
            jobs[run.address.job]?.active -= 1
            notify(.runEnded(record))
            slots?.offer()
            if record.state.isFinal { try store.removeRunsBeyondKeep(of: run.address.job) }
        }
    }
}

extension SyscallError {
    /// Whether the host has too little of something now.
    fileprivate var isShortage: Bool {
        [.tooManyOpenFiles, .tooManyOpenFilesInSystem, .noMemory, .resourceTemporarilyUnavailable, .noSpace].contains(
            errno)
    }
}

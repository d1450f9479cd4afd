package import Isolation
import JobStorage
package import Jobs
package import LinuxSystem
import Pipelines
import Runs
import SandboxRuntime
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Drives one job to its end in the calling process: takes runs from the queue, starts their supervisors, and writes
/// what they tell into the database.
///
/// A single thread with its event loop. While it drives a job it holds the job's lock, so no run is ever made twice.
package final class JobEngine {
    /// What a listener is told, for a progress display.
    package enum Notice {
        /// A run has begun, as the attempt of that number.
        case runStarted(RunAddress)
        /// Something happened to a step of a run.
        case event(RunAddress, RunEvent)
        /// A run has its verdict, and the state that follows from it.
        case runEnded(RunRecord)
    }

    private final class Active {
        let address: RunAddress
        let supervisor: SupervisorProcess
        var attempt: Int
        var lines: [UInt8] = []
        var cancelSent = false

        init(_ address: RunAddress, _ supervisor: consuming SupervisorProcess, attempt: Int) {
            self.address = address
            self.supervisor = supervisor
            self.attempt = attempt
        }
    }

    private let store: Store
    private let job: JobID
    private let preparation: RunPreparation
    private let limit: Int
    private let loop: EventLoop
    private let notify: (Notice) -> Void
    private var active: [Int: Active] = [:]
    private var steps: [Int: [String: StepRecord]] = [:]
    private var failure: (any Error)?
    private var isInterrupted = false
    private let lock: OwnedFileDescriptor

    /// Takes the job's lock.
    ///
    /// `limit` is how many runs are made at once.
    package init(
        _ store: Store, job: JobID, limit: Int, loop: EventLoop, notify: @escaping (Notice) -> Void
    ) throws {
        self.store = store
        self.job = job
        self.limit = limit
        self.loop = loop
        self.notify = notify
        preparation = try RunPreparation(store, job: job)
        lock = try JobLock.take(store, job)
        ControlGroups.makeRoom()
    }

    /// Runs until no run is pending or running, and gives the job as it is then.
    package func run() throws -> JobRecord {
        fill()
        loop.after(0.2) { self.lookForCancellation() }
        while !active.isEmpty, failure == nil { try loop.run() }
        if let failure { throw failure }
        return try store.database.job(job)
    }

    /// Asks for the end of the whole job; `force` leaves the commands no time.
    package func cancel(force: Bool) {
        attempt {
            let record = try store.database.job(job)
            if !record.state.isFinal, record.cancelled == nil {
                _ = try store.database.apply(.cancel, to: job, at: Self.now())
                var document = try store.document(job)
                document.will.cancelled = Self.now()
                try store.write(document)
            }
        }
        for run in active.values {
            run.cancelSent = true
            run.supervisor.cancel(force: force)
        }
    }

    /// Gives up the runs that it makes, which are pending again, and starts no more: `run` returns when they have ended.
    package func interrupt() {
        isInterrupted = true
        for run in active.values { run.supervisor.interrupt() }
    }

    private static func now() -> Timestamp { Timestamp(seconds: Syscall.wallClockSeconds()) }

    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            if failure == nil { failure = error }
            loop.stop()
        }
    }

    private func fill() {
        attempt {
            while !isInterrupted, active.count < limit,
                let run = try store.database.claimNextRun(of: job, limit: 10_000, at: Self.now())
            {
                try start(run)
            }
        }
        if active.isEmpty { loop.stop() }
    }

    private func start(_ run: RunRecord) throws {
        let directory = try preparation.prepare(run)
        let supervisor = try SupervisorProcess.start(directory.path)
        let process = supervisor.process.number
        let events = supervisor.events.number
        active[run.address.number] = Active(run.address, supervisor, attempt: run.attempt)
        loop.watch(events) { self.readEvents(run.address.number) }
        loop.watch(process) { self.supervisorEnded(run.address.number) }
        notify(.runStarted(run.address))
    }

    private func readEvents(_ number: Int) {
        guard let run = active[number] else { return }
        let descriptor = run.supervisor.events.number
        guard let bytes = try? Syscall.read(descriptor, upTo: 65536), !bytes.isEmpty else {
            loop.unwatch(descriptor)
            return
        }
        run.lines += bytes
        var parts = run.lines.split(separator: 0x0A, omittingEmptySubsequences: false)
        run.lines = Array(parts.removeLast())
        for part in parts {
            guard let event = JSONFile.decode(RunEvent.self, Array(part)) else { continue }
            apply(event, to: run)
            notify(.event(run.address, event))
        }
    }

    private func apply(_ event: RunEvent, to run: Active) {
        attempt {
            switch event.occurrence {
            case .runStarted(let attempt):
                if attempt > run.attempt {
                    try store.database.beginAttempt(attempt, of: run.address)
                    run.attempt = attempt
                }
                let records = preparation.stepRecords(attempt: run.attempt)
                steps[run.address.number] = records
                try store.database.record(Array(records.values), of: run.address)
            case .stepStarted(let step), .stepEnded(let step, _, _):
                guard var record = steps[run.address.number]?[step] else { return }
                record.apply(event)
                steps[run.address.number]?[step] = record
                try store.database.record([record], of: run.address)
            case .runEnded:
                break
            }
        }
    }

    private func supervisorEnded(_ number: Int) {
        guard let run = active[number], let result = try? run.supervisor.process.wait(block: false) else { return }
        loop.unwatch(run.supervisor.process.number)
        readEvents(number)
        loop.unwatch(run.supervisor.events.number)
        attempt {
            let record = try Recovery.conclude(store, run.address, attempt: run.attempt, lost: "\(result.end)")
            steps[number] = nil
            active[number] = nil
            notify(.runEnded(record))
        }
        fill()
    }

    private func lookForCancellation() {
        attempt {
            for run in try store.database.cancelledRunningRuns() where run.address.job == job {
                guard let running = active[run.address.number], !running.cancelSent else { continue }
                running.cancelSent = true
                running.supervisor.cancel(force: false)
            }
        }
        loop.after(0.2) { self.lookForCancellation() }
    }
}

/// The lock of whoever drives a job: held as long as the descriptor, so it dies with its process.
package enum JobLock {
    /// Takes the lock, or tells that another process drives the job.
    static func take(_ store: Store, _ job: JobID) throws -> OwnedFileDescriptor {
        let path = store.jobDirectory(job).appending("lock")
        let lock = try Syscall.open(path, O_RDWR | O_CREAT, mode: 0o600)
        do throws(SyscallError) {
            try Syscall.flock(lock.number, LOCK_EX | LOCK_NB)
        } catch {
            throw StoreError(
                message: "drive the job: another process is driving it", hint: "follow it with `cloche watch`")
        }
        return lock
    }

    /// Whether a process drives the job.
    package static func isHeld(_ store: Store, _ job: JobID) -> Bool {
        guard let lock = try? Syscall.open(store.jobDirectory(job).appending("lock"), O_RDWR) else { return false }
        do throws(SyscallError) {
            try Syscall.flock(lock.number, LOCK_EX | LOCK_NB)
            return false
        } catch {
            return true
        }
    }
}

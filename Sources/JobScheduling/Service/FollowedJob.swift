import Isolation
import JobStorage
package import Jobs
package import LinuxSystem
import PlainText
import Runs

/// Who carries a job to its end, from the side of whoever shows it.
package protocol JobDriver: AnyObject {
    /// Returns when nothing of the job is left to do, or nobody goes on with it here.
    func run() throws
    /// Asks for the end of the job; `force` leaves the commands no time.
    func cancel(_ job: JobID, force: Bool)
    /// Gives up driving, or following.
    func interrupt()
}

extension JobEngine: JobDriver {}

/// A job that the service drives.
package final class FollowedJob: JobDriver {
    /// How long a service may be away, in seconds: one that is started again goes on.
    private static let patience = 20.0
    /// How long it is away before that is told.
    private static let silence = 2.0

    private let store: Store
    private let place: ServicePlace
    private let job: JobID
    /// Runs that had not ended when the job was handed over; nil is all.
    private let handedOver: RunNumbers?
    private let loop: EventLoop
    private let notify: (JobEngine.Notice) -> Void
    private var client: ServiceClient
    private var running: [Int: EventReader] = [:]
    private var told: Set<Int> = []
    private var isLeft = false
    private var isAlone = false
    private var failure: (any Error)?

    /// Follows a job by a connection that has been made.
    ///
    /// Of the runs that were `handedOver`, those that have ended meanwhile are told of as well.
    package init(
        _ store: Store, place: ServicePlace, job: JobID, handedOver: RunNumbers?, client: ServiceClient,
        loop: EventLoop, notify: @escaping (JobEngine.Notice) -> Void
    ) {
        self.store = store
        self.place = place
        self.job = job
        self.handedOver = handedOver
        self.client = client
        self.loop = loop
        self.notify = notify
    }

    package func run() throws {
        try follow()
        watchState()
        while try !isLeft && failure == nil && !isDone() { try loop.run() }
        read()
        loop.unwatch(client.number)
        if let failure { throw failure }
        if !isLeft { try tellEnded() }
    }

    package func cancel(_ job: JobID, force: Bool) {
        attempt {
            try JobCancellation.ask(store, job)
            guard let other = try ServiceClient.connect(place) else { return }
            if force { try other.kill(job) } else { try other.wake() }
        }
    }

    package func interrupt() {
        isLeft = true
        loop.stop()
    }

    private func isDone() throws -> Bool {
        let record = try store.database.job(job)
        return record.counts.running == 0 && (record.counts.pending == 0 || record.state == .paused)
    }

    private func attempt(_ body: () throws -> Void) {
        do {
            try body()
        } catch {
            failure = error
            loop.stop()
        }
    }

    private func follow() throws {
        try client.follow(job)
        loop.watch(client.number) { [weak self] in self?.read() }
        read()
        try tellEnded()
    }

    /// Tells of the runs that ended before the service told of them.
    private func tellEnded() throws {
        for run in try store.database.runs(of: job, limit: .max) where run.state.isFinal {
            let number = run.address.number
            guard !told.contains(number), handedOver?.contains(number) ?? true || running[number] != nil else {
                continue
            }
            if running[number] == nil, run.attempt > 0 { begin(number, attempt: run.attempt) }
            try end(number)
        }
    }

    private func read() {
        guard let messages = client.messages() else {
            loop.unwatch(client.number)
            isAlone = true
            loop.after(Self.silence) { [weak self] in self?.tellAbsence() }
            return reconnect(until: Syscall.monotonicSeconds() + Self.patience)
        }
        for message in messages { attempt { try take(message) } }
    }

    private func take(_ message: ServiceMessage) throws {
        switch (message.message, message.run) {
        case (.problem, _): notify(.trouble(job, message.text ?? ""))
        case (.runStarted, let number?):
            told.remove(number)
            if running[number] == nil { begin(number, attempt: message.attempt ?? 1) }
        case (.event, let number?): readEvents(number)
        case (.runEnded, let number?):
            if !told.contains(number) { try end(number) }
            loop.stop()
        case (.ok, _), (.runStarted, nil), (.event, nil), (.runEnded, nil): break
        }
    }

    private func begin(_ number: Int, attempt: Int) {
        let run = RunAddress(job: job, number: number)
        running[number] = EventReader(store.runDirectory(run).attempt(attempt))
        notify(.runStarted(run, attempt: attempt, adopted: false))
        readEvents(number)
    }

    private func readEvents(_ number: Int) {
        for event in running[number]?.next() ?? [] { notify(.event(RunAddress(job: job, number: number), event)) }
    }

    private func end(_ number: Int) throws {
        readEvents(number)
        running[number] = nil
        let run = try store.database.run(RunAddress(job: job, number: number))
        if run.state.isFinal { told.insert(number) }
        notify(.runEnded(run))
    }

    /// The service has gone; the next one goes on with the job.
    private func reconnect(until deadline: Double) {
        attempt {
            if try isDone() {
                try tellEnded()
                return loop.stop()
            }
            if let next = try ServiceClient.connect(place) {
                client = next
                isAlone = false
                return try follow()
            }
            guard Syscall.monotonicSeconds() < deadline else {
                throw try ended()
            }
            loop.after(0.1) { [weak self] in self?.reconnect(until: deadline) }
        }
    }

    private func tellAbsence() {
        guard isAlone else { return }
        notify(.trouble(job, "the service has ended, and no other one has begun"))
    }

    private func ended() throws -> ServiceError {
        let record = try store.database.job(job)
        let running = record.counts.running > 0 ? "what runs goes on by itself; " : ""
        return ServiceError(
            .absent, "follow the job: the service has ended",
            hint: "\(running)start a service by `cloche serve`, or go on by `cloche job start "
                + "\(shellWord(record.name.description))`")
    }

    /// What changes without a run that ends, such as a job that is paused or cancelled before its turn.
    private func watchState() {
        loop.stop()
        loop.after(0.5) { [weak self] in self?.watchState() }
    }
}

import Isolation
import JobStorage
import Jobs
package import LinuxSystem
import Pipelines
import PlainText
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The service of a store: drives all its jobs, and answers clients over a socket.
///
/// There is one at most, by the store's lock. Its runs outlive it, and are adopted by whoever drives their jobs next.
package final class JobService {
    private final class Client {
        let connection: LineConnection
        /// The job that it follows.
        var followed: JobID?

        init(_ connection: LineConnection) { self.connection = connection }
    }

    private static let mostClients = 1000
    private static let longestWait = 30.0

    private let store: Store
    private let limit: Int
    private let manager: ServiceManager
    private let log: (String) -> Void
    private let slots: RunSlots?
    private let loop: EventLoop
    /// Held as long as it lives.
    private let lock: OwnedFileDescriptor
    private let socket: OwnedFileDescriptor
    private let path: FilePath
    private let since = JobEngine.now()
    private(set) var engine: JobEngine?
    private var clients: [CInt: Client] = [:]
    private var names: [JobID: String] = [:]
    /// What failed last: when it was met, and when it was said.
    private var trouble: (text: String, met: Double, said: Double)?
    private var isDraining = false
    private var scheduleTimer: Int?

    /// Told when it begins to stop, and whether running runs are to end first.
    var onStop: ((_ drain: Bool) -> Void)?

    /// Becomes the service of a store that lets `limit` runs run at once, or tells who is.
    ///
    /// `log` gets one line for each thing that happens. Services of several stores in one process have one `loop`, and
    /// share `slots`.
    package init(
        _ store: Store, place: ServicePlace, limit: Int, manager: ServiceManager, slots: RunSlots? = nil,
        loop: EventLoop = EventLoop(), log: @escaping (String) -> Void
    ) throws {
        self.store = store
        self.limit = limit
        self.manager = manager
        self.slots = slots
        self.loop = loop
        self.log = log
        let lock = try place.take().release()
        self.lock = OwnedFileDescriptor(adopting: lock)
        let socket = try place.listen(lock)
        self.socket = OwnedFileDescriptor(adopting: socket.listener)
        path = socket.path
    }

    /// Serves until a signal or a client ends it, and the services that share its loop have ended as well.
    package func run(others isAlone: () -> Bool = { true }) throws {
        let signals = try Syscall.signalDescriptor([SIGTERM, SIGINT, SIGHUP])
        loop.watch(signals.number) { [weak self] in
            while Syscall.nextSignal(signals.number) != nil { self?.stop(drain: false) }
        }
        feedWatchdog()
        log("serving the store `\(store.path)`, process \(getpid()), runs at a time: \(limit), at \(path)")
        manager.tell("READY=1\nMAINPID=\(getpid())\nSTATUS=serving \(store.path)")
        begin()
        defer { end() }
        while !isDone || !isAlone() { try loop.run() }
        let left = engine?.active.count ?? 0
        log(left == 0 ? "ended" : "ended; runs that go on, for the next service to adopt: \(left)")
        // Named here, so that it lives until now.
        _ = signals.number
    }

    /// Begins to serve, as long as the loop runs.
    func begin() {
        loop.watch(socket.number) { [weak self] in self?.accept() }
        engine = JobEngine(store, limit: limit, slots: slots, loop: loop) { [weak self] in self?.notice($0) }
        schedule()
        engine?.begin()
    }

    /// Whether it was told to stop, and nothing is left to wait for.
    var isDone: Bool { engine?.isDone ?? true }

    /// Takes its socket away; one that stays is replaced by the next service.
    func end() {
        try? Syscall.unlink(path)
        engine?.end()
    }

    /// Looks at everything: what schedules ask for, and what there is to drive.
    func look() {
        if !isDraining { schedule() }
        engine?.look()
    }

    /// Goes by what its user keeps on the disk, which has just been measured.
    func lookAtRoom() {
        engine?.endRunsForRoom()
        // Who has less than before may go on.
        look()
    }

    /// Does what schedules ask for, and comes back for the next thing; a clock that is set is noticed in half a minute.
    private func schedule() {
        loop.cancelTimer(scheduleTimer)
        var wait = Self.longestWait
        do {
            let now = JobEngine.now()
            if let next = try ScheduleKeeper(store).advance(at: now) {
                wait = min(wait, max(0.01, next.seconds - now.seconds))
            }
        } catch {
            notice(.trouble(nil, "schedules: \(error)"))
        }
        scheduleTimer = loop.after(wait) { [weak self] in self?.look() }
    }

    /// Starts no more runs, and ends: at once, or when those that run have ended (`drain`).
    func stop(drain: Bool) {
        onStop?(drain)
        if !isDraining { manager.tell("STOPPING=1") }
        if drain, !isDraining { log("draining: no new runs, and the end when those that run have ended") }
        isDraining = true
        loop.cancelTimer(scheduleTimer)
        engine?.stop(leaving: !drain)
    }

    private func feedWatchdog() {
        guard let interval = manager.interval else { return }
        manager.tell("WATCHDOG=1")
        loop.after(interval) { [weak self] in self?.feedWatchdog() }
    }

    // MARK: What happens

    private func notice(_ notice: JobEngine.Notice) {
        switch notice {
        case .runStarted(let run, let attempt, let adopted):
            log("\(name(run)): \(adopted ? "adopted" : "started")\(attempt > 1 ? ", attempt \(attempt)" : "")")
            tell(run.job, .init(message: .runStarted, run: run.number, attempt: attempt))
        case .event(let run, _):
            tell(run.job, .init(message: .event, run: run.number))
        case .runEnded(let run):
            let summary = run.verdict.map { run.state == .succeeded ? "" : ": \(printable($0.summary))" } ?? ""
            log("\(name(run.address)): \(run.state == .pending ? "pending again" : run.state.rawValue)\(summary)")
            tellEnd(of: run.address.job)
            tell(run.address.job, .init(message: .runEnded, run: run.address.number))
        case .trouble(let job, let text):
            let text = (job.map { "job \(name($0)): " } ?? "") + printable(text)
            let now = Syscall.monotonicSeconds()
            // What fails may be tried again each second; once a minute is enough to say so.
            if let known = trouble, known.text == text, known.said + 60 > now {
                trouble?.met = now
                return
            }
            trouble = (text, now, now)
            log("problem: \(text)")
            if let job { tell(job, .init(message: .problem, text: text)) }
        }
    }

    private func tellEnd(of job: JobID) {
        guard let record = try? store.database.job(job), record.state.isFinal else { return }
        let counts = record.counts
        let parts = [(counts.succeeded, "succeeded"), (counts.failed, "failed"), (counts.cancelled, "cancelled")]
        let text = parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        log("job \(name(job)): \(record.state.rawValue)\(text.isEmpty ? "" : " (\(text))")")
        names[job] = nil
    }

    private func name(_ run: RunAddress) -> String { "run \(name(run.job))/\(run.number)" }

    private func name(_ job: JobID) -> String {
        if let known = names[job] { return known }
        let name = (try? store.database.job(job).name.description) ?? job.description
        names[job] = printable(name)
        return printable(name)
    }

    // MARK: Clients

    private func accept() {
        do throws(SyscallError) {
            while let socket = try Syscall.accept(self.socket.number) {
                // The directory keeps others out already.
                guard let user = try? Syscall.peerUser(socket.number), user == geteuid() || user == 0,
                    clients.count < Self.mostClients
                else { continue }
                let number = socket.number
                let client = Client(LineConnection(socket, longest: ServiceRequest.longest))
                clients[number] = client
                loop.watch(number) { [weak self] in self?.read(client) }
            }
        } catch {
            // Out of descriptors: those who wait are accepted when others have gone.
            loop.unwatch(socket.number)
            loop.after(1) { [weak self] in
                guard let self else { return }
                self.loop.watch(self.socket.number) { [weak self] in self?.accept() }
            }
        }
    }

    private func read(_ client: Client) {
        guard let lines = client.connection.lines() else { return drop(client) }
        for line in lines { answer(client, line) }
    }

    private func answer(_ client: Client, _ line: [UInt8]) {
        guard let request = JSONFile.decode(ServiceRequest.self, line) else {
            return send(client, ServiceMessage(message: .problem, text: "the request is not understood"))
        }
        let job = request.job.flatMap(JobID.init)
        switch (request.request, job) {
        case (.wake, let job):
            look()
            let isElsewhere = job.map { engine?.jobs[$0] == nil && JobLock.isHeld(store, $0) }
            return send(client, ServiceMessage(message: .ok, isElsewhere: isElsewhere))
        case (.status, _): return send(client, status())
        case (.follow, let job?):
            look()
            client.followed = job
            send(client, ServiceMessage(message: .ok))
            return tellPresent(client, job)
        case (.kill, let job?): engine?.cancel(job, force: true)
        case (.stop, _): stop(drain: request.drain ?? false)
        case (.follow, nil), (.kill, nil):
            return send(client, ServiceMessage(message: .problem, text: "the request names no job"))
        }
        send(client, ServiceMessage(message: .ok))
    }

    /// Tells who begins to follow what is going on already.
    private func tellPresent(_ client: Client, _ job: JobID) {
        for run in (engine?.active ?? [:]).values where run.address.job == job {
            send(client, ServiceMessage(message: .runStarted, run: run.address.number, attempt: run.attempt))
        }
    }

    private func status() -> ServiceStatus {
        let runs = (engine?.active ?? [:]).values.sorted { $0.address < $1.address }.map { run in
            ServiceStatus.Run(job: name(run.address.job), index: run.address.number, attempt: run.attempt)
        }
        // Whatever fails is tried again within 30 seconds.
        let trouble = trouble.flatMap { $0.met + 45 > Syscall.monotonicSeconds() ? $0.text : nil }
        return ServiceStatus(
            pid: getpid(), since: since, maxParallel: limit, draining: isDraining, runs: runs, trouble: trouble)
    }

    private func tell(_ job: JobID, _ message: ServiceMessage) {
        for client in clients.values where client.followed == job { send(client, message) }
    }

    private func send(_ client: Client, _ message: some Encodable) {
        guard clients[client.connection.number] === client, let line = JSONFile.encode(message) else { return }
        guard client.connection.send(line) else { return drop(client) }
        if client.connection.hasUnsent {
            loop.watchWriting(client.connection.number) { [weak self] in self?.flush(client) }
        }
    }

    private func flush(_ client: Client) {
        guard client.connection.flush() else { return drop(client) }
        if !client.connection.hasUnsent { loop.unwatchWriting(client.connection.number) }
    }

    private func drop(_ client: Client) {
        let number = client.connection.number
        loop.unwatch(number)
        loop.unwatchWriting(number)
        clients[number] = nil
    }
}

import Isolation
import LinuxSystem
import Pipelines
import PlainText
import Runs
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A service that other users of the host share: it drives the jobs of its own store and of one store for each of them.
///
/// Whoever may connect to its socket is a user, known by SO_PEERCRED and by nothing that he says. The service itself reads
/// nothing of what he sends: each connection gets a process of its own (`ClientAttendance`).
package final class SharedService {
    /// What the service lets others do.
    package struct Options: Sendable {
        /// Where it listens for them.
        package var socket: FilePath
        /// The only group whose members may connect; nil lets everybody.
        package var group: UInt32?
        /// How many connections a user may have at once.
        package var connections: Int
        /// How many runs of a user run at once; nil is as many as of all.
        package var parallel: Int?
        package var settings: SharingSettings

        /// Shares a service at a socket.
        package init(
            socket: FilePath, group: UInt32?, connections: Int, parallel: Int?, settings: SharingSettings
        ) {
            self.socket = socket
            self.group = group
            self.connections = connections
            self.parallel = parallel
            self.settings = settings
        }
    }

    /// Connections of all users at once, and new ones of one user in a second.
    private static let mostConnections = 512, mostInSecond = 50
    /// Connections that are taken at once, before others have their turn.
    private static let mostInTurn = 32

    private final class Attendance {
        let process: ProcessHandle
        let user: UInt32

        init(_ process: consuming ProcessHandle, user: UInt32) {
            self.process = process
            self.user = user
        }
    }

    private let store: Store
    private let place: (FilePath) -> ServicePlace
    private let options: Options
    private let limit: Int
    private let log: (String) -> Void
    private let loop = EventLoop()
    private let slots: RunSlots
    private let service: JobService
    private let listener: OwnedFileDescriptor
    private var measuring: StoreMeasuring?
    private var owners: [UInt32: JobService] = [:]
    private var attendances: [CInt: Attendance] = [:]
    private var connections: [UInt32: Int] = [:]
    private var recent: [UInt32: (since: Double, count: Int, isTold: Bool)] = [:]
    private var isStopping = false

    /// Becomes the service of a store and of those that it keeps for others; `place` tells where each is found.
    package init(
        _ store: Store, place: @escaping (FilePath) -> ServicePlace, limit: Int, options: Options,
        manager: ServiceManager, log: @escaping (String) -> Void
    ) throws {
        guard store.owner == nil else {
            throw ServiceError(
                .unusable,
                "share the store `\(store.path)`: a service keeps it for the user \(store.owner?.text ?? "")",
                hint: "share the store of the service itself")
        }
        self.store = store
        self.place = place
        self.options = options
        self.limit = limit
        self.log = log
        slots = RunSlots(limit: limit, loop: loop)
        service = try JobService(
            store, place: place(store.path), limit: limit, manager: manager, slots: slots, loop: loop, log: log)
        listener = try SharedSocket.listen(at: options.socket, group: options.group)
        service.onStop = { [weak self] in self?.stop(drain: $0) }
        slots.count { [weak service = self.service] in service?.engine }
        measuring = StoreMeasuring(loop) { [weak self] in self?.owners[$0]?.lookAtRoom() }
    }

    /// Serves until a signal, or a command of the store's owner, ends it.
    package func run() throws {
        for (owner, path) in try StoreOwner.all(in: store.path) { attempt(owner) { try serve(owner, path) } }
        loop.watch(listener.number) { [weak self] in self?.accept() }
        let users = owners.isEmpty ? "" : ", for \(owners.count) users so far"
        log("sharing it at \(options.socket)\(users)")
        defer {
            // Nobody connects to one that has ended; one that stays is replaced by the next service.
            try? Syscall.unlink(options.socket)
            for attendance in attendances.values { try? attendance.process.signal(SIGTERM) }
            for owner in owners.values { owner.end() }
            measuring?.end()
        }
        try service.run { owners.values.allSatisfy(\.isDone) }
    }

    private func stop(drain: Bool) {
        if !isStopping { loop.unwatch(listener.number) }
        isStopping = true
        for owner in owners.values { owner.stop(drain: drain) }
    }

    // MARK: Owners

    private func serve(_ owner: StoreOwner, _ path: FilePath) throws {
        let name = owner.text
        var store = try Store.open(path)
        store.quota = options.settings.quota(of: owner.user)
        store.quota?.isMeasuredElsewhere = true
        let service = try JobService(
            store, place: place(path), limit: min(limit, options.parallel ?? limit),
            manager: ServiceManager(socket: nil, interval: nil), slots: slots, loop: loop
        ) { [log] in log("\(name): \($0)") }
        for warning in try Recovery.reconcile(store) { log("\(name): warning: \(printable(warning))") }
        slots.count { [weak service] in service?.engine }
        owners[owner.user] = service
        if let limit = store.quota?.disk {
            measuring?.keep(owner.user, path, limit: limit) { [weak service] in service?.engine }
        } else {
            StoreSize.forget(in: path)
        }
        service.begin()
    }

    private func attempt(_ owner: StoreOwner, _ body: () throws -> Void) {
        do {
            try body()
        } catch {
            log("problem: the store of \(owner.text) cannot be served: \(printable("\(error)"))")
        }
    }

    /// Serves a user who comes for the first time.
    private func welcome(_ user: UInt32) throws {
        if user == geteuid() || user == 0 || owners[user] != nil { return }
        let path = try StoreOwner.makeStore(of: user, in: store.path)
        guard let owner = try StoreOwner.stored(in: path) else { return }
        try serve(owner, path)
        log("the user \(owner.text) has a store now")
    }

    // MARK: Connections

    private func accept() {
        do throws(SyscallError) {
            // Whoever connects without end keeps nobody else waiting: what is left is taken in the next turn.
            for _ in 0..<Self.mostInTurn {
                guard let socket = try Syscall.accept(listener.number) else { return }
                guard let user = try? Syscall.peerUser(socket.number) else { continue }
                if let reason = refusal(of: user) {
                    Self.refuse(socket.number, reason)
                    continue
                }
                tryAttend(socket.number, user)
            }
        } catch {
            // Out of descriptors: those who wait are accepted when others have gone.
            loop.unwatch(listener.number)
            loop.after(1) { [weak self] in
                guard let self, !self.isStopping else { return }
                self.loop.watch(self.listener.number) { [weak self] in self?.accept() }
            }
        }
    }

    /// `socket` is lent.
    private func tryAttend(_ socket: CInt, _ user: UInt32) {
        do {
            try welcome(user)
            try attend(socket, user)
        } catch {
            log("problem: the user \(user) cannot be attended to: \(printable("\(error)"))")
            Self.refuse(socket, ("the service cannot attend to you now", "try again", 75))
        }
    }

    private typealias Refusal = (reason: String, hint: String, code: UInt8)

    private func refusal(of user: UInt32) -> Refusal? {
        let now = Syscall.monotonicSeconds()
        // Ids that are refused are remembered for a moment only.
        if recent.count > 10_000 { recent = [:] }
        var rate = recent[user] ?? (now, 0, false)
        if now - rate.since >= 1 { rate = (now, 0, false) }
        rate.count += 1
        defer { recent[user] = rate }
        let isKnown = user == geteuid() || user == 0
        guard connections[user, default: 0] < options.connections, rate.count <= Self.mostInSecond,
            attendances.count < Self.mostConnections || isKnown
        else {
            if !rate.isTold { log("problem: the user \(user) has too many connections") }
            rate.isTold = true
            return ("you have \(connections[user, default: 0]) connections, and too many", "try again in a moment", 75)
        }
        guard isKnown || StoreOwner.isAccount(user) else {
            return ("the id \(user) is none of an account of this host", "connect outside of a user namespace", 6)
        }
        return nil
    }

    /// Says why, as far as the socket takes it at once.
    private static func refuse(_ socket: CInt, _ refusal: Refusal) {
        let text = "error: use the service: \(refusal.reason)\nhint: \(refusal.hint)\n"
        let bytes = ClientFrame(.errors, Array(text.utf8)).encoded + ClientFrame(.exit, [refusal.code]).encoded
        _ = try? Syscall.sendSome(socket, bytes[...])
    }

    private func attend(_ socket: CInt, _ user: UInt32) throws {
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let settings = JSONFile.encode(options.settings).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let variables = HostProcess.variables().merging([
            "CLOCHE_HOME": store.path.string, SharingSettings.variable: settings,
        ]) { $1 }.map { "\($0.key)=\($0.value)" }
        let number = try HostProcess.spawn(
            own, ["cloche", "attend"], descriptors: [(socket, 3)], variables: variables, ownSession: true)
        let process = try ProcessHandle(opening: number)
        let attendance = Attendance(process, user: user)
        let end = attendance.process.number
        attendances[end] = attendance
        connections[user, default: 0] += 1
        loop.watch(end) { [weak self] in
            guard let self, (try? attendance.process.wait(block: false)) != nil else { return }
            self.loop.unwatch(end)
            self.attendances[end] = nil
            self.connections[user, default: 1] -= 1
            // What a client has changed need not wait for the next look.
            self.owners[user]?.look()
            self.measuring?.noteChange(of: user)
        }
    }
}

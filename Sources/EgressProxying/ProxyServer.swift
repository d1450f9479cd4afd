import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The proxy: one thread that decides on connections of sandboxes, makes them, and tells of them.
final class ProxyServer {
    /// What a number of the poller stands for: the uppermost byte.
    enum Kind: UInt64 {
        case control, listener, names, client, upstream, lookup

        func number(_ value: UInt64) -> UInt64 { rawValue << 56 | value }
    }

    let control: OwnedFileDescriptor
    let own: Set<IPAddress>
    var poller: Poller
    private(set) var resolver: Resolver?
    var sandboxes: [Int: ProxiedSandbox] = [:]
    var connections: [UInt64: ProxyConnection] = [:]
    var now = Syscall.monotonicSeconds()
    private var nextNumber: UInt64 = 0
    private var owners: [UInt64: Int] = [:]
    private var again: Set<UInt64> = []
    private var lastTick = 0.0
    var buffer = [UInt8](repeating: 0, count: 16384)
    var isEnding = false
    /// Connections with wider pipes: few, for all processes of a user have one account of pages in pipes.
    var wideConnections = 0
    static let mostWideConnections = 16

    /// Seconds between two looks at the clock for what should have happened.
    private static let interval = 0.25
    /// Connections that are accepted before others have their turn.
    private static let acceptsAtOnce = 32

    /// Serves the supervisor at the other end of `control`.
    init(control: consuming OwnedFileDescriptor, tables: HostTables) throws(SyscallError) {
        self.control = control
        own = tables.own
        poller = try Poller()
        try poller.watch(self.control.number, Kind.control.number(0))
        resolver = Resolver(names: tables.names, servers: tables.servers) {
            [weak self] socket, number throws(SyscallError) in
            try self?.poller.watch(socket, Kind.lookup.number(number))
        }
    }

    /// Works until the supervisor has gone.
    func run() throws(SyscallError) {
        while !isEnding {
            let ready = try poller.wait(milliseconds: timeout)
            now = Syscall.monotonicSeconds()
            for number in ready { handle(number) }
            let turns = again
            again = []
            for number in turns { if let connection = connections[number] { advance(connection) } }
            if now - lastTick >= Self.interval { tick() }
        }
    }

    private var timeout: Int32 {
        if !again.isEmpty { return 0 }
        return connections.isEmpty && resolver?.isBusy != true && !sandboxes.values.contains(where: \.isPaused)
            ? -1 : Int32(Self.interval * 1000)
    }

    private func handle(_ number: UInt64) {
        let value = number & (1 << 56 - 1)
        switch Kind(rawValue: number >> 56) {
        case .control: readControl()
        case .listener: if let sandbox = owners[value].flatMap({ sandboxes[$0] }) { accept(sandbox, value) }
        case .names: if let sandbox = owners[value].flatMap({ sandboxes[$0] }) { answerNames(sandbox) }
        case .client: if let connection = connections[value] { advance(connection) }
        case .upstream:
            guard let connection = connections[value] else { return }
            if connection.stage == .connecting { upstreamIsReady(connection) } else { advance(connection) }
        case .lookup: resolver?.ready(value, at: now)
        case nil: break
        }
    }

    private func tick() {
        lastTick = now
        resolver?.tick(at: now)
        for connection in connections.values {
            if let deadline = connection.deadline, deadline <= now { expire(connection) }
        }
        for sandbox in sandboxes.values where sandbox.isPaused { resume(sandbox) }
    }

    // MARK: - Sandboxes

    private func readControl() {
        do throws(SyscallError) {
            let packet = try Syscall.receive(control.number, upTo: EgressMessage.limit)
            switch EgressMessage(packet.bytes) {
            case .open(let number, let rules): try open(number, rules, packet.descriptors)
            case .close(let number): close(number)
            // The supervisor has ended, or speaks another language.
            default: isEnding = true
            }
        } catch {
            isEnding = true
        }
    }

    private func number(for sandbox: Int) -> UInt64 {
        nextNumber += 1
        owners[nextNumber] = sandbox
        return nextNumber
    }

    private func open(_ number: Int, _ rules: EgressRules, _ descriptors: [CInt]) throws(SyscallError) {
        guard descriptors.count >= 2 else { return isEnding = true }
        var listeners: [ProxiedSandbox.OwnedListener] = []
        for (index, raw) in descriptors.enumerated() where index != 1 {
            let key = self.number(for: number)
            listeners.append(.init(OwnedFileDescriptor(adopting: raw), number: key))
            try poller.watch(raw, Kind.listener.number(key))
        }
        try poller.watch(descriptors[1], Kind.names.number(self.number(for: number)))
        sandboxes[number] = ProxiedSandbox(
            number: number, rules: rules, listeners: listeners, names: OwnedFileDescriptor(adopting: descriptors[1]))
    }

    private func close(_ number: Int) {
        sandboxes[number] = nil
        owners = owners.filter { $0.value != number }
        for connection in connections.values where connection.sandbox == number { finish(connection) }
        send(.closed(number))
    }

    /// Waits for the supervisor where it is behind: what was decided is told.
    private func send(_ message: EgressMessage) {
        do throws(SyscallError) {
            try Syscall.send(control.number, message.bytes)
        } catch {
            isEnding = true
        }
    }

    /// Tells what came of something that was asked for.
    func tell(_ sandbox: Int, _ record: EgressRecord) { send(.record(sandbox, record)) }

    private func accept(_ sandbox: ProxiedSandbox, _ key: UInt64) {
        guard let index = sandbox.listeners.firstIndex(where: { $0.number == key }) else { return }
        let listener = sandbox.listeners[index]
        for _ in 0..<Self.acceptsAtOnce {
            guard sandbox.connections < ProxiedSandbox.connectionLimit else { return pause(sandbox) }
            do throws(SyscallError) {
                guard let socket = try Syscall.accept(listener.socket.number) else { return }
                try begin(socket, of: sandbox)
            } catch {
                // Without a descriptor to spare, who waits goes on waiting.
                return pause(sandbox)
            }
        }
    }

    private func begin(_ socket: consuming OwnedFileDescriptor, of sandbox: ProxiedSandbox) throws(SyscallError) {
        nextNumber += 1
        let number = nextNumber
        let local = try Syscall.localAddress(socket.number)
        let connection = ProxyConnection(number: number, sandbox: sandbox.number, client: socket, now: now)
        try poller.watchChanges(connection.client.number, Kind.client.number(number))
        connections[number] = connection
        sandbox.connections += 1
        guard let address = IPAddress(bytes: local.bytes) else { return finish(connection) }
        if local.port == EgressSockets.proxyPort, address == IPAddress(version4: 0x7F00_0001) {
            connection.deadline = now + ProxyTimes.handshake
            return
        }
        takeDirect(connection, address, local.port, sandbox)
    }

    private func pause(_ sandbox: ProxiedSandbox) {
        guard !sandbox.isPaused else { return }
        sandbox.isPaused = true
        pause(sandbox, true)
    }

    private func resume(_ sandbox: ProxiedSandbox) {
        guard sandbox.connections < ProxiedSandbox.connectionLimit else { return }
        sandbox.isPaused = false
        pause(sandbox, false)
    }

    private func pause(_ sandbox: ProxiedSandbox, _ pauses: Bool) {
        for listener in sandbox.listeners {
            // A listener that is ours, and watched, can be changed.
            try? poller.pause(listener.socket.number, Kind.listener.number(listener.number), pauses)
        }
    }

    // MARK: - Connections

    /// Forgets a connection and tells of it, where it had come so far that it wanted something.
    func finish(_ connection: ProxyConnection) {
        guard connection.stage != .closed else { return }
        connection.stage = .closed
        connections[connection.number] = nil
        if connection.isWide { wideConnections -= 1 }
        if let sandbox = sandboxes[connection.sandbox] {
            sandbox.connections -= 1
            if sandbox.isPaused { resume(sandbox) }
        }
        guard var record = connection.record else { return }
        record.sentBytes = connection.outgoing?.moved ?? 0
        record.receivedBytes = max(0, (connection.incoming?.moved ?? 0) - Int64(connection.ownBytes))
        record.seconds = now - connection.started
        tell(connection.sandbox, record)
    }

    /// Goes on with a connection later, when others have had their turn.
    func goOnLater(_ connection: ProxyConnection) { again.insert(connection.number) }
}

/// How long things may take, in seconds.
enum ProxyTimes {
    /// Until it is clear what a program wants.
    static let handshake = 15.0
    /// For the names and all addresses of a host.
    static let resolving = 15.0
    static let connecting = 10.0
    /// For a program to take its last answer.
    static let farewell = 2.0
}

import EgressProxying
import Isolation
import LinuxSystem
import SandboxLaunch
import SeccompFilters
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The supervisor's side of the proxy: starts it, hands sandboxes to it, and hears what they asked for.
final class EgressProxy {
    private struct Client {
        var summary = EgressSummary()
        var onConnection: (EgressRecord) -> Void
        var isClosed = false
    }

    private let loop: EventLoop
    private let socket: OwnedFileDescriptor
    private let process: ProcessHandle
    private var clients: [Int: Client] = [:]
    private var isLost = false
    private var isServing = false

    private static let step = "start the proxy of the network"

    /// Starts the process, from a supervisor that has a single thread, is in its namespaces, and still sees the host's
    /// files.
    ///
    /// It enters its control groups, `groups`, while the supervisor goes on.
    init(_ identity: IdentityMap, groups: [CInt], loop: EventLoop) throws(LaunchError) {
        self.loop = loop
        let filter = try SandboxSupervisor.compile(.proxy(), mode: .silent)
        let pair = try LaunchError.during(Self.step) { () throws(SyscallError) in try Syscall.packetSocketPair() }
        let second = pair.second.number
        process = try LaunchError.during(Self.step) { () throws(SyscallError) in
            let own = getpid()
            let child = try Syscall.fork()
            if child == 0 {
                ProxyProcess.serve(
                    control: second, parent: own, groups: groups, user: identity.hasRange ? IdentityMap.proxy : nil,
                    filter: filter.bytes)
            }
            return try ProcessHandle(opening: child)
        }
        socket = pair.takeFirst()
        try awaitReady()
    }

    /// Waits for the process to have come one step further.
    private func awaitReady() throws(LaunchError) {
        let answer = try LaunchError.during(Self.step) { () throws(SyscallError) in
            try Syscall.receive(socket.number, upTo: EgressMessage.limit)
        }
        switch EgressMessage(answer.bytes) {
        case .ready?: break
        case .failed(let call, let object, let errno)?:
            throw LaunchError(
                step: Self.step, SyscallError(call, object.isEmpty ? nil : object, errno: Errno(rawValue: errno)))
        default: throw LaunchError(step: Self.step, reason: "it ended without a word")
        }
    }

    /// Hands a sandbox over; the sockets are given away.
    func open(
        _ number: Int, _ rules: EgressRules, _ sockets: [CInt], _ onConnection: @escaping (EgressRecord) -> Void
    ) throws(LaunchError) {
        defer { for socket in sockets { _ = Glibc.close(socket) } }
        if !isServing {
            try awaitReady()
            isServing = true
            loop.watch(socket.number) { [weak self] in self?.read() }
        }
        try LaunchError.during("hand the sandbox to the proxy") { () throws(SyscallError) in
            try Syscall.send(socket.number, EgressMessage.open(number, rules).bytes, descriptors: sockets)
        }
        clients[number] = Client(onConnection: onConnection)
    }

    /// Takes a sandbox back when it has ended; what it asked for is known then.
    func close(_ number: Int) -> EgressSummary? {
        guard clients[number] != nil else { return nil }
        if !isLost {
            do throws(SyscallError) {
                try Syscall.send(socket.number, EgressMessage.close(number).bytes)
            } catch {
                lose()
            }
        }
        // The proxy closes at once what it has of it, and answers when all is told.
        let deadline = Syscall.monotonicSeconds() + 5
        while !isLost, clients[number]?.isClosed == false {
            let left = Int32(max(0, (deadline - Syscall.monotonicSeconds()) * 1000))
            guard let ready = try? Syscall.poll([socket.number], milliseconds: left), left > 0 || !ready.isEmpty else {
                lose()
                break
            }
            if !ready.isEmpty { read() }
        }
        var summary = clients.removeValue(forKey: number)?.summary
        summary?.isLost = isLost
        return summary
    }

    /// Ends the process.
    func end() {
        loop.unwatch(socket.number)
        // It is ours and not yet reaped, so neither call can fail but by its having ended.
        try? process.signal(SIGKILL)
        _ = try? process.wait()
    }

    private func read() {
        do throws(SyscallError) {
            let packet = try Syscall.receive(socket.number, upTo: EgressMessage.limit)
            for descriptor in packet.descriptors { _ = Glibc.close(descriptor) }
            switch EgressMessage(packet.bytes) {
            case .record(let number, let record)?:
                clients[number]?.summary.add(record)
                clients[number]?.onConnection(record)
            case .closed(let number)?: clients[number]?.isClosed = true
            default: lose()
            }
        } catch {
            lose()
        }
    }

    /// Nobody decides any more: nothing is connected to from here on.
    private func lose() {
        isLost = true
        loop.unwatch(socket.number)
        try? process.signal(SIGKILL)
    }
}

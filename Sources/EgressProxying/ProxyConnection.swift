import Isolation
import LinuxSystem
import SystemPackage

/// One connection of a program, from its first byte to its record.
final class ProxyConnection {
    /// How far it is.
    enum Stage {
        /// It is not clear where it wants to go.
        case handshake
        case resolving
        case connecting
        case relaying
        /// It gets its last answer.
        case refusing
        case closed
    }

    let number: UInt64
    let sandbox: Int
    let client: OwnedFileDescriptor
    var upstream: OwnedFileDescriptor?
    var stage = Stage.handshake
    var handshake = ClientHandshake()
    var request: ClientHandshake.Request?
    var record: EgressRecord?
    let started: Double
    /// When it ends unless it gets on; nil for never.
    var deadline: Double?
    /// Addresses that may be connected to and have not been tried.
    var candidates: [IPAddress] = []
    var outgoing: Flow?
    var incoming: Flow?
    /// Bytes of ours that go to the program before those of the host.
    var ownBytes = 0
    var farewell: ArraySlice<UInt8> = []
    private var incomingMark: Int64 = 0
    /// Whether its pipes have been widened.
    private(set) var isWide = false

    /// Bytes after which wider pipes pay, and how wide they become.
    private static let muchData: Int64 = 4 << 20, wideSize = 1 << 20

    init(number: UInt64, sandbox: Int, client: consuming OwnedFileDescriptor, now: Double) {
        self.number = number
        self.sandbox = sandbox
        self.client = client
        started = now
    }

    /// Makes the two flows, when the host is connected to.
    func connect() throws(SyscallError) {
        guard let request, let host = upstream?.number else { return }
        // Small messages are not held back in the hope of more; and who vanishes is noticed one day.
        for socket in [client.number, host] {
            try Syscall.sendAtOnce(socket)
            try Syscall.keepAlive(socket)
        }
        var answer = request.greeting
        switch request.way {
        case .connect: answer += ProxyReply.established
        case .socks: answer += ProxyReply.socks(.success)
        case .http, .direct, .dns: break
        }
        ownBytes = answer.count
        incoming = try Flow(pending: answer[...], marking: request.way == .http)
        if request.way == .http { ownBytes += ResponseMarker.field.count }
        if let body = request.body {
            outgoing = try Flow(head: request.head, body: body, rest: request.rest)
        } else {
            outgoing = try Flow(pending: request.rest)
        }
        self.request?.rest = []
        self.request?.head = []
    }

    /// Moves what there is in both directions; whether it stopped for the sake of others.
    func relay(at now: Double) throws(SyscallError) -> Bool {
        guard let host = upstream?.number else { return false }
        var isBusy = try outgoing?.pump(client.number, host) ?? false
        if try incoming?.pump(host, client.number) ?? false { isBusy = true }
        try watchForMore(now)
        return isBusy
    }

    /// Widens the pipe that carries much; whether it has done so now.
    func widen() -> Bool {
        guard !isWide else { return false }
        if incoming?.moved ?? 0 > Self.muchData {
            incoming?.widen(to: Self.wideSize)
        } else if outgoing?.moved ?? 0 > Self.muchData {
            outgoing?.widen(to: Self.wideSize)
        } else {
            return false
        }
        isWide = true
        return true
    }

    /// Whether nothing more will be moved.
    var isOver: Bool {
        let (sent, received) = (outgoing?.isDone ?? true, incoming?.isDone ?? true)
        return received && (sent || request?.way == .http)
    }

    /// A program that sends a second request does not get it decided on, and so not passed on: the connection is for one.
    ///
    /// It ends when the answer to the first one has, though a host may have kept its end open.
    private func watchForMore(_ now: Double) throws(SyscallError) {
        guard request?.way == .http, outgoing?.bodyEnded == true, outgoing?.isDone == true else { return }
        let received = incoming?.moved ?? 0
        if deadline == nil {
            var byte: [UInt8] = [0]
            let waiting = try Syscall.receive(client.number, into: &byte, peek: true) ?? 0
            guard outgoing?.hasMore == true || waiting > 0 else { return }
        } else if received == incomingMark {
            return
        }
        incomingMark = received
        deadline = now + 2
    }
}

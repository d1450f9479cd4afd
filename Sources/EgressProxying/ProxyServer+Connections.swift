import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// How a connection comes about: what is asked, whether it is allowed, and the connecting.
extension ProxyServer {
    /// Does what can be done without waiting.
    func advance(_ connection: ProxyConnection) {
        do throws(SyscallError) {
            switch connection.stage {
            case .handshake: try readHandshake(connection)
            case .relaying:
                if try connection.relay(at: now) { goOnLater(connection) }
                if wideConnections < Self.mostWideConnections, connection.widen() { wideConnections += 1 }
                if connection.isOver { finish(connection) }
            case .refusing: try sendFarewell(connection)
            // Edge by edge: what the program has sent meanwhile is found when the host is connected to.
            case .resolving, .connecting, .closed: break
            }
        } catch {
            if connection.stage == .relaying, error.errno.rawValue == EPROTO {
                connection.record?.reason = "the body of the request is malformed"
            }
            if connection.request?.way == .direct { Syscall.resetOnClose(connection.client.number) }
            finish(connection)
        }
    }

    /// Ends what has taken too long.
    func expire(_ connection: ProxyConnection) {
        connection.deadline = nil
        switch connection.stage {
        case .handshake:
            let reason = "the request was not complete within \(Int(ProxyTimes.handshake)) seconds"
            note(connection, reason)
            sayGoodbye(connection, ProxyReply.http(408, reason))
        case .resolving: fail(connection, 504, .hostUnreachable, "the name was not found in time")
        case .connecting: connectNext(connection, ETIMEDOUT)
        case .relaying, .refusing, .closed: finish(connection)
        }
    }

    private func readHandshake(_ connection: ProxyConnection) throws(SyscallError) {
        while connection.stage == .handshake {
            guard let count = try Syscall.receive(connection.client.number, into: &buffer) else { return }
            guard count > 0 else { return finish(connection) }
            switch connection.handshake.take(buffer[..<count]) {
            case .more(let answer):
                // A few bytes, for which there is always room in a connection that has carried nothing.
                if !answer.isEmpty { _ = try Syscall.sendSome(connection.client.number, answer[...]) }
            case .request(let request):
                connection.handshake = ClientHandshake()
                take(request, connection)
            case .refuse(let answer, let reason):
                note(connection, reason)
                sayGoodbye(connection, answer)
            }
        }
    }

    /// A request that names no host has a record too.
    private func note(_ connection: ProxyConnection, _ reason: String) {
        connection.record = EgressRecord(
            time: wallClock, via: .http, host: "", port: 0, verdict: .failed, reason: reason)
    }

    var wallClock: Timestamp { Timestamp(seconds: Syscall.wallClockSeconds()) }

    /// A plain connection: to an address that stands for a name, or to one that rules name.
    func takeDirect(_ connection: ProxyConnection, _ address: IPAddress, _ port: UInt16, _ sandbox: ProxiedSandbox) {
        let isOwn = address == IPAddress(version6: 1) || address.bytes.first == 127 && address.isVersion4
        if isOwn, sandbox.rules.rule(for: address, port: port) == nil {
            // The sandbox's own loopback, where nothing listens but what is ours.
            Syscall.resetOnClose(connection.client.number)
            return finish(connection)
        }
        take(
            .init(
                way: .direct, host: address.description, port: port,
                destination: EgressDestination(.address(address), port: port)), connection)
    }

    private func take(_ asked: ClientHandshake.Request, _ connection: ProxyConnection) {
        guard let sandbox = sandboxes[connection.sandbox] else { return finish(connection) }
        var request = asked
        connection.deadline = nil
        if case .address(let address)? = request.destination?.host, let name = sandbox.name(of: address) {
            request.destination?.host = .name(name)
            request.host = name.description
        }
        connection.request = request
        connection.record = EgressRecord(
            time: wallClock, via: request.way, host: request.host, port: request.port, verdict: .allowed)
        guard let destination = request.destination else {
            return refuse(connection, request.fault ?? "the target is no host")
        }
        switch destination.host {
        case .address(let address):
            guard let rule = sandbox.rules.rule(for: address, port: destination.port) else {
                return refuse(
                    connection, "no rule of `network.allow` names the address and port `\(destination)`",
                    opens: destination.description)
            }
            connection.record?.rule = rule.description
            connection.candidates = [address]
            connectNext(connection, EHOSTUNREACH)
        case .name(let name):
            guard let rule = sandbox.rules.rule(for: name, port: destination.port) else {
                let others = sandbox.rules.ports.filter { sandbox.rules.rule(for: name, port: $0) != nil }
                return refuse(
                    connection,
                    others.isEmpty
                        ? "no rule of `network.allow` names `\(destination)`"
                        : "rules of `network.allow` name `\(name)` with the port \(others.map(String.init).joined(separator: ", ")), and not \(destination.port)",
                    opens: destination.description)
            }
            connection.record?.rule = rule.description
            resolve(name, destination.port, connection)
        }
    }

    private func resolve(_ name: HostName, _ port: UInt16, _ connection: ProxyConnection) {
        connection.stage = .resolving
        connection.deadline = now + ProxyTimes.resolving
        resolver?.look(up: name, at: now) { [weak self, weak connection] outcome in
            guard let self, let connection, connection.stage == .resolving,
                let sandbox = self.sandboxes[connection.sandbox]
            else { return }
            switch outcome {
            case .addresses(let addresses):
                let open = sandbox.rules.open(addresses, port: port, own: self.own)
                guard !open.isEmpty else {
                    let shown = addresses.prefix(4).map(\.description).joined(separator: ", ")
                    return self.refuse(
                        connection,
                        "`\(name)` has the address \(shown), which is not public: only a rule for that address and port opens it",
                        opens: addresses.first.map { EgressDestination(.address($0), port: port).description })
                }
                connection.candidates = open
                self.connectNext(connection, EHOSTUNREACH)
            case .absent: self.fail(connection, 502, .hostUnreachable, "there is no address of `\(name)`")
            case .failed(let reason):
                self.fail(connection, 504, .hostUnreachable, "`\(name)` cannot be looked up: \(reason)")
            }
        }
    }

    /// Connects to the next address, or tells why the last one could not be connected to.
    private func connectNext(_ connection: ProxyConnection, _ failure: CInt) {
        connection.stage = .connecting
        connection.upstream = nil
        var failure = failure
        while !connection.candidates.isEmpty, let request = connection.request {
            let address = connection.candidates.removeFirst()
            connection.record?.address = address.description
            do throws(SyscallError) {
                let socket = try Syscall.internetSocket(version6: !address.isVersion4, stream: true)
                let number = socket.number
                connection.upstream = consume socket
                let isConnected = try Syscall.connect(number, SocketAddress(bytes: address.bytes, port: request.port))
                try poller.watchChanges(number, Kind.upstream.number(connection.number))
                connection.deadline = now + ProxyTimes.connecting
                if isConnected { upstreamIsReady(connection) }
                return
            } catch {
                failure = error.errno.rawValue
                connection.upstream = nil
            }
        }
        let reason = Errno(rawValue: failure).description
        let code: ProxyReply.SocksCode =
            switch failure {
            case ECONNREFUSED: .refused
            case ENETUNREACH: .networkUnreachable
            case ETIMEDOUT: .timedOut
            default: .hostUnreachable
            }
        fail(connection, failure == ETIMEDOUT ? 504 : 502, code, "the host cannot be connected to: \(reason)")
    }

    /// The connecting has ended, well or not.
    func upstreamIsReady(_ connection: ProxyConnection) {
        guard let socket = connection.upstream?.number else { return }
        do throws(SyscallError) {
            if let error = try Syscall.connectionError(socket) { return connectNext(connection, error.rawValue) }
            try connection.connect()
        } catch {
            let reason = error.errno.rawValue == EPROTO ? "the body of the request is malformed" : error.description
            return fail(connection, error.errno.rawValue == EPROTO ? 400 : 502, .failure, reason)
        }
        connection.stage = .relaying
        connection.deadline = nil
        advance(connection)
    }

    // MARK: - Refusals

    /// The policy says no.
    private func refuse(_ connection: ProxyConnection, _ reason: String, opens: String? = nil) {
        connection.record?.verdict = .refused
        connection.record?.opens = opens
        connection.record?.rule = nil
        answer(connection, 403, .notAllowed, reason)
    }

    /// The policy says yes, and it cannot be done.
    private func fail(_ connection: ProxyConnection, _ status: Int, _ code: ProxyReply.SocksCode, _ reason: String) {
        connection.record?.verdict = .failed
        answer(connection, status, code, reason)
    }

    private func answer(_ connection: ProxyConnection, _ status: Int, _ code: ProxyReply.SocksCode, _ reason: String) {
        connection.record?.reason = reason
        connection.upstream = nil
        let greeting = connection.request?.greeting ?? []
        switch connection.request?.way {
        case .connect, .http: sayGoodbye(connection, ProxyReply.http(status, reason))
        case .socks: sayGoodbye(connection, greeting + ProxyReply.socks(code))
        case .direct, .dns, nil:
            // All that a plain connection can be told.
            Syscall.resetOnClose(connection.client.number)
            finish(connection)
        }
    }

    private func sayGoodbye(_ connection: ProxyConnection, _ bytes: [UInt8]) {
        connection.stage = .refusing
        connection.farewell = bytes[...]
        connection.deadline = now + ProxyTimes.farewell
        advance(connection)
    }

    /// Sends the last answer and reads on until the program has closed: closing before would take the answer away.
    private func sendFarewell(_ connection: ProxyConnection) throws(SyscallError) {
        let client = connection.client.number
        if !connection.farewell.isEmpty {
            while !connection.farewell.isEmpty {
                guard let count = try Syscall.sendSome(client, connection.farewell) else { return }
                connection.farewell = connection.farewell.dropFirst(count)
            }
            Syscall.endWriting(client)
        }
        var turns = 0
        while let count = try Syscall.receive(client, into: &buffer) {
            turns += 1
            // Who sends without end has had the time to read.
            if count == 0 || turns > 64 { return finish(connection) }
        }
    }
}

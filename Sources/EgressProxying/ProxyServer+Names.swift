import Isolation
import LinuxSystem

/// Names in sandboxes: allowed ones have an address that leads here, and others do not exist.
extension ProxyServer {
    private static let queriesAtOnce = 32

    /// Answers what programs have asked.
    func answerNames(_ sandbox: ProxiedSandbox) {
        for _ in 0..<Self.queriesAtOnce {
            // A socket that cannot be read from is one of a sandbox that has ended.
            guard let (count, sender) = try? Syscall.receiveDatagram(sandbox.names.number, into: &buffer) else {
                return
            }
            guard let query = DNSMessage.Query(buffer[..<count]) else { continue }
            answer(query, sender, sandbox)
        }
    }

    private func answer(_ query: DNSMessage.Query, _ sender: SocketAddress, _ sandbox: ProxiedSandbox) {
        func say(_ bytes: [UInt8]) { Syscall.sendDatagram(sandbox.names.number, bytes, to: sender) }
        let type = query.question.type
        let asksForAddress = type == DNSMessage.RecordType.address || type == DNSMessage.RecordType.address6
        guard let name = query.question.hostName else { return say(query.answer(.noSuchName)) }
        guard sandbox.rules.knows(name) else {
            if asksForAddress { noteRefused(name, sandbox) }
            return say(query.answer(.noSuchName))
        }
        // There is an address of IPv4 for whatever the name has; programs that ask for more get on without.
        guard type == DNSMessage.RecordType.address else { return say(query.answer(.success)) }
        let number = sandbox.number
        resolver?.look(up: name, at: now) { [weak self] outcome in
            guard let sandbox = self?.sandboxes[number] else { return }
            func say(_ bytes: [UInt8]) { Syscall.sendDatagram(sandbox.names.number, bytes, to: sender) }
            switch outcome {
            case .addresses:
                guard let address = sandbox.address(of: name) else { return say(query.answer(.serverFailure)) }
                say(query.answer(.success, address: address))
            case .absent: say(query.answer(.noSuchName))
            case .failed: say(query.answer(.serverFailure))
            }
        }
    }

    private func noteRefused(_ name: HostName, _ sandbox: ProxiedSandbox) {
        guard sandbox.refusedNames.count < ProxiedSandbox.nameLimit, sandbox.refusedNames.insert(name).inserted else {
            return
        }
        tell(
            sandbox.number,
            EgressRecord(
                time: wallClock, via: .dns, host: name.description, port: 0, verdict: .refused,
                reason: "no rule of `network.allow` names `\(name)`"))
    }
}

import Isolation
import LinuxSystem
import SystemPackage

/// Looks up addresses of names: in the host's table of names, else at its name servers.
///
/// It is told of readiness and of time, and never waits.
final class Resolver {
    /// What came of a look-up.
    enum Outcome: Sendable, Equatable {
        /// At least one address, those of IPv4 first.
        case addresses([IPAddress])
        /// There is no such name, or it has no address.
        case absent
        /// Nobody could tell, for that reason.
        case failed(String)
    }

    private final class Lookup {
        let name: HostName
        var waiting: [(Outcome) -> Void] = []
        var addresses: [UInt16: [IPAddress]] = [:]
        var isAbsent = false
        var failure: String?

        init(_ name: HostName) { self.name = name }
    }

    private final class Question {
        let lookup: Lookup
        let type: UInt16
        var socket: OwnedFileDescriptor?
        var identity: UInt16 = 0
        var tries = 0
        var deadline = 0.0

        init(_ lookup: Lookup, _ type: UInt16) {
            self.lookup = lookup
            self.type = type
        }
    }

    private let names: [HostName: [IPAddress]]
    private let servers: [SocketAddress]
    private let watch: (CInt, UInt64) throws(SyscallError) -> Void
    private var lookups: [HostName: Lookup] = [:]
    private var questions: [UInt64: Question] = [:]
    private var nextQuestion: UInt64 = 0
    private var known: [HostName: (outcome: Outcome, until: Double)] = [:]
    private var buffer = [UInt8](repeating: 0, count: DNSMessage.limit)

    private enum Bound {
        static let lookups = 128
        static let known = 1024
        /// Seconds for which an outcome is taken again: short, so that a change of the name is soon seen.
        static let memory = 10.0
        static let patience = 2.0
        static let rounds = 2
    }

    /// `watch` asks to be told of a descriptor by a number, through `ready`.
    init(
        names: [HostName: [IPAddress]], servers: [SocketAddress],
        watch: @escaping (CInt, UInt64) throws(SyscallError) -> Void
    ) {
        self.names = names
        self.servers = servers
        self.watch = watch
    }

    /// Whether something waits for an answer, so that `tick` must be called now and then.
    var isBusy: Bool { !questions.isEmpty }

    /// Looks up a name; `done` is called once, maybe before this returns.
    func look(up name: HostName, at now: Double, done: @escaping (Outcome) -> Void) {
        if let addresses = names[name] { return done(.addresses(addresses)) }
        if let memory = known[name], memory.until > now { return done(memory.outcome) }
        if let lookup = lookups[name] {
            lookup.waiting.append(done)
            return
        }
        guard lookups.count < Bound.lookups else { return done(.failed("too many names are being looked up")) }
        let lookup = Lookup(name)
        lookup.waiting.append(done)
        lookups[name] = lookup
        for type in [DNSMessage.RecordType.address, DNSMessage.RecordType.address6] {
            let number = nextQuestion
            nextQuestion += 1
            let question = Question(lookup, type)
            questions[number] = question
            ask(number, question, now)
        }
    }

    /// A socket of `watch` is readable.
    func ready(_ number: UInt64, at now: Double) {
        guard let question = questions[number], let socket = question.socket?.number else { return }
        do throws(SyscallError) {
            guard let count = try Syscall.receive(socket, into: &buffer) else { return }
            // What is not the answer is dropped: the answer may still come.
            guard
                let response = DNSMessage.response(
                    buffer.prefix(count), to: question.lookup.name, type: question.type,
                    identity: question.identity)
            else { return }
            take(response, number, question, now)
        } catch {
            // The server's host says that nothing listens there.
            ask(number, question, now)
        }
    }

    /// Asks again where no answer has come in time.
    func tick(at now: Double) {
        for (number, question) in questions where question.deadline <= now {
            ask(number, question, now)
        }
    }

    private func take(_ response: DNSMessage.Response, _ number: UInt64, _ question: Question, _ now: Double) {
        switch response.code {
        case DNSMessage.Code.success.rawValue: question.lookup.addresses[question.type] = response.addresses
        case DNSMessage.Code.noSuchName.rawValue: question.lookup.isAbsent = true
        default: return ask(number, question, now)
        }
        finish(number, question, now)
    }

    /// Asks the next server, from a port of its own; gives up when each was asked often enough.
    private func ask(_ number: UInt64, _ question: Question, _ now: Double) {
        question.socket = nil
        guard question.tries < servers.count * Bound.rounds else {
            question.lookup.failure = "no name server answers"
            return finish(number, question, now)
        }
        let server = servers[question.tries % servers.count]
        question.tries += 1
        question.identity = UInt16.random(in: .min ... .max)
        question.deadline = now + Bound.patience
        do throws(SyscallError) {
            let socket = try Syscall.internetSocket(version6: server.bytes.count == 16, stream: false)
            _ = try Syscall.connect(socket.number, server)
            let query = DNSMessage.query(question.lookup.name, type: question.type, identity: question.identity)
            _ = try Syscall.sendSome(socket.number, query[...])
            try watch(socket.number, number)
            question.socket = consume socket
        } catch {
            // Another server may be reachable; the next tick asks it.
            question.deadline = now
        }
    }

    private func finish(_ number: UInt64, _ question: Question, _ now: Double) {
        question.socket = nil
        questions[number] = nil
        let lookup = question.lookup
        guard !questions.values.contains(where: { $0.lookup === lookup }) else { return }
        lookups[lookup.name] = nil
        let addresses = [DNSMessage.RecordType.address, DNSMessage.RecordType.address6].flatMap {
            lookup.addresses[$0] ?? []
        }
        let outcome: Outcome =
            if !addresses.isEmpty {
                .addresses(addresses)
            } else if let failure = lookup.failure, !lookup.isAbsent {
                .failed(failure)
            } else {
                .absent
            }
        if known.count >= Bound.known { known = [:] }
        if case .failed = outcome {} else { known[lookup.name] = (outcome, now + Bound.memory) }
        for done in lookup.waiting { done(outcome) }
    }
}

import Isolation
package import Jobs
import LinuxSystem
import Runs
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A connection to the service of a store.
package final class ServiceClient {
    /// How long the service may take to answer, in seconds.
    private static let patience = 10.0

    private let connection: LineConnection
    private var lines: ArraySlice<[UInt8]> = []

    private init(_ connection: LineConnection) { self.connection = connection }

    /// Connects to the service; nil when there is none.
    package static func connect(_ place: ServicePlace) throws -> ServiceClient? {
        let deadline = Syscall.monotonicSeconds() + patience
        while true {
            guard place.isServed else { return nil }
            if let socket = try place.connect() {
                return ServiceClient(LineConnection(socket, longest: ServiceMessage.longest))
            }
            // One that has just begun makes its socket in a moment, and one with many clients has room in a moment.
            guard Syscall.monotonicSeconds() < deadline else { throw silence }
            _ = try Syscall.poll([], milliseconds: 10)
        }
    }

    /// Connects to the service of a store, of which there must be one; `purpose` says what cannot be done without.
    package static func require(_ place: ServicePlace, for purpose: String) throws -> ServiceClient {
        if let client = try connect(place) { return client }
        throw ServiceError(
            .absent, "\(purpose): no service serves the store",
            hint: "start one by `cloche serve`, or under systemd with the unit that `cloche system unit` prints")
    }

    /// Refuses a service that is ending: what it is handed would wait; `purpose` says what cannot be done now.
    package func requireStarting(_ purpose: String) throws(ServiceError) {
        // One that ends this very moment leaves what it is handed to the next one.
        guard let status = try? status(), status.draining else { return }
        throw ServiceError(
            .absent, "\(purpose): the service is ending: it starts no more runs",
            hint: "try again when it has ended, as `cloche system status` tells, or when the next one has begun")
    }

    /// Asks the service to look at the store now.
    package func wake() throws { try confirm(ServiceRequest(request: .wake)) }

    /// Asks the service to go on with a job; false when another process does already.
    package func takeUp(_ job: JobID) throws -> Bool {
        try confirm(ServiceRequest(request: .wake, job: job.description)).isElsewhere != true
    }

    /// Asks the service to end the running runs of a job that has been cancelled.
    package func kill(_ job: JobID) throws { try confirm(ServiceRequest(request: .kill, job: job.description)) }

    /// Asks the service to start no more runs, and to end: at once, or when those that run have ended.
    package func stop(drain: Bool) throws { try confirm(ServiceRequest(request: .stop, drain: drain)) }

    /// What the service is doing.
    package func status() throws -> ServiceStatus {
        try send(ServiceRequest(request: .status))
        guard let status = JSONFile.decode(ServiceStatus.self, try line()) else { throw Self.silence }
        return status
    }

    /// Asks to be told of a job: from here on `messages` has news when `number` is readable.
    func follow(_ job: JobID) throws { try confirm(ServiceRequest(request: .follow, job: job.description)) }

    var number: CInt { connection.number }

    /// What has come; nil when the service has gone.
    func messages() -> [ServiceMessage]? {
        let waiting = lines
        lines = []
        guard let new = connection.lines() else { return waiting.isEmpty ? nil : waiting.compactMap(Self.message) }
        return (waiting + new).compactMap(Self.message)
    }

    private static func message(_ line: [UInt8]) -> ServiceMessage? { JSONFile.decode(ServiceMessage.self, line) }

    @discardableResult
    private func confirm(_ request: ServiceRequest) throws -> ServiceMessage {
        try send(request)
        guard let answer = Self.message(try line()) else { throw Self.silence }
        if answer.message == .problem {
            throw ServiceError(
                .failed, "ask the service: \(answer.text ?? "it refused")",
                hint: "see whether it is of the version of this command")
        }
        return answer
    }

    private func send(_ request: ServiceRequest) throws {
        guard let line = JSONFile.encode(request), connection.send(line) else { throw Self.silence }
    }

    private func line() throws -> [UInt8] {
        let deadline = Syscall.monotonicSeconds() + Self.patience
        while lines.isEmpty {
            let left = deadline - Syscall.monotonicSeconds()
            guard left > 0 else { throw Self.silence }
            _ = try Syscall.poll([number], milliseconds: Int32(left * 1000))
            guard let new = connection.lines() else { throw Self.silence }
            lines += new
        }
        return lines.removeFirst()
    }

    private static let silence = ServiceError(
        .silent, "ask the service: it does not answer", hint: "try again; its log tells what it is doing")
}

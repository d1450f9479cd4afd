import Foundation

/// A service of the tests' store, which ends with this value.
final class TestService {
    let command: StartedCommand

    /// Starts it and waits until it answers.
    init(_ arguments: [String] = [], environment: [String: String] = [:]) throws {
        command = try Cloche.start(["serve"] + arguments, environment: environment)
        guard try eventually(within: 20, { try Self.isAlive() || !ProcessTable.isAlive(command.pid) }),
            try Self.isAlive()
        else { throw TestFailure("the service has not begun: \(command.errors)") }
    }

    deinit {
        command.signal(SIGTERM)
        _ = command.wait(timeout: 20)
    }

    static func isAlive() throws -> Bool { try Cloche.run("system", "status").status == 0 }

    var pid: pid_t { command.pid }

    /// Its lines so far.
    var log: String { command.errors }

    /// Ends it by a signal and gives what it left behind.
    func end(_ signal: Int32 = SIGTERM) -> CommandResult {
        command.signal(signal)
        return command.wait(timeout: 20)
    }
}

extension TestProject {
    /// The states of the job's runs.
    func states() throws -> [String] {
        let runs = try Cloche.run("ls", name, "--json", "--limit", "0").value("runs") as? [[String: Any]] ?? []
        return runs.map { $0["state"] as? String ?? "?" }
    }

    /// The state of the job.
    func jobState() throws -> String {
        try Cloche.run("show", name, "--json").value("job", "state") as? String ?? "?"
    }

    func remove() throws {
        let removed = try Cloche.run("rm", name, "--yes")
        if removed.status != 0 { throw TestFailure("rm: \(removed.errors)") }
    }
}

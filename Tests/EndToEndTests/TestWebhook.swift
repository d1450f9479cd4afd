import Foundation

/// A server on loopback that is told of events (Tests/Fixtures/webhook.py).
final class TestWebhook {
    static let isPossible = ["/usr/bin/python3", "/usr/bin/curl"].allSatisfy {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// What it was told once.
    struct Request {
        var path: String
        var fields: [String: String]
        var body: String

        /// The value deep in the body.
        func value(_ path: Any...) throws -> Any? {
            var value: Any? = try JSONSerialization.jsonObject(with: Data(body.utf8))
            for part in path {
                if let key = part as? String { value = (value as? [String: Any])?[key] }
            }
            return value
        }
    }

    let port: Int
    private let directory: TemporaryDirectory
    private let command: StartedCommand
    private let input = Pipe()

    /// Starts it, at a port that was its own before.
    init(port: Int? = nil, in directory: TemporaryDirectory? = nil) throws {
        self.directory = try directory ?? TemporaryDirectory()
        let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fixtures/webhook.py").path
        let command = try StartedCommand(
            "/usr/bin/python3", [script, self.directory.path + "/log"] + (port.map { [String($0)] } ?? []),
            stdin: input.fileHandleForReading)
        self.command = command
        try input.fileHandleForReading.close()
        guard eventually(within: 20, { command.output.hasSuffix("\n") }),
            let number = Int(command.output.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw TestFailure("the server has not begun: \(command.errors)") }
        self.port = number
    }

    deinit { stop() }

    /// Ends it; what it was told stays.
    func stop() {
        command.signal(SIGKILL)
        _ = command.wait(timeout: 10)
    }

    /// Another one at the same port, with the same log.
    func again() throws -> TestWebhook { try TestWebhook(port: port, in: directory) }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)/\(path)" }

    /// What it was told so far, at paths that begin so.
    func requests(_ path: String = "") throws -> [Request] {
        let text = (try? directory.read("log")) ?? ""
        return try text.split(separator: "\n").compactMap { line in
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any] ?? [:]
            return Request(
                path: object["path"] as? String ?? "", fields: object["fields"] as? [String: String] ?? [:],
                body: object["body"] as? String ?? "")
        }.filter { $0.path.hasPrefix("/" + path) }
    }
}

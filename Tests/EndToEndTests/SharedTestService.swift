import Foundation
import Testing

/// A service of the tests' store that others share, which ends with this value, with all that it kept for them.
final class SharedTestService {
    /// One who uses it; an account of the host as long as this value.
    final class Client {
        private let user: EndToEnd.Unprivileged.User
        private let socket: String
        let id: Int

        init(_ socket: String) throws {
            user = try EndToEnd.Unprivileged.User(hasRange: false)
            self.socket = socket
            let told = try StartedCommand("/usr/bin/id", ["-u", user.name]).wait()
            id = try #require(Int(told.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        }

        var name: String { user.name }
        var home: String { user.home }
        var program: String { user.cloche }

        /// Runs `cloche` as the user, by the service.
        func run(_ arguments: [String], in place: String? = nil, input: String? = nil) throws -> CommandResult {
            guard let input else { return try start(arguments, in: place).wait(timeout: 120) }
            return try shell("printf %s '\(input)' | \(user.cloche) \(arguments.joined(separator: " "))")
        }

        func start(_ arguments: [String], in place: String? = nil) throws -> StartedCommand {
            try user.start(arguments, in: place, environment: ["CLOCHE_SERVICE": socket])
        }

        /// Runs a line of the shell as the user.
        func shell(_ line: String) throws -> CommandResult {
            try command("/bin/sh", ["-c", line]).wait(timeout: 120)
        }

        /// Runs a program of Python as the user, who has `SOCKET` and `frame(kind, bytes)`.
        func python(_ text: String) throws -> CommandResult {
            try command("/usr/bin/python3", ["-c", Self.prelude + text]).wait(timeout: 120)
        }

        func command(_ program: String, _ arguments: [String]) throws -> StartedCommand {
            try StartedCommand(
                "/usr/bin/setpriv",
                ["--reuid", name, "--regid", name, "--init-groups", "--inh-caps=-all", program] + arguments,
                environment: ["HOME": home, "CLOCHE_SERVICE": socket, "SOCKET": socket], directory: home)
        }

        private static let prelude = """
            import json, os, socket, struct, sys, time
            SOCKET = os.environ["SOCKET"]
            def frame(kind, data=b""):
                return kind.encode() + struct.pack(">I", len(data)) + data
            def entry(kind, path, target=b"", mode=0o644):
                return frame("F", kind.encode() + struct.pack(">HqIH", mode, 1, 0, len(path)) + path + target)
            def connect():
                s = socket.socket(socket.AF_UNIX)
                s.settimeout(40)
                s.connect(SOCKET)
                return s
            def request(arguments, **more):
                return frame("Q", json.dumps({
                    "version": 1, "arguments": arguments, "has_parameters": False, "has_input": False, **more}).encode())
            def answer(s):
                data = b""
                try:
                    while part := s.recv(65536): data += part
                except ConnectionResetError:
                    pass
                out = {"O": b"", "E": b"", "X": b""}
                while data:
                    count = struct.unpack(">I", data[1:5])[0]
                    out[chr(data[0])] += data[5:5 + count]
                    data = data[5 + count:]
                return out["X"][0] if out["X"] else None, out["O"].decode(), out["E"].decode()
            def ask(*parts):
                s = connect()
                try:
                    for part in parts: s.sendall(part)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                return answer(s)

            """
    }

    private let directory: TemporaryDirectory
    private let service: StartedCommand
    private var clients: [Int] = []
    let socket: String

    init(_ arguments: [String] = []) throws {
        let directory = try TemporaryDirectory()
        chmod(directory.path, 0o755)
        let socket = directory.path + "/socket"
        self.directory = directory
        self.socket = socket
        service = try Cloche.start(["serve", "--share", "--socket", socket] + arguments)
        let isThere = eventually(within: 20) { FileManager.default.fileExists(atPath: socket) }
        guard isThere else { throw TestFailure("the service has not begun: \(service.errors)") }
    }

    deinit {
        service.signal(SIGTERM)
        _ = service.wait(timeout: 20)
        guard let home = try? Cloche.home.get() else { return }
        for id in clients { try? FileManager.default.removeItem(atPath: "\(home)/owners/\(id)") }
        try? FileManager.default.removeItem(atPath: "\(home)/owners")
        // Nothing refers to what was built for them any more.
        let listed = try? Cloche.run("env", "ls", "--json").value("environments") as? [[String: Any]]
        for name in (listed ?? []).compactMap({ $0["name"] as? String })
        where clients.contains(where: { name.hasPrefix("u\($0)-") }) {
            _ = try? Cloche.run("env", "rm", name, "--yes")
        }
    }

    /// Makes a user.
    func user() throws -> Client {
        let client = try Client(socket)
        clients.append(client.id)
        return client
    }

    var pid: pid_t { service.pid }
    var log: String { service.errors }

    /// Runs `cloche` as whoever runs the service, on what is a user's.
    func asOwner(_ user: Client, _ arguments: String...) throws -> CommandResult {
        try Cloche.start(arguments, environment: ["CLOCHE_OWNER": user.name]).wait(timeout: 60)
    }
}

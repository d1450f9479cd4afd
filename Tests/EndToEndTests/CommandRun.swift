import Foundation
import Synchronization

/// What a command left behind.
struct CommandResult {
    var status: Int32
    var output: String
    var errors: String

    /// The one JSON document on stdout.
    var json: Any {
        get throws { try JSONSerialization.jsonObject(with: Data(output.utf8)) }
    }

    /// A value deep in the JSON document, by keys and numbers of elements: `value("runs", 0, "state")`.
    func value(_ path: Any...) throws -> Any? {
        var value: Any? = try json
        for part in path {
            if let key = part as? String { value = (value as? [String: Any])?[key] }
            if let index = part as? Int {
                let list = value as? [Any] ?? []
                value = list.indices.contains(index) ? list[index] : nil
            }
        }
        return value
    }
}

/// A command that has been started, with no signal blocked or ignored.
final class StartedCommand: Sendable {
    let pid: pid_t
    private let directory: TemporaryDirectory
    private let status = Mutex<Int32?>(nil)

    /// Starts a program by its path.
    init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], directory: String = "/",
        stdin: FileHandle? = nil
    ) throws {
        self.directory = try TemporaryDirectory()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        let input = stdin ?? FileHandle.nullDevice
        // A duplicate, for a descriptor that is 0 already would keep its close-on-exec flag.
        let duplicate = fcntl(input.fileDescriptor, F_DUPFD_CLOEXEC, 3)
        defer { close(duplicate) }
        posix_spawn_file_actions_adddup2(&actions, duplicate, 0)
        for (number, name) in [(1, "stdout"), (2, "stderr")] as [(Int32, String)] {
            posix_spawn_file_actions_addopen(
                &actions, number, self.directory.path + "/" + name, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))

        let variables = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"]
            .merging(environment) { _, new in new }
        let words = (["env", "--chdir=" + directory, program] + arguments).map { strdup($0) }
        let pairs = variables.map { strdup("\($0)=\($1)") }
        defer { (words + pairs).forEach { free($0) } }
        var pid: pid_t = 0
        let failed = posix_spawn(&pid, "/usr/bin/env", &actions, &attributes, words + [nil], pairs + [nil])
        guard failed == 0 else { throw TestFailure("start `\(program)`: \(String(cString: strerror(failed)))") }
        self.pid = pid
    }

    var output: String { text("stdout") }
    var errors: String { text("stderr") }

    /// Waits for the end; kills the command after `timeout` seconds, and gives 128 + the signal for one killed by it.
    func wait(timeout: Double = 120) -> CommandResult {
        if !eventually(within: timeout, { ended() }) {
            signal(SIGKILL)
            _ = eventually(within: 10, { ended() })
        }
        return CommandResult(status: status.withLock { $0 } ?? -1, output: output, errors: errors)
    }

    /// Sends a signal, if the command has not ended.
    func signal(_ number: Int32) {
        if !ended() { kill(pid, number) }
    }

    private func ended() -> Bool {
        status.withLock { status in
            if status != nil { return true }
            var word: Int32 = 0
            guard waitpid(pid, &word, WNOHANG) == pid else { return false }
            status = word & 0x7f == 0 ? (word >> 8) & 0xff : 128 + (word & 0x7f)
            return true
        }
    }

    private func text(_ name: String) -> String {
        String(decoding: (try? Data(contentsOf: URL(filePath: directory.path + "/" + name))) ?? Data(), as: UTF8.self)
    }
}

/// A directory that is removed with this value.
final class TemporaryDirectory: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/cloche-e2e-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file, with the directories above it.
    func write(_ text: String, to name: String) throws {
        let file = URL(filePath: path + "/" + name)
        try FileManager.default.createDirectory(
            at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func read(_ name: String) throws -> String {
        try String(contentsOf: URL(filePath: path + "/" + name), encoding: .utf8)
    }

    /// The names of all files.
    var names: [String] { (try? FileManager.default.subpathsOfDirectory(atPath: path).sorted()) ?? [] }
}

/// Looks again and again until a condition holds; false when it does not within `seconds`.
func eventually(within seconds: Double = 5, _ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while Date() < deadline {
        if try condition() { return true }
        usleep(5_000)
    }
    return try condition()
}

import Foundation
import Synchronization
import Testing

/// All tests that drive the built programs; one after the other, because they share a store and count processes.
@Suite(.serialized) enum EndToEnd {}

/// The built programs, and the store that the tests share.
enum Cloche {
    /// The directory of `cloche`, `cloche-supervisor` and `cloche-init`: that of `CLOCHE_BIN`, else where this test was built.
    static let programs: String? = {
        if let named = ProcessInfo.processInfo.environment["CLOCHE_BIN"] {
            return isProgram(named) ? URL(filePath: named).deletingLastPathComponent().path : nil
        }
        let own = [try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")]
        for start in own.compactMap(\.self) + CommandLine.arguments where start.hasPrefix("/") {
            var directory = URL(filePath: start).deletingLastPathComponent()
            while directory.path != "/" {
                if isProgram(directory.path + "/cloche") { return directory.path }
                directory = directory.deletingLastPathComponent()
            }
        }
        return nil
    }()

    static var isBuilt: Bool { programs != nil }
    static var isRoot: Bool { getuid() == 0 }

    /// A store in which `python` is built: that of `CLOCHE_TEST_HOME`, else one that is built once and removed at exit.
    static let home: Result<String, any Error> = Result {
        if let named = ProcessInfo.processInfo.environment["CLOCHE_TEST_HOME"] { return named }
        let directory = FileManager.default.temporaryDirectory.path + "/cloche-e2e-store-\(getpid())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        removedAtExit.withLock { $0 = directory }
        atexit { removedAtExit.withLock { try? FileManager.default.removeItem(atPath: $0) } }
        let build = try StartedCommand(
            program(), ["env", "build", "python"], environment: ["CLOCHE_HOME": directory]
        ).wait(timeout: 600)
        guard build.status == 0 else { throw TestFailure("`cloche env build python` failed: \(build.errors)") }
        return directory
    }

    private static let removedAtExit = Mutex("")

    static func program() throws -> String {
        guard let programs else { throw TestFailure("the programs are not built") }
        return programs + "/cloche"
    }

    /// Starts `cloche` on the shared store.
    static func start(
        _ arguments: [String], in directory: String = "/", environment: [String: String] = [:],
        stdin: FileHandle? = nil
    ) throws -> StartedCommand {
        let home = try home.get()
        return try StartedCommand(
            program(), arguments, environment: ["CLOCHE_HOME": home].merging(environment) { _, new in new },
            directory: directory, stdin: stdin)
    }

    /// Runs `cloche` on the shared store to its end.
    static func run(
        _ arguments: String..., in directory: String = "/", stdin: FileHandle? = nil, timeout: Double = 120
    ) throws -> CommandResult {
        try start(arguments, in: directory, stdin: stdin).wait(timeout: timeout)
    }

    /// Runs a Python program in a sandbox of its own.
    static func python(
        _ text: String, policy: String = "default", stdin: FileHandle? = nil
    ) throws -> CommandResult {
        try start(["exec", "--policy", policy, "--", "python3", "-c", text], stdin: stdin).wait(timeout: 60)
    }

    /// Makes the database of the shared store anew, and leaves no copy of the old one.
    static func reindex() throws {
        let rebuilt = try run("system", "reindex", "--json")
        guard rebuilt.status == 0 else { throw TestFailure("reindex: \(rebuilt.errors)") }
        let home = try home.get()
        for name in try FileManager.default.contentsOfDirectory(atPath: home)
        where name.hasPrefix("cloche.db.before-reindex-") {
            try FileManager.default.removeItem(atPath: home + "/" + name)
        }
    }

    private static func isProgram(_ path: String) -> Bool {
        var isDirectory: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && !isDirectory.boolValue
            && FileManager.default.isExecutableFile(atPath: path)
    }
}

/// Why a test could not go on.
struct TestFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

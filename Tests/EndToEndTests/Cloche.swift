import Foundation
import Synchronization
import Testing

/// The tests that drive the built programs and count what is on the host, or change it; one after the other.
@Suite(.serialized) enum EndToEnd {}

/// The tests that drive the built programs and look at nothing that others have; one after the other, beside the first.
@Suite(.serialized, StoreBeside()) enum EndToEndBeside {}

/// Gives tests another store to share, in which the others' runs are not.
struct StoreBeside: SuiteTrait, TestTrait, TestScoping {
    let isRecursive = true

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        try await Cloche.$isBeside.withValue(true) { try await function() }
    }
}

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

    /// Whether a test is one of `EndToEndBeside`.
    @TaskLocal static var isBeside = false

    /// A store in which `python` is built, shared by the tests of a tree.
    static var home: Result<String, any Error> { homes.map { isBeside ? $0.beside : $0.first } }

    /// That of `CLOCHE_TEST_HOME`, else one that is built once; and a copy of it, made before a test changes either.
    private static let homes: Result<(first: String, beside: String), any Error> = Result {
        let own = FileManager.default.temporaryDirectory.path + "/cloche-e2e-stores-\(getpid())"
        try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
        removedAtExit.withLock { $0 = own }
        atexit { removedAtExit.withLock { try? FileManager.default.removeItem(atPath: $0) } }
        let beside = own + "/beside"
        if let named = ProcessInfo.processInfo.environment["CLOCHE_TEST_HOME"] {
            try run("/bin/cp", ["-a", named, beside])
            return (named, beside)
        }
        let first = own + "/first"
        try run(program(), ["env", "build", "python"], environment: ["CLOCHE_HOME": first])
        try run("/bin/cp", ["-a", first, beside])
        return (first, beside)
    }

    private static func run(_ program: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let result = try StartedCommand(program, arguments, environment: environment).wait(timeout: 600)
        guard result.status == 0 else { throw TestFailure("\(program) \(arguments): \(result.errors)") }
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

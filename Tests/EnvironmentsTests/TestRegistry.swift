import LinuxSystem
import SystemPackage

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// A registry on loopback that does what its repositories are named for (Tests/Fixtures/registry.py).
final class TestRegistry {
    static let python: FilePath = "/usr/bin/python3"
    static let isPossible = ["/usr/bin/python3", "/usr/bin/curl"].allSatisfy { Syscall.exists(FilePath($0)) }
    static let password = "hunter2-canary"
    /// What `docker login` writes for `reader` with this password.
    private static let written = "cmVhZGVyOmh1bnRlcjItY2FuYXJ5"

    let port: Int
    /// Another server, as of another host.
    let otherPort: Int
    private let logFile: FilePath
    private let process: Int32
    private let input: CInt

    /// Starts it; `certificate` and `key` make it speak HTTPS.
    init(in directory: FilePath, certificate: FilePath? = nil, key: FilePath? = nil) throws {
        logFile = directory.appending("registry.log")
        let inputs = try Syscall.pipe(), outputs = try Syscall.pipe()
        let script = FilePath(#filePath).removingLastComponent().removingLastComponent().pushing("Fixtures/registry.py")
        process = try HostProcess.spawn(
            Self.python,
            ["python3", script.string, logFile.string] + [certificate, key].compactMap { $0?.string },
            descriptors: [(inputs.reading.number, 0), (outputs.writing.number, 1), (2, 2)])
        input = inputs.takeWriting().release()
        let reading = outputs.takeReading()
        var line: [UInt8] = []
        while !line.contains(0x0A), case let part = try Syscall.read(reading.number, upTo: 100), !part.isEmpty {
            line += part
        }
        let words = String(decoding: line, as: UTF8.self).split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        port = words.first ?? 0
        otherPort = words.last ?? 0
    }

    deinit {
        close(input)
        var status: CInt = 0
        waitpid(process, &status, 0)
    }

    /// What was asked so far.
    var log: [String] { get throws { try text(logFile).split(separator: "\n").map(String.init) } }

    /// Pulls a repository's image as the environment `image`.
    func pull(
        _ repository: String, in scratch: FilePath, variables: [String: String] = [:], hasPassword: Bool = false,
        limits: UnpackLimits = .standard, isCancelled: @escaping () -> Bool = { false },
        report: @escaping (BuildEvent) -> Void = { _ in }
    ) throws -> (builder: EnvironmentBuilder, result: ImportResult) {
        var variables = variables
        if hasPassword { variables["HOME"] = "/home/reader" }
        let login = "{\"auths\": {\"127.0.0.1:\(port)\": {\"auth\": \"\(Self.written)\"}}}"
        let host = HostFiles(
            contents: { $0 == "/home/reader/.docker/config.json" ? Array(login.utf8) : nil }, names: { _ in [] })
        let builder = EnvironmentBuilder(
            store: try EnvironmentStore(directory: scratch.appending("environments")), executor: FakeExecutor(),
            host: host, settings: HostSettings(host: host, variables: variables),
            digest: { "\($0.count)" }, now: { Int64(Syscall.wallClockSeconds()) })
        guard let name = EnvironmentName("image"), let reference = ImageReference("127.0.0.1:\(port)/\(repository)")
        else { throw SyscallError("name", repository, errno: .invalidArgument) }
        var request = ImportRequest(name: name, source: .registry(reference, allowsPlain: false))
        request.limits = limits
        return (builder, try builder.importImage(request, isCancelled: isCancelled, report: report))
    }
}

/// Lends a registry and a directory.
func withRegistry(_ body: (TestRegistry, FilePath) throws -> Void) throws {
    try withScratch { scratch in
        try body(try TestRegistry(in: scratch), scratch)
    }
}

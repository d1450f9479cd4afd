import LinuxSystem
import SystemPackage

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// A package index on loopback, and the pip of Debian that asks it.
final class TestIndex {
    static let pip: FilePath = "/usr/share/python-wheels/pip-23.0.1-py3-none-any.whl"
    static let isPossible = TestRegistry.isPossible && Syscall.exists(pip)

    let port: Int
    private let directory: FilePath
    private let process: Int32

    /// Serves what is in `www` of a directory.
    init(in directory: FilePath) throws {
        self.directory = directory
        try Syscall.makeDirectories(directory.appending("www"), mode: 0o755)
        let pipe = try Syscall.pipe()
        let log = try Syscall.open(directory.appending("requests"), O_WRONLY | O_CREAT, mode: 0o644)
        process = try HostProcess.spawn(
            TestRegistry.python,
            [
                "python3", "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory",
                directory.appending("www").string,
            ], descriptors: [(pipe.writing.number, 1), (log.number, 2)])
        let reading = pipe.takeReading()
        var line: [UInt8] = []
        // It must not write to a pipe that nobody reads.
        while !line.contains(0x0A), case let part = try Syscall.read(reading.number, upTo: 200), !part.isEmpty {
            line += part
        }
        port = String(decoding: line, as: UTF8.self).split(separator: " ").compactMap { Int($0) }.first ?? 0
    }

    deinit {
        kill(process, SIGTERM)
        var status: CInt = 0
        waitpid(process, &status, 0)
    }

    var address: String { "http://127.0.0.1:\(port)/simple" }
    /// Where a wheel is.
    func file(_ name: String) -> String { "http://127.0.0.1:\(port)/files/\(name)" }

    /// What was asked for so far.
    var requests: [String] {
        get throws {
            try text(directory.appending("requests")).split(separator: "\n").compactMap { line in
                line.firstRange(of: "\"GET ").map { mark in String(line[mark.upperBound...].prefix { $0 != " " }) }
            }
        }
    }

    /// Settings of a host whose pip asks this index.
    var settings: HostSettings {
        HostSettings(host: HostFiles(contents: { _ in nil }, names: { _ in [] }), variables: ["PIP_INDEX_URL": address])
    }

    /// Offers a wheel of a project with one line of Python, under the digest that it has, or another one.
    @discardableResult
    func offer(_ project: String, _ line: String, digest promised: String? = nil) throws -> String {
        let name = "\(project)-1.0-py3-none-any.whl"
        let program = """
            import sys, zipfile
            with zipfile.ZipFile(sys.argv[1], "w") as wheel:
                wheel.writestr(sys.argv[2] + ".py", sys.argv[3])
                info = sys.argv[2] + "-1.0.dist-info/"
                wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: " + sys.argv[2] + "\\nVersion: 1.0\\n")
                wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                wheel.writestr(info + "RECORD", "")
            """
        let file = directory.pushing(FilePath("www/files/" + name))
        try Syscall.makeDirectories(file.removingLastComponent(), mode: 0o755)
        try run(["python3", "-c", program, file.string, project, line])
        let digest = try promised ?? PackageCacheTests.digest(Syscall.readFile(file, limit: 1 << 20))
        try write(
            "www/simple/\(project)/index.html", "<a href=\"../../files/\(name)#sha256=\(digest)\">\(name)</a>",
            directory)
        return digest
    }

    /// Runs pip as a build would, on what is shown in `view`; gives what it says, and the log that it leaves in a tree.
    func install(_ project: String, view: FilePath, tree: FilePath) throws -> String {
        let cache = directory.appending("cache")
        try? empty(cache)
        try Syscall.makeDirectories(cache, mode: 0o755)
        for form in [PipForm.joined, .divided] {
            try Syscall.symlink(view.pushing(FilePath("pip/" + form.rawValue)), cache.appending(form.rawValue))
        }
        let log = tree.pushing(FilePath(String(PipLog.path.dropFirst())))
        try Syscall.makeDirectories(log.removingLastComponent(), mode: 0o755)
        return try run(
            [
                "python3", Self.pip.string + "/pip", "--log", log.string, "--cache-dir", cache.string, "--isolated",
                "download", "--no-deps", "--trusted-host", "127.0.0.1", "--index-url", address, "--dest",
                directory.appending("got").string, project,
            ])
    }

    @discardableResult
    private func run(_ arguments: [String]) throws -> String {
        var said: [UInt8] = []
        let program = ChildProgram(
            path: TestRegistry.python, arguments: arguments,
            variables: ["LC_ALL=C.UTF-8", "HOME=/nonexistent", "PATH=/usr/bin:/bin"])
        _ = try program.run(isCancelled: { false }, errors: { said += $0 }, output: { said += $0 })
        return String(decoding: said, as: UTF8.self)
    }
}

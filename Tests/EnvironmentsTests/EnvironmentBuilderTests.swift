import LinuxSystem
import Synchronization
import SystemPackage
import Testing

@testable import Environments

#if canImport(Glibc)
    import Glibc
#endif

/// Stands in for the runtime: records commands, writes what a test wants, and empties directories for real.
final class FakeExecutor: BuildExecutor {
    /// What keeps every sandbox from being made.
    var trouble: String?

    /// What the host's programs that fetch packages do with their tree; nil for nothing.
    var fetch: ((FilePath) throws -> CommandOutcome)?
    var isOnline = true

    func obstacle(to command: SandboxCommand) -> String? { trouble }

    func isOnline(_ command: SandboxCommand) -> Bool { isOnline }

    let commands = Mutex<[[String]]>([])
    /// What a sandbox command does with its tree, and how it ends.
    let sandbox: @Sendable (SandboxCommand, ([UInt8]) -> Void) throws -> CommandOutcome

    init(
        _ sandbox: @escaping @Sendable (SandboxCommand, ([UInt8]) -> Void) throws -> CommandOutcome = { _, _ in
            CommandOutcome(status: 0)
        }
    ) {
        self.sandbox = sandbox
    }

    func run(
        _ command: NamespaceCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void
    ) throws -> CommandOutcome {
        commands.withLock { $0.append(command.arguments) }
        switch command.arguments.first {
        case "mmdebstrap": if let fetch { return try fetch(command.directory) }
        case "du": output(Array("4096\t/mnt\n".utf8))
        case "dpkg-query": output(Array("apt 2.6\npython3 3.11\n".utf8))
        case "find" where command.arguments.contains("/6000"): output(Array("..".utf8))
        case "find" where command.arguments.contains("-mindepth"):
            try empty(command.directory)
            try Syscall.makeDirectory(command.directory, mode: 0o755)
        default: break
        }
        return CommandOutcome(status: 0)
    }

    func run(
        _ command: SandboxCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void
    ) throws -> CommandOutcome {
        commands.withLock { $0.append(command.arguments) }
        return try sandbox(command, output)
    }

    func decompress(
        _ compression: Compression, root: FilePath, from read: () throws -> [UInt8], isCancelled: () -> Bool,
        output: ([UInt8]) -> Void, into write: ([UInt8]) throws -> Void
    ) throws -> CommandOutcome {
        var packed: [UInt8] = []
        while case let part = try read(), !part.isEmpty { packed += part }
        let file = try Syscall.sealedMemory(name: "packed", bytes: packed, executable: false)
        _ = try Syscall.seek(file.number, to: 0)
        let pipe = try Syscall.pipe()
        let arguments = compression.arguments
        let process = try ProcessHandle(
            opening: try HostProcess.spawn(
                FilePath(arguments[0]), arguments, descriptors: [(file.number, 0), (pipe.writing.number, 1)]))
        let reading = pipe.takeReading()
        while case let part = try Syscall.read(reading.number, upTo: 65536), !part.isEmpty { try write(part) }
        guard case .exited(let status)? = try process.wait()?.end else { return CommandOutcome(status: 137) }
        return CommandOutcome(status: status)
    }

    func unpack(
        _ command: UnpackCommand, isCancelled: () -> Bool, output: ([UInt8]) -> Void,
        feed: (_ write: @escaping ([UInt8]) throws -> Void) throws -> Void
    ) throws -> UnpackAnswer {
        var bytes: [UInt8] = []
        try feed { bytes += $0 }
        let root = try Syscall.open(command.directory, O_RDONLY | O_DIRECTORY)
        let owners = OwnerRule(isSingle: true)
        switch command.task {
        case .unpack(let limits, let isLayer):
            do throws(ArchiveError) {
                return .unpacked(
                    try unpackBytes(bytes, into: root.number, limits: limits, owners: owners, isLayer: isLayer))
            } catch {
                return .failed(error)
            }
        case .complete(let path, let home, let directory):
            return .completed(
                try TreeCompletion(root: root.number, owners: owners, path: path, home: home, directory: directory)
                    .run())
        case .list: return .failed(ArchiveError(.malformed, "not asked for here"))
        }
    }

    func list(
        _ tree: FilePath, isCancelled: () -> Bool, output: ([UInt8]) -> Void, into write: ([UInt8]) throws -> Void
    ) throws -> CommandOutcome {
        let root = try Syscall.open(tree, O_RDONLY | O_DIRECTORY)
        final class Collected { var text: [UInt8] = [] }
        let collected = Collected()
        var listing = TreeListing { part throws(SyscallError) in collected.text += part }
        try listing.run(root.number)
        try write(collected.text)
        return CommandOutcome(status: 0)
    }
}

/// Unpacks an archive in memory.
func unpackBytes(
    _ bytes: [UInt8], into root: CInt, limits: UnpackLimits = .standard, owners: OwnerRule = OwnerRule(isSingle: true),
    isLayer: Bool = false
) throws(ArchiveError) -> UnpackReport {
    let file = try ArchiveError.calling { () throws(SyscallError) in
        let file = try Syscall.sealedMemory(name: "archive", bytes: bytes, executable: false)
        _ = try Syscall.seek(file.number, to: 0)
        return file
    }
    var unpacker = TreeUnpacker(root: root, limits: limits, owners: owners, isLayer: isLayer)
    try unpacker.unpack(ByteSource(file.number))
    return unpacker.report
}

@Suite struct EnvironmentBuilderTests {
    let base: Base
    static let name = EnvironmentName("a")

    init() throws {
        let text = "name: a\ndescription: A\nsuite: bookworm\npackages: [python3]\nvariables: {LANG: C.UTF-8}\n"
        base = Base(
            recipe: try Recipe(reading: Array(text.utf8), file: "e.yaml"), files: ["environment.yaml": Array(text.utf8)]
        )
    }

    static func builder(_ directory: FilePath, _ executor: FakeExecutor) throws -> EnvironmentBuilder {
        let host = fakeHost(BuildConfigurationTests.files)
        return EnvironmentBuilder(
            store: try EnvironmentStore(directory: directory.appending("environments")), executor: executor, host: host,
            settings: HostSettings(host: host, variables: [:]),
            digest: { bytes in
                String(
                    bytes.reduce(14_695_981_039_346_656_037 as UInt64) { ($0 ^ UInt64($1)) &* 1_099_511_628_211 },
                    radix: 16)
            }, now: { 1_700_000_000 })
    }

    static func project(_ script: String) throws -> ProjectEnvironment {
        ProjectEnvironment(
            name: try #require(EnvironmentName("u-1")), title: "Mine", language: "python", baseImage: "a",
            setupScript: Array(script.utf8))
    }

    @Test func `a finished base is in force, with its record, and nothing is left in staging`() throws {
        try withScratch { directory in
            let builder = try Self.builder(directory, FakeExecutor())
            let record = try builder.build(base, isCancelled: { false }, report: { _ in })
            let name = try #require(Self.name)
            #expect(try builder.store.current(name) == record)
            #expect(record.layers == [record.id])
            #expect(record.packages == ["apt 2.6", "python3 3.11"])
            #expect(record.size == 4096)
            #expect(record.privilegedFiles == 2)
            #expect(record.created == "2023-11-14T22:13:20Z")
            #expect(
                try entries(builder.store.path(of: record.id)) == [
                    "build.json", "build.log", "content", "tree",
                ])
            #expect(try entries(builder.store.directory.appending("staging")).isEmpty)
        }
    }

    @Test func `equal inputs are built once, until a refresh is asked for`() throws {
        try withScratch { directory in
            let builder = try Self.builder(directory, FakeExecutor())
            let first = try builder.build(base, isCancelled: { false }, report: { _ in })
            var events: [BuildEvent] = []
            #expect(try builder.build(base, isCancelled: { false }, report: { events.append($0) }) == first)
            #expect(events == [.unchanged])
            let second = try builder.build(base, refresh: true, isCancelled: { false }, report: { _ in })
            #expect(second.id != first.id)
            #expect(second.inputs == first.inputs)
            #expect(try builder.store.unused(keeping: []) == [first.id])
            #expect(try builder.store.unused(keeping: [first.id]).isEmpty)
        }
    }

    @Test func `every input changes the digest, and moving bytes between inputs does too`() throws {
        let record = BuildRecord(
            id: "1", name: "a", title: "", layers: ["1"], variables: [:], interpreters: [:], created: "", size: 0,
            privilegedFiles: 0, inputs: "", packages: [])
        var other = record
        other.id = "2"
        let script = try Self.project("pip install a")
        let inputs = [
            BuildInputs.base(base).bytes,
            BuildInputs.base(Base(recipe: base.recipe, files: ["environment.yaml": []])).bytes,
            BuildInputs.base(Base(recipe: base.recipe, files: ["environment.yaml": [], "a": [1]])).bytes,
            BuildInputs.base(Base(recipe: base.recipe, files: ["environment.yaml": [1], "a": []])).bytes,
            BuildInputs.project(script, base: record).bytes, BuildInputs.project(script, base: other).bytes,
            BuildInputs.project(try Self.project("pip install b"), base: record).bytes,
        ]
        #expect(Set(inputs).count == inputs.count)
    }

    @Test func `what apt or a supervisor said last tells the cause of a failure`() throws {
        var log = BuildLog(-1, secrets: [])
        _ = log.write(Array("Reading lists\nE: Unable to locate package nope\nE: apt-get install failed: 100\n".utf8))
        _ = log.finish()
        #expect(log.complaint == "Unable to locate package nope")
        let said = Array("newuidmap: no\nerror: map user ids: denied\nhint: install the package uidmap\n".utf8)
        let failure = try #require(CommandOutcome.notStarted(125, said))
        #expect(failure.why == "map user ids: denied" && failure.hint == "install the package uidmap")
        #expect(CommandOutcome.notStarted(1, said) == nil, "that is the program's own status")
    }

    @Test func `a failed build keeps the last good one in force and its log, and names the script's line`() throws {
        try withScratch { directory in
            let good = try Self.builder(directory, FakeExecutor())
            let record = try good.build(base, isCancelled: { false }, report: { _ in })
            let key = try #require(EnvironmentName("p-u-1"))
            let layer = try good.build(
                try Self.project("true"), on: record, recipe: base.recipe, key: key, project: nil,
                isCancelled: { false }, report: { _ in })
            let bad = try Self.builder(
                directory,
                FakeExecutor { _, output in
                    output(Array("token pip-secret\ncloche: setup_script.sh ended at line 2 with status 1\n".utf8))
                    return CommandOutcome(status: 1)
                })
            let error = try #require(throws: BuildError.self) {
                try bad.build(
                    try Self.project("true\nfalse \u{1B}[0m\n"), on: record, recipe: base.recipe, key: key,
                    project: nil, isCancelled: { false }, report: { _ in })
            }
            #expect(
                error.description
                    == "build the environment `Mine`: run setup_script.sh: ended with status 1 at line 2: "
                    + "`false \\u{1b}[0m`")
            guard case .stage(_, _, let line, _, _) = error else { throw error }
            #expect(line?.file == ".orchest/environments/u-1/setup_script.sh")
            #expect(try bad.store.current(key) == layer)
            let log = try text(try #require(bad.store.failedLog(of: key)))
            #expect(log.contains("token ****") && !log.contains("pip-secret"))
            #expect(try entries(bad.store.directory.appending("staging")).isEmpty)
        }
    }

    @Test func `a language that the script installs can be used, and one of the base stays as it was`() throws {
        try withScratch { directory in
            let builder = try Self.builder(
                directory,
                FakeExecutor { command, output in
                    if command.arguments.first == "/bin/sh" {
                        output(Array("javascript /usr/bin/node\nr bin/Rscript\npython /tmp/python\n".utf8))
                    }
                    return CommandOutcome(status: 0)
                })
            var record = try builder.build(base, isCancelled: { false }, report: { _ in })
            record.interpreters = ["python": "/opt/venv/bin/python"]
            let layer = try builder.build(
                try Self.project("apt-get install nodejs"), on: record, recipe: base.recipe,
                key: try #require(EnvironmentName("p-u-1")), project: nil, isCancelled: { false }, report: { _ in })
            #expect(layer.interpreters == ["python": "/opt/venv/bin/python", "javascript": "/usr/bin/node"])
        }
    }

    @Test func `a layer lies on its base, and a script of comments makes none`() throws {
        try withScratch { directory in
            let builder = try Self.builder(directory, FakeExecutor())
            let record = try builder.build(base, isCancelled: { false }, report: { _ in })
            func layer(_ script: String) throws -> BuildRecord {
                try builder.build(
                    try Self.project(script), on: record, recipe: base.recipe, key: try #require(EnvironmentName("k")),
                    project: nil, isCancelled: { false }, report: { _ in })
            }
            let real = try layer("pip install x\n")
            #expect(real.layers == [real.id, record.id])
            #expect(builder.store.layers(of: real).map { $0.lastComponent?.string } == ["tree", "tree"])
            #expect(real.variables["LANG"] == "C.UTF-8")
            #expect(try layer("#!/bin/bash\n\n  # nothing\r\n").layers == [record.id])
        }
    }

    @Test func `the script and credentials are seen during the build and are gone after it`() throws {
        try withScratch { directory in
            let seen = Mutex<[String]>([])
            let executor = FakeExecutor { command, _ in
                let configuration = try #require(command.binds.first { $0.target == "/run/cloche" }).source
                let names = try entries(configuration)
                seen.withLock { $0 = names }
                return CommandOutcome(status: 0)
            }
            let builder = try Self.builder(directory, executor)
            let record = try builder.build(base, isCancelled: { false }, report: { _ in })
            _ = try builder.build(
                try Self.project("pip install x"), on: record, recipe: base.recipe,
                key: try #require(EnvironmentName("k")), project: nil, isCancelled: { false }, report: { _ in })
            #expect(
                Set(["auth.conf", "pip.conf", "setup_script.sh", "prolog.bash"]).isSubset(of: seen.withLock { $0 }))
            for build in try entries(builder.store.directory.appending("builds")) {
                let path = builder.store.path(of: build)
                for file in ["build.json", "build.log"] where Syscall.exists(path.appending(file)) {
                    let content = try text(path.appending(file))
                    for secret in BuildConfigurationTests.configuration().secrets {
                        #expect(!content.contains(secret))
                    }
                }
                #expect(!Syscall.exists(path.appending("configuration")))
            }
        }
    }

    @Test func `what a host cannot do at the end of a build is told before its beginning`() throws {
        try withScratch { directory in
            let executor = FakeExecutor()
            executor.trouble = "open `/dev/net/tun`: Permission denied"
            let builder = try Self.builder(directory, executor)
            let error = try #require(throws: BuildError.self) {
                try builder.build(base, isCancelled: { false }, report: { _ in })
            }
            #expect(error.description.hasSuffix(": open `/dev/net/tun`: Permission denied"))
            #expect(error.description.hasPrefix("build the environment `a`: "), "\(error)")
            #expect(error.hint?.contains("`cloche env import`") == true)
            #expect(executor.commands.withLock { $0.filter { $0.first == "mmdebstrap" } }.isEmpty)
            #expect(try entries(builder.store.directory.appending("staging")).isEmpty)
        }
    }

    @Test func `a cancelled build stops before its next command and leaves nothing`() throws {
        try withScratch { directory in
            let cancelled = Mutex(false)
            let executor = FakeExecutor { _, _ in
                cancelled.withLock { $0 = true }
                return CommandOutcome(status: 143, verdict: "cancelled")
            }
            let builder = try Self.builder(directory, executor)
            #expect(throws: BuildError.cancelled) {
                try builder.build(base, isCancelled: { cancelled.withLock { $0 } }, report: { _ in })
            }
            #expect(try builder.store.current(try #require(Self.name)) == nil)
            #expect(try entries(builder.store.directory.appending("staging")).isEmpty)
        }
    }

    @Test func `without an archive of the suite the error names the remedy`() throws {
        try withScratch { directory in
            let store = try EnvironmentStore(directory: directory.appending("e"))
            let builder = EnvironmentBuilder(
                store: store, executor: FakeExecutor(), host: fakeHost([:]), settings: HostSettings(),
                digest: { "\($0.count)" }, now: { 0 })
            let error = try #require(throws: BuildError.self) {
                try builder.build(base, isCancelled: { false }, report: { _ in })
            }
            #expect(error == .noArchive(suite: "bookworm"))
            #expect(error.hint?.contains("/etc/cloche/debian.sources") == true)
        }
    }

    @Test func `stages are reported in order with their numbers`() throws {
        try withScratch { directory in
            let builder = try Self.builder(directory, FakeExecutor())
            var stages: [String] = []
            _ = try builder.build(base, isCancelled: { false }) { event in
                if case .stage(let stage, let number, let count) = event {
                    stages.append("\(number)/\(count) \(stage)")
                }
            }
            #expect(stages == ["1/4 fetch packages", "2/4 configure packages", "3/4 clean up", "4/4 take stock"])
        }
    }
}

import Foundation
import Isolation
import LinuxSystem
import Policies
import SandboxRuntime
import SeccompFilters
import SystemPackage
import Testing

@testable import PreparedCommands

@Suite("Prepared commands, as they are kept") final class PreparedCommandTests {
    private let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "cloche-prepared-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    private func request(_ policy: SandboxPolicy) -> OneSandbox {
        var sandbox = SandboxSpec(policy: policy, arguments: ["true"], variables: ["A": "1", "B": "ü\n"])
        sandbox.mounts = [.init(.bind(0), at: "/data"), .init(.scratchOver(1), at: "/project-dir")]
        sandbox.directory = "/project-dir"
        sandbox.umask = 0o002
        var stage = StageSpec(environments: [.init(layers: ["/a", "/b"])])
        stage.binds = [
            .init(source: "/data", readOnly: false),
            .init(source: "/p", readOnly: true, owner: .author(user: 7, group: 8)),
        ]
        return OneSandbox(
            identity: .ownerRange(base: 1_900_544_000), stage: stage, sandbox: sandbox, name: "name", scratch: nil)
    }

    private func prepared(_ request: OneSandbox, sources: [String] = []) throws -> PreparedCommand? {
        PreparedCommand(
            request, try .compile(request.sandbox.policy.seccomp), sources: sources, builds: [],
            since: Date().timeIntervalSince1970)
    }

    private func policy(_ name: String) throws -> SandboxPolicy { try PolicyCatalogue().policy(named: name) }

    @Test("what is read is what was kept, rules of system calls included", arguments: ["default", "strict"])
    func roundTrip(_ name: String) throws {
        var policy = try policy(name)
        policy.limits.cpus = 1.5
        policy.limits.cpuTime = .milliseconds(1500)
        policy.hardLimits = [.memory, .pids]
        policy.needsRange = true
        let request = request(policy)
        let command = try #require(try prepared(request))
        let bytes = try #require(command.bytes)
        #expect(try PreparedCommand(bytes, from: 0) == command)
        let (taken, filters) = try #require(try prepared(self.request(policy, withoutBinds: true))?.take(["ls", "-l"]))
        #expect(taken.sandbox.arguments == ["ls", "-l"])
        #expect(filters.refusals().policy == policy.seccomp)
        #expect(filters.command == (try PreparedFilters.compile(policy.seccomp)).command)
        var whole = taken.sandbox.policy
        whole.seccomp = policy.seccomp
        #expect(whole == policy)
        for count in [0, 1, bytes.count / 2, bytes.count - 1] {
            #expect(throws: (any Error).self) { try PreparedCommand(Array(bytes.prefix(count)), from: 0) }
        }
        #expect(throws: (any Error).self) { try PreparedCommand(bytes + [0], from: 0) }
    }

    private func request(_ policy: SandboxPolicy, withoutBinds: Bool) -> OneSandbox {
        var request = request(policy)
        request.sandbox.mounts = []
        request.stage.binds = []
        return request
    }

    @Test("a field that is not kept keeps the whole command from being kept")
    func unknownField() throws {
        var request = request(try policy("default"))
        // Nothing writes these.
        request.sandbox.keepsRoot = true
        #expect(try prepared(request)?.bytes == nil)
        request.sandbox.keepsRoot = false
        request.sandbox.isRecorded = true
        #expect(try prepared(request)?.bytes == nil)
        request.sandbox.isRecorded = false
        #expect(try prepared(request)?.bytes != nil)
    }

    @Test("what needs more than a policy and paths is not kept", arguments: ["online", "gpu"])
    func connected(_ name: String) throws {
        let policy = try policy(name)
        var request = request(policy)
        request.stage.connect(policy.network)
        #expect(try prepared(request) == nil)
    }

    @Test("the policy in the place of one that is kept as text allows nothing")
    func placeholder() throws {
        let policy = PreparedCommand.placeholder(for: "default")
        for call in ["read", "execve", "socket"] {
            #expect(policy.verdict(call: call, arguments: [0, 0, 0, 0, 0, 0]) == .refuse(policy.unlisted))
        }
    }

    @Test("a file counts as the same only if nothing that the kernel tells of it has changed")
    func witness() throws {
        let path = directory.appending(path: "file").path
        try "one".write(toFile: path, atomically: false, encoding: .utf8)
        let (witness, changed) = try #require(FileWitness.look(at: path))
        #expect(changed != nil && witness.holds)
        let dates = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate]
        Thread.sleep(forTimeInterval: 0.05)
        try "two".write(toFile: path, atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.modificationDate: dates as Any], ofItemAtPath: path)
        #expect(!witness.holds, "another content of the same length and time")
        let second = try #require(FileWitness.look(at: path)).witness
        chmod(path, 0o666)
        #expect(!second.holds)
        let third = try #require(FileWitness.look(at: path)).witness
        unlink(path)
        #expect(!third.holds)
        let absent = try #require(FileWitness.look(at: path)).witness
        #expect(absent.holds)
        symlink("/etc/passwd", path)
        #expect(!absent.holds)
        #expect(FileWitness.look(at: path) == nil, "where a link leads may change unseen")
        let place = try #require(FileWitness.look(at: directory.path)).witness
        mkdir(directory.path + "/inside", 0o700)
        #expect(place.holds, "whatever is in it")
        chmod(directory.path, 0o777)
        #expect(!place.holds)
        try FileManager.default.removeItem(at: directory)
        #expect(!place.holds)
    }

    @Test("what has just changed is not relied on")
    func justChanged() throws {
        let path = directory.appending(path: "policy").path
        try "one".write(toFile: path, atomically: false, encoding: .utf8)
        let request = request(try policy("default"))
        #expect(try prepared(request, sources: [path]) == nil)
        Thread.sleep(forTimeInterval: 0.3)
        #expect(try prepared(request, sources: [path]) != nil)
    }

    /// A key of the programs in the test's directory.
    private func key(
        _ words: [String], _ variables: [String: String] = [:], store: FilePath = "/store"
    ) throws -> CommandLineKey {
        for name in CommandLineKey.programNames {
            let path = directory.appending(path: name)
            if !FileManager.default.fileExists(atPath: path.path) { try Data(name.utf8).write(to: path) }
        }
        return try CommandLineKey(
            words: words, store: store, programs: FilePath(directory.path), variable: { variables[$0] })
    }

    @Test("the key tells apart what was asked for, of which store, and in which terminal")
    func keys() throws {
        let keys = [
            try key([]), try key(["--policy", "a"]), try key(["--policy", "b"]), try key(["--policya", ""]),
            try key([], ["TERM": "dumb"]), try key([], ["CLOCHE_SCRATCH": "disk"]), try key([], ["TERM": ""]),
            try key([], store: "/copy"),
        ]
        #expect(Set(keys.map(\.bytes)).count == keys.count)
        #expect(Set(keys.map(\.fileName)).count == keys.count)
        #expect(try key([], ["OTHER": "1"]) == keys[0])
    }

    @Test("an update of either program makes another key", arguments: CommandLineKey.programNames)
    func updatedProgram(_ name: String) throws {
        let before = try key([])
        try Data("new".utf8).write(to: directory.appending(path: name), options: .atomic)
        let replaced = try key([])
        #expect(replaced != before)
        // Written over, with the same size: the time of the change tells.
        Thread.sleep(forTimeInterval: 0.05)
        try Data("old".utf8).write(to: directory.appending(path: name))
        #expect(try key([]) != replaced)
    }

    @Test("a file of which any byte has changed, or that is too short or too long, is not read")
    func damage() throws {
        let store = PreparedCommandStore(store: FilePath(directory.path))
        let key = try key(["--policy", "a"])
        let command = try #require(try prepared(request(try policy("default"))))
        store.keep(command, for: key)
        #expect(store.find(key) == command)
        let file = directory.appending(path: "prepared/\(key.fileName)")
        let whole = try Data(contentsOf: file)
        for position in stride(from: 0, to: whole.count, by: 13) {
            var bytes = whole
            bytes[position] ^= 1 << UInt8(position % 8)
            try bytes.write(to: file)
            #expect(store.find(key) == nil, "byte \(position)")
        }
        for bytes in [Data(), whole.dropLast(), whole + [0], Data(count: 1 << 20)] {
            try bytes.write(to: file)
            #expect(store.find(key) == nil, "\(bytes.count) bytes")
        }
        try whole.write(to: file)
        #expect(store.find(key) == command)
    }

    @Test("so many are kept, and no more")
    func bounds() throws {
        let store = PreparedCommandStore(store: FilePath(directory.path))
        let command = try #require(try prepared(request(try policy("default"))))
        for number in 0..<70 {
            let key = try key(["--policy", "\(number)"])
            store.keep(command, for: key)
            #expect(store.find(key) == command)
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.appending(path: "prepared").path)
        #expect(names.count <= 64)
    }
}

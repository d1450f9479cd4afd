import Glibc
import LinuxSystem
import PlainText
import SystemPackage
import Testing

@testable import Snapshots

/// A directory for one test, removed with all that is in it.
struct Scratch {
    let path: FilePath

    /// Where directories in memory are; on the disk where the kernel keeps no attributes of the user there.
    ///
    /// Tests that make and remove thousands of files spend most of their time waiting for a disk that others use too.
    private static let memory: FilePath = {
        let shared: FilePath = "/dev/shm"
        let name = FilePath("cloche-probe-\(getpid())")
        guard let parent = try? Syscall.open(shared, O_RDONLY | O_DIRECTORY) else { return "/tmp" }
        defer { try? Syscall.unlink(name, at: parent.number) }
        guard let file = try? Syscall.open(name, at: parent.number, O_RDWR | O_CREAT, mode: 0o600),
            (try? Syscall.setAttribute(TerminatedName("user.probe".utf8), of: file.number, [1])) != nil
        else { return "/tmp" }
        return shared
    }()

    /// `inMemory` is for tests whose result does not depend on the file system.
    @discardableResult
    static func with<Result>(inMemory: Bool = false, _ body: (Scratch) throws -> Result) throws -> Result {
        let name = "cloche-snapshots-" + hexadecimal(try Syscall.randomBytes(8))
        let place = inMemory ? memory : "/tmp"
        let path = place.appending(name)
        try Syscall.makeDirectory(path, mode: 0o755)
        let parent = try Syscall.open(place, O_RDONLY | O_DIRECTORY)
        defer {
            do {
                try TreeRemoval.remove(directory: parent.number, name: FilePath(name))
            } catch {
                Issue.record("clean up: \(error)")
            }
        }
        return try body(Scratch(path: path))
    }

    func at(_ relative: String) -> FilePath { path.appending(relative) }

    /// Writes a file and the directories above it.
    func write(_ relative: String, _ text: String, mode: UInt32 = 0o644) throws {
        try write(bytes: Array(relative.utf8), Array(text.utf8), mode: mode)
    }

    func write(bytes relative: [UInt8], _ content: [UInt8], mode: UInt32 = 0o644) throws {
        // Tests write many thousands of files: paths are taken apart only where a directory is missing.
        let root = try Syscall.open(path, O_RDONLY | O_DIRECTORY)
        let name = TerminatedName(relative)
        let file: OwnedFileDescriptor
        do {
            file = try Self.create(name, at: root.number)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw error }
            let full = FilePath(bytes: path.bytes + [0x2F] + relative)
            try Syscall.makeDirectories(full.removingLastComponent(), mode: 0o755)
            file = try Self.create(name, at: root.number)
        }
        try Syscall.writeAll(file.number, content, 0..<content.count)
        try Syscall.changeMode(of: file.number, mode)
    }

    private static func create(_ name: TerminatedName, at root: CInt) throws(SyscallError) -> OwnedFileDescriptor {
        try Syscall.open(name, at: root, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode: 0o600)
    }

    func makeDirectory(_ relative: String) throws { try Syscall.makeDirectories(at(relative), mode: 0o755) }

    func read(_ relative: String) throws -> [UInt8] { try Syscall.readFile(at(relative), limit: 1 << 24) }

    func status(_ relative: String) throws -> FileStatus { try Syscall.lstat(at(relative)) }

    func open(_ relative: String) throws -> OwnedFileDescriptor {
        try Syscall.open(relative.isEmpty ? path : at(relative), O_RDONLY | O_DIRECTORY)
    }

    func names(_ relative: String) throws -> [String] {
        let directory = try open(relative)
        return try Syscall.directoryEntries(directory.number).map { String(decoding: $0.name, as: UTF8.self) }.sorted()
    }

    /// Takes a snapshot of `project/` into `store/`, and ends its lease.
    @discardableResult
    func capture(
        _ change: (inout CaptureRequest) -> Void = { _ in },
        progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation = { _ in .proceed }
    ) throws -> CaptureReport {
        let project = try open("project")
        var request = CaptureRequest(project: project.number, source: "project")
        change(&request)
        let report = try store().capture(request, progress: progress)
        report.lease.end()
        return report
    }

    func store() throws -> SnapshotStore { try SnapshotStore(store: at("store")) }
}

extension Snapshot {
    /// The snapshot's own directory.
    var place: FilePath { layers[0].removingLastComponent() }

    /// The manifest's file, where the snapshot holds a whole tree.
    var manifestPath: FilePath { place.appending("manifest") }
}

extension CaptureReport {
    /// The paths in the snapshot, as text.
    func paths(_ store: SnapshotStore) throws -> [String] {
        try store.manifest(of: snapshot.identity).entries.map { displayName($0.path) }
    }

    func count(_ kind: CaptureNote.Kind) -> Int { notes.first { $0.kind == kind }?.count ?? 0 }
}

/// Runs a program to its end, with files as standard input and output.
func run(_ arguments: [String], input: [UInt8] = [], in directory: Scratch, at place: String = "") throws -> Ran {
    let unique = hexadecimal(try Syscall.randomBytes(8))
    let (inputPath, outputPath) = (FilePath("/tmp/cloche-in-" + unique), FilePath("/tmp/cloche-out-" + unique))
    try Syscall.writeFile(inputPath, input, mode: 0o600)
    defer {
        try? Syscall.unlink(inputPath)
        try? Syscall.unlink(outputPath)
    }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, inputPath.string, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, outputPath.string, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, outputPath.string + "-errors", O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    defer { try? Syscall.unlink(FilePath(outputPath.string + "-errors")) }
    let place = place.isEmpty ? directory.path : directory.at(place)
    let arguments = ["env", "-C", place.string] + arguments
    let environment = [
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1",
        "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
        "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b",
    ]
    var argv = arguments.map { strdup($0) } + [nil]
    var envp = environment.map { strdup($0) } + [nil]
    defer { for text in argv + envp { free(text) } }
    var process: pid_t = 0
    let failure = posix_spawnp(&process, arguments[0], &actions, nil, &argv, &envp)
    guard failure == 0 else { throw SyscallError("posix_spawnp", arguments[0], errno: Errno(rawValue: failure)) }
    var status: CInt = 0
    while waitpid(process, &status, 0) < 0 && errno == EINTR {}
    return Ran(
        status: status, output: try Syscall.readFile(outputPath, limit: 1 << 26),
        errors: String(
            decoding: try Syscall.readFile(FilePath(outputPath.string + "-errors"), limit: 1 << 20), as: UTF8.self))
}

struct Ran {
    let status: CInt
    let output: [UInt8]
    let errors: String

    /// The exit status; -1 after a signal.
    var exitCode: CInt { status & 0x7F == 0 ? status >> 8 & 0xFF : -1 }
    var text: String { String(decoding: output, as: UTF8.self) }
}

/// A reproducible sequence of random numbers (splitmix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Whether this process may do what only root may.
let isRoot = geteuid() == 0

extension SnapshotStore {
    /// The manifest that a stored tree has.
    static func read(tree: CInt, monitor: CaptureMonitor) throws(SnapshotError) -> (Manifest, [CaptureNote]) {
        var options = TreeWalk.Options()
        options.isCapture = false
        let survey = try TreeWalk(root: tree, options: options, monitor: monitor).run()
        let records = try TreeJob(
            survey: survey, source: tree, destination: nil, owner: nil, monitor: monitor, isCapture: false
        ).run()
        var notes = survey.notes
        notes.add(records.notes)
        return (Manifest(canonical: TreeManifest(survey: survey, records: records).write().bytes), notes.all)
    }
}

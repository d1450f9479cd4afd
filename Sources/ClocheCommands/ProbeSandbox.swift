import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Runs
import SandboxRuntime
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A sandbox with nothing in it but one of Cloche's own programs, which need no library: for trying this host.
struct ProbeSandbox {
    /// How a program ended in it, and what it wrote.
    struct Outcome {
        var code: Int32
        var output: String
        /// What its supervisor said, with the hint that came after it.
        var complaint: String, hint: String?
    }

    private static let most = 1 << 20

    /// Runs a program from the directory of `cloche` under a policy.
    static func run(_ name: String, _ arguments: [String], under policy: SandboxPolicy) throws -> Outcome {
        let own = FilePath(bytes: try Syscall.readLink("/proc/self/exe"))
        let programs = own.removingLastComponent()
        let directory = FilePath("/tmp/cloche-doctor-\(getpid())")
        try Syscall.makeDirectory(directory, mode: 0o755)
        // A leftover of a few megabytes in /tmp harms nobody.
        defer { try? remove(directory) }
        try Syscall.writeFile(
            directory.appending(name), try Syscall.readFile(programs.appending(name), limit: 32 << 20), mode: 0o755)
        // The umask may be one under which nobody else may read what is made.
        for path in [directory, directory.appending(name)] {
            let opened = try Syscall.open(path, O_RDONLY | O_NOFOLLOW)
            try Syscall.changeMode(of: opened.number, 0o755)
        }
        var stage = StageSpec(environments: [.init(layers: [directory.string])])
        stage.connect(policy.network)
        let request = OneSandbox(
            identity: HostIdentity.choose(), stage: stage,
            sandbox: SandboxSpec(policy: policy, arguments: ["/\(name)"] + arguments, variables: [:]),
            name: JobID.random().description, scratch: nil)
        return try execute(request, programs.appending("cloche-supervisor"))
    }

    /// Runs what a request names, with the supervisor at `program`, and gathers what it writes.
    static func execute(_ request: OneSandbox, _ program: FilePath) throws -> Outcome {
        let bytes = JSONFile.encode(request) ?? []
        let memory = try Syscall.sealedMemory(name: "request", bytes: bytes, executable: false)
        _ = lseek(memory.number, 0, SEEK_SET)
        let output = try Syscall.pipe()
        // Less than a pipe holds, so that it can be read afterwards.
        let errors = try Syscall.pipe()
        let number = try HostProcess.spawn(
            program, ["cloche-supervisor", "command"],
            descriptors: [
                (memory.number, SupervisorMain.requestDescriptor), (output.writing.number, 1),
                (errors.writing.number, 2),
            ])
        let process = try ProcessHandle(opening: number)
        let reading = output.takeReading()
        let complaints = errors.takeReading()
        let text = String(decoding: try Syscall.readAll(reading.number, limit: most), as: UTF8.self)
        let said = String(decoding: try Syscall.readAll(complaints.number, limit: most), as: UTF8.self)
            .split(separator: "\n").map(String.init)
        let hint = said.first { $0.hasPrefix("hint: ") }.map { String($0.dropFirst("hint: ".count)) }
        let code: Int32 = if case .exited(let status)? = try process.wait()?.end { status } else { 125 }
        return Outcome(
            code: code, output: text,
            complaint: said.filter { !$0.hasPrefix("hint: ") }.joined(separator: "; "), hint: hint)
    }

    private static func remove(_ directory: FilePath) throws {
        let parent = try Syscall.open(directory.removingLastComponent(), O_RDONLY | O_DIRECTORY)
        try TreeRemoval.remove(directory: parent.number, name: FilePath(directory.lastComponent?.string ?? ""))
    }
}

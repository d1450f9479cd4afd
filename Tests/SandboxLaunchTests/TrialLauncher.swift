import Glibc
import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage

/// A launcher with a shell in place of init, which reads its script from standard input.
///
/// Whatever is to be seen of a set-up, the script prints; what it mounts is gone with it.
enum TrialLauncher {
    struct Outcome {
        let output: String
        let end: ProcessEnd?
    }

    /// CLONE_NEWNS.
    private static let mountNamespace: UInt32 = 0x0002_0000

    private static let keepMounts = LaunchPlan.Operation.mount(
        source: "none", target: "/", type: nil, flags: UInt64(MS_REC | MS_PRIVATE), data: nil)

    /// Whether this process may make mount namespaces.
    static let isAllowed = (try? run([], "exit 0"))?.end == .exited(0)

    static let reason = "mount namespaces take the rights of root"

    /// Carries out `operations` in a mount namespace of its own, and then a script.
    static func run(
        _ operations: [LaunchPlan.Operation], namespaces: UInt32 = 0, _ script: String
    ) throws -> Outcome {
        let plan = LaunchPlan(namespaces: mountNamespace | namespaces, operations: [keepMounts] + operations)
        let command = CommandPlan(arguments: ["sh"], candidates: ["/bin/sh"], variables: [], directory: "/")
        let program = try Syscall.open("/bin/sh", O_RDONLY)
        let text = try Syscall.sealedMemory(name: "script", bytes: script.utf8, executable: false)
        // Opened anew, so that reading begins at the start.
        let input = try Syscall.open(FilePath("/proc/self/fd/\(text.number)"), O_RDONLY)
        let pipe = try Syscall.pipe().release()
        let reading = OwnedFileDescriptor(adopting: pipe.reading)
        let writing = OwnedFileDescriptor(adopting: pipe.writing)
        let launcher = try Launcher(lists: [], unifiedDirectory: nil, unifiedList: nil, user: nil)
        defer { launcher.end() }
        let sandbox = try launcher.launch(
            plan, command: command, initProgram: program.number,
            streams: [input.number, writing.number, writing.number])
        try writing.close()
        let output = try Syscall.readAll(reading.number, limit: 1 << 20)
        return Outcome(output: String(decoding: output, as: UTF8.self), end: try sandbox.process.wait()?.end)
    }

    /// The failure of a set-up; nil where it went well.
    static func failure(of operations: [LaunchPlan.Operation], namespaces: UInt32 = 0) throws -> LaunchError? {
        do {
            _ = try run(operations, namespaces: namespaces, "exit 0")
            return nil
        } catch let error as LaunchError {
            return error
        }
    }
}

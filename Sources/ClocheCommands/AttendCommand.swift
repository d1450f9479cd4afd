import ArgumentParser
import Isolation
import JobScheduling
import LinuxSystem
import Runs
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// What a shared service starts for each client; descriptor 3 is the connection.
struct AttendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attend", abstract: "Attend to a client of a shared service; started by it.", shouldDisplay: false)

    func run() throws {
        // Only whether there is a client; who it is the attendance asks again, and ends where it is not told.
        guard let text = environmentVariable(SharingSettings.variable),
            let settings = JSONFile.decode(SharingSettings.self, Array(text.utf8)),
            (try? Syscall.peerUser(3)) != nil
        else {
            throw CommandFailure(
                .usage, "attend to a client: there is none",
                hint: "it is `cloche serve --share` that starts this command")
        }
        // The service gone, nobody would count what is begun here.
        try Syscall.endWithParent(getppid())
        guard chdir("/") == 0 else { throw SyscallError.last("chdir", "/") }
        let attendance = ClientAttendance(
            OwnedFileDescriptor(adopting: 3), store: try CommandContext.storePath(), settings: settings)
        throw ExitCode(attendance.run())
    }
}

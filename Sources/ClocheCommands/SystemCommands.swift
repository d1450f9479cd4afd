import ArgumentParser
import JobScheduling
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

struct SystemCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "system", abstract: "Look after this host and the store.",
        subcommands: [
            DoctorCommand.self, DiskUsageCommand.self, SystemStatusCommand.self, SystemStopCommand.self,
            SystemUnitCommand.self, PruneCommand.self, ReindexCommand.self, SystemMeasureCommand.self,
        ])
}

/// What a shared service starts to know how much a user keeps.
struct SystemMeasureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure", abstract: "Note what a user's store takes on the disk.", shouldDisplay: false)

    @Argument var store: String
    @Argument var limit: Int64

    func run() throws {
        try Syscall.endWithParent(getppid())
        try StoreSize.measure(FilePath(store), limit: limit)
    }
}

import ArgumentParser

struct SystemCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "system", abstract: "Look after this host and the store.",
        subcommands: [
            DoctorCommand.self, DiskUsageCommand.self, SystemStatusCommand.self, SystemStopCommand.self,
            SystemUnitCommand.self, ReindexCommand.self,
        ])
}

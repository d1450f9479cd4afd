import ArgumentParser
import JobScheduling
import Pipelines
import PlainText
import Policies
import TerminalOutput

// What a shared service does for its users. What is not here is refused: a new command is for the store's owner alone
// until somebody has looked at what it opens.

extension ListCommand: ServedCommand {}
extension ShowCommand: ServedCommand {}
extension LogsCommand: ServedCommand {}
extension WatchCommand: ServedCommand {}
extension CompareCommand: ServedCommand {}
extension CancelCommand: ServedCommand {}
extension RetryCommand: ServedCommand {}
extension RemoveCommand: ServedCommand {}
extension JobStartCommand: ServedCommand {}
extension JobPauseCommand: ServedCommand {}
extension JobResumeCommand: ServedCommand {}
extension JobTriggerCommand: ServedCommand {}
extension JobCopyCommand: ServedCommand {}
extension DiskUsageCommand: ServedCommand {}
extension EnvironmentListCommand: ServedCommand {}
extension SnapshotListCommand: ServedCommand {}
extension SnapshotPruneCommand: ServedCommand {}
extension SecretListCommand: ServedCommand {}
extension SecretRemoveCommand: ServedCommand {}
extension PolicyListCommand: ServedCommand {}

extension RunCommand: ServedCommand {
    var sent: SentFiles { SentFiles(pipeline: pipeline) }
    mutating func restrict(to client: ServedClient) throws { try client.requireProject() }
}

extension JobCreateCommand: ServedCommand {
    var sent: SentFiles { SentFiles(pipeline: grid.pipeline, parameters: grid.parameters) }

    mutating func restrict(to client: ServedClient) throws {
        try client.requireProject()
        grid.parameters = try client.received(grid.parameters)
    }
}

extension JobEditCommand: ServedCommand {
    var sent: SentFiles { SentFiles(parameters: parameters) }
    mutating func restrict(to client: ServedClient) throws { parameters = try client.received(parameters) }
}

extension SecretSetCommand: ServedCommand {
    var sent: SentFiles { SentFiles(secret: name) }
}

extension DiffCommand: ServedCommand {
    mutating func restrict(to client: ServedClient) throws {
        guard project else { return }
        throw CommandFailure(
            .permissionDenied, "compare with the project: a service does not read the directories of its users",
            hint: "leave --project away: the job's snapshot is the project as it was")
    }
}

extension EnvironmentRemoveCommand: ServedCommand {
    mutating func restrict(to client: ServedClient) throws {
        if let name, name.hasPrefix(StoreOwner(user: client.user, name: nil).environmentPrefix) { return }
        throw CommandFailure(
            .permissionDenied, "remove environments: those of a service's users alone are theirs",
            hint: "name one that was built for you; `cloche env ls` lists them")
    }
}

extension PolicyShowCommand: ServedCommand {
    mutating func restrict(to client: ServedClient) throws {
        try ServedClient.requireName(name)
        try client.requireUse(of: CommandContext.policies().resolve(name))
    }
}

extension PolicyExplainCommand: ServedCommand {
    mutating func restrict(to client: ServedClient) throws {
        // Of a policy by its name it would show the mounts of the service's store.
        if name.contains("/") { return }
        throw CommandFailure(
            .permissionDenied, "explain the policy `\(printable(name))`: a service explains runs alone to its users",
            hint: "`cloche policy show \(shellWord(name)) --effective` tells what it says")
    }
}

extension JobPlanCommand: StorelessCommand {}
extension PipelineValidateCommand: StorelessCommand {}
extension PolicyKeysCommand: StorelessCommand {}
extension PolicySchemaCommand: StorelessCommand {}
extension CompletionCommand: StorelessCommand {}
extension VersionCommand: StorelessCommand {}

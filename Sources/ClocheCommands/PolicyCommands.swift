import ArgumentParser
import Environments
import Isolation
import JobScheduling
import Jobs
import LinuxSystem
import Pipelines
import Policies
import SandboxRuntime
import SystemPackage
import TerminalOutput

struct PolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Look at policies, ask them, and change them.",
        subcommands: [
            PolicyListCommand.self, PolicyShowCommand.self, PolicyValidateCommand.self, PolicyExplainCommand.self,
            PolicyDiffCommand.self, PolicyTestCommand.self, PolicyLearnCommand.self, PolicyScoreCommand.self,
            PolicyKeysCommand.self, PolicySchemaCommand.self, PolicyApplyCommand.self, PolicyRollbackCommand.self,
            PolicyRemoveCommand.self, PolicyLogCommand.self,
        ])
}

struct PolicyListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ls", abstract: "List the policies.")
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let catalogue = try CommandContext.policies()
        for stray in catalogue.strayFiles { context.say("warning: \(stray)") }
        if output.json {
            return try context.print(
                Documents.object([("policies", .array(catalogue.names.map { .string($0) }))]))
        }
        var table = Table([
            Table.Column("POLICY"), Table.Column("NETWORK"), Table.Column("DATA"), Table.Column("RUNS AS"),
            Table.Column("SCORE", alignment: .trailing, minimum: 3), Table.Column("FOR", priority: 1),
        ])
        var failures: [CommandFailure] = []
        for name in catalogue.names {
            let policy: SandboxPolicy
            do throws(PolicyError) {
                policy = try catalogue.policy(named: name)
            } catch {
                failures += [Failures.failure(error)].compactMap { $0 }
                continue
            }
            table.append([
                Table.Cell(policy.name), Table.Cell(policy.networkText), Table.Cell(policy.data.rawValue),
                Table.Cell(policy.identity.rawValue), Table.Cell("\(PolicyScore(policy).score)"),
                Table.Cell(PolicyPurpose.of(policy.name)?.title ?? ""),
            ])
        }
        try context.print(table)
        for failure in failures { context.say(failure.description) }
        if let failure = failures.first { throw ExitCode(failure.exitCode) }
    }
}

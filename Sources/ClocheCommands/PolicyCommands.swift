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
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List the policies.",
        discussion: """
            Examples:
              cloche policy ls
            """, aliases: ["list"])
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let catalogue = try CommandContext.policies()
        let client = ServedClient.current
        for stray in client == nil ? catalogue.strayFiles : [] { context.say("warning: \(stray)") }
        // A client is told of those that he may use; what is wrong with others is not his affair.
        let names = catalogue.names.filter { name in
            guard let client else { return true }
            return (try? catalogue.resolve(name)).map(client.mayUse) ?? false
        }
        if output.json {
            return try context.print(Documents.object([("policies", .array(names.map { .string($0) }))]))
        }
        var table = Table([
            Table.Column("POLICY"), Table.Column("NETWORK"), Table.Column("DATA"), Table.Column("RUNS AS"),
            Table.Column("SCORE", alignment: .trailing, minimum: 3), Table.Column("FOR", priority: 1),
            Table.Column("USERS", priority: 2),
        ])
        var failures: [CommandFailure] = []
        for name in names {
            let resolved: ResolvedPolicy
            do throws(PolicyError) {
                resolved = try catalogue.resolve(name)
            } catch {
                failures += [Failures.failure(error)].compactMap { $0 }
                continue
            }
            let policy = resolved.policy
            table.append([
                Table.Cell(policy.name), Table.Cell(policy.networkText), Table.Cell(policy.data.rawValue),
                Table.Cell(policy.identity.rawValue), Table.Cell("\(PolicyScore(policy).score)"),
                Table.Cell(PolicyPurpose.of(policy.name)?.title ?? ""),
                Table.Cell(resolved.users?.entries.joined(separator: ", ") ?? "all"),
            ])
        }
        try context.print(table)
        for failure in failures { context.say(failure) }
        if let failure = failures.first { throw ExitCode(failure.exitCode) }
    }
}

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
        commandName: "policy", abstract: "Look at policies.",
        subcommands: [
            PolicyListCommand.self, PolicyShowCommand.self, PolicyValidateCommand.self, PolicyExplainCommand.self,
            PolicyDiffCommand.self,
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
                Table.Cell(policy.name), Table.Cell(policy.network.rawValue), Table.Cell(policy.data.rawValue),
                Table.Cell(policy.identity.rawValue),
            ])
        }
        try context.print(table)
        for failure in failures { context.say(failure.description) }
        if let failure = failures.first { throw ExitCode(failure.exitCode) }
    }
}

struct PolicyShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show a policy.")
    @Argument(help: "Its name.") var name: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let policy = try CommandContext.policy(name)
        if output.json { return try context.print(Documents.object([("policy", Documents.value(policy))])) }
        var lines = [
            "network  \(policy.network.rawValue)", "data     \(policy.data.rawValue)",
            "runs as  \(policy.identity.rawValue)",
        ]
        for limit in LimitName.allCases {
            if let value = policy.limits.value(of: limit) {
                lines.append("limit    \(limit.rawValue) \(RunTable.number(value)) (\(limit.unit))")
            }
        }
        for group in policy.seccomp.groups.values.sorted(by: { $0.id.rawValue < $1.id.rawValue }) {
            lines.append("refuses  \(group.id.rawValue): \(policy.seccomp.calls(refusedBy: group.id).count) calls")
        }
        lines += (policy.clipped ?? []).map { "clipped  \(printable($0))" }
        try context.print(lines.joined(separator: "\n"))
    }
}

struct PolicyValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate", abstract: "Read policy documents, and tell everything that is wrong with them.")
    @Argument(help: "Files; what they extend is looked for among the policies that there are.") var files: [String]

    func run() throws {
        let context = CommandContext()
        let catalogue = try CommandContext.policies()
        var code: Int32 = 0
        for file in files {
            let path = FilePath(file)
            do {
                let bytes = try Syscall.readFile(path, limit: PolicyDocument.sizeLimit + 1)
                if path.lastComponent?.string == PolicyCeiling.fileName {
                    _ = try PolicyCeiling(reading: bytes, file: file)
                } else {
                    _ = try catalogue.resolve(reading: bytes, name: path.lastComponent?.stem ?? "", file: file)
                }
                context.say("\(printable(file)): valid")
            } catch {
                guard let failure = Failures.failure(error) else { throw error }
                context.say(failure.description)
                code = failure.exitCode
            }
        }
        if code != 0 { throw ExitCode(code) }
    }
}

struct PolicyExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Print what a sandbox under a policy would be, whole: mounts, ids, limits, system calls.")
    @Argument(help: "Its name.") var name: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let policy = try CommandContext.policy(name)
        let store = try SandboxStore(try CommandContext.storePath())
        var wishes = SandboxWishes()
        // Where the policy wants the data of a project, the one that this is called in is as good as any.
        if policy.dataScope == .project { wishes.project = "." }
        let environment =
            try store.environment(wishes.environment) ?? SandboxStore.Environment(layers: [], variables: [:])
        let explanation = try wishes.request(["COMMAND"], under: policy, in: environment, of: store).explanation()
        try output.json ? context.print(json: explanation) : context.print(SandboxDescription(explanation).text)
    }
}

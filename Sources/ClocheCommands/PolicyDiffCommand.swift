import ArgumentParser
import Isolation
import LinuxSystem
import Pipelines
import Policies
import SystemPackage
import TerminalOutput

struct PolicyDiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Compare two policies by what they allow.",
        discussion: """
            Exit code 0: they allow and refuse the same; 1: they differ; more: one of them cannot be read.

            Examples:
              cloche policy diff default strict
              cloche policy diff lab ./policies/lab.yaml      before it is put into force
            """)
    @Argument(help: "A policy's name, or a document: a path with a `/` or with `.yaml` at its end.") var before: String
    @Argument(help: "The one that is compared with it.") var after: String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let catalogue = try CommandContext.policies()
        let differences = PolicyDifference.between(
            try Self.policy(before, catalogue), try Self.policy(after, catalogue))
        if output.json {
            struct Document: Encodable { var differences: [PolicyDifference] }
            try context.print(json: Document(differences: differences))
        } else {
            try Self.print(differences, context)
            if differences.isEmpty { context.say("no differences") }
        }
        if !differences.isEmpty { throw ExitCode(1) }
    }

    /// Tells differences, with what is allowed more before the rest.
    static func print(_ differences: [PolicyDifference], _ context: CommandContext) throws {
        for effect in PolicyDifference.Effect.allCases {
            let these = differences.filter { $0.effect == effect }
            guard !these.isEmpty else { continue }
            try context.print(context.streams.output.styling.apply(.bold, to: Self.title(effect)))
            for difference in these {
                try context.print("  \(difference.key): \(difference.before) -> \(difference.after)")
                if !difference.calls.isEmpty { try context.print("    " + difference.calls.joined(separator: " ")) }
            }
        }
    }

    private static func title(_ effect: PolicyDifference.Effect) -> String {
        switch effect {
        case .more: "allows more"
        case .less: "allows less"
        case .other: "is different"
        }
    }

    /// The policy of a name, or that of a document that is named by its path.
    static func policy(_ text: String, _ catalogue: PolicyCatalogue) throws -> SandboxPolicy {
        guard text.contains("/") || text.hasSuffix(".yaml") else { return try catalogue.policy(named: text) }
        let path = FilePath(text)
        let bytes = try Syscall.readFile(path, limit: PolicyDocument.sizeLimit + 1)
        return try catalogue.resolve(reading: bytes, name: path.lastComponent?.stem ?? "", file: text).policy
    }
}

import ArgumentParser
import Isolation
import JobScheduling
import Jobs
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
              cloche policy diff lab ./drafts/other.yaml
              cloche policy diff --live ./drafts/lab.yaml     what it would change
              cloche policy diff --live sweep                 what changed since that job
            """)
    @Argument(
        help:
            "A policy's name, or a document: a path with a `/` or with `.yaml` at its end; with --live, a document or a job.",
        completion: Completion.policies)
    var before: String
    @Argument(help: "The one that is compared with it.", completion: Completion.policies) var after: String?
    @Flag(help: "Compare with the policy that is in force under the document's name, or that of the job's policy.")
    var live = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if live, after != nil { throw ValidationError("--live takes one document, or one job") }
        if !live, after == nil { throw ValidationError("name two policies, or one document or job with `--live`") }
    }

    func run() throws {
        let context = CommandContext()
        let (first, second) = try policies(context)
        let differences = PolicyDifference.between(first, second)
        if output.json {
            struct Document: Encodable { var differences: [PolicyDifference] }
            try context.print(json: Document(differences: differences))
        } else {
            try Self.print(differences, context)
            if differences.isEmpty { context.say("no differences") }
        }
        if !differences.isEmpty { throw ExitCode(1) }
    }

    private func policies(_ context: CommandContext) throws -> (SandboxPolicy, SandboxPolicy) {
        let catalogue = try CommandContext.policies()
        if let after { return (try Self.policy(before, catalogue), try Self.policy(after, catalogue)) }
        if Self.isPath(before) {
            let document = try Self.policy(before, catalogue)
            return (try catalogue.policy(named: document.name), document)
        }
        let store = try context.openStore()
        let document = try store.document(try Target(before, in: store).job.uuid)
        return (try store.policy(of: document), try catalogue.policy(named: document.policy.name))
    }

    private static func isPath(_ text: String) -> Bool { text.contains("/") || text.hasSuffix(".yaml") }

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
        guard isPath(text) else { return try catalogue.policy(named: text) }
        let path = FilePath(text)
        let bytes = try Syscall.readFile(path, limit: PolicyDocument.sizeLimit + 1)
        return try catalogue.resolve(reading: bytes, name: path.lastComponent?.stem ?? "", file: text).policy
    }
}

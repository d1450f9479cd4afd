import ArgumentParser
import Environments
import Isolation
import JobScheduling
import PlainText
import Policies
import SandboxRuntime
import SystemPackage
import TerminalOutput

struct PolicyTestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test", abstract: "Ask whether a policy allows something, or run a command under it.",
        discussion: """
            Questions: `connect HOST:PORT`, `read PATH`, `write PATH`, `open PATH`, `exec PATH`, `syscall NAME [ARGUMENT...]`. \
            They are answered from the plan of a sandbox that is not started. With --prove one is, and does each. \
            Exit code 0: all is allowed; 1: something is refused, or cannot be told.

            After `--` a command is run under the policy, and what was refused to it is told at its end; exit code 0 when \
            it succeeded and nothing was refused.

            Examples:
              cloche policy test lab --can 'connect example.org:443' --can 'write /data/x'
              cloche policy test strict --can 'syscall socket 40 1 0' --prove
              cloche policy test ./lab.yaml -- python3 train.py
            """)
    @Argument(
        help: "A policy's name, or a document: a path with a `/` or with `.yaml` at its end.",
        completion: Completion.policies) var policy: String
    @Option(name: .customLong("can"), help: "A question; may be given several times.") var questions: [String] = []
    @Flag(help: "Also do what is asked for, in a sandbox.") var prove = false
    @Option(help: "The environment: a base, or the uuid of one of a project's.") var environment = "python"
    @Option(help: "A directory that is shown, with throw-away changes, at /project-dir.") var project: String?
    @OptionGroup var output: OutputOptions
    @Argument(parsing: .postTerminator, help: "A command and its arguments, after `--`.") var command: [String] = []

    func validate() throws {
        if questions.isEmpty == command.isEmpty {
            throw ValidationError("ask something by --can, or name a command after `--`")
        }
        if prove, !command.isEmpty { throw ValidationError("--prove is for questions: a command is run anyway") }
    }

    func run() throws {
        let context = CommandContext()
        // Before all that has to be there for an answer.
        let asked = try questions.map { text in
            do throws(PolicyQuestionError) {
                return try PolicyQuestion(parsing: text)
            } catch {
                throw CommandFailure(.usage, error.description, hint: error.hint)
            }
        }
        let policy = try PolicyDiffCommand.policy(policy, CommandContext.policies())
        let store = try SandboxStore(try CommandContext.storePath())
        let record = try context.environment(environment, of: store)
        let shown = context.withoutJob(policy)
        var wishes = SandboxWishes()
        wishes.project = project
        // Questions alone are answered wherever the policy is written.
        if prove || !command.isEmpty { try DeviceChecks.check(policy, for: store.identity, context) }
        guard command.isEmpty else {
            let request = try wishes.request(command, under: shown, in: record, of: store)
            try PolicyTrial(request, store: store, context: context, json: output.json).run()
        }
        let request = try wishes.request(["COMMAND"], under: shown, in: record, of: store, isOnlyShown: true)
        var inquiry = PolicyInquiry(asked, of: request)
        if prove { try inquiry.prove() }
        try tell(inquiry, context)
        if !inquiry.allAllowed { throw ExitCode(1) }
    }

    private func tell(_ inquiry: PolicyInquiry, _ context: CommandContext) throws {
        if output.json {
            struct Document: Encodable {
                var policy: String
                var answers: [PolicyInquiry.Answer]
            }
            try context.print(json: Document(policy: inquiry.policy.name, answers: inquiry.answers))
        } else {
            let styling = context.streams.output.styling
            for answer in inquiry.answers {
                let style: Style = answer.answer == .allowed ? .green : .red
                let proof = answer.proof.map { "; done: \($0.rawValue), \(printable(answer.outcome ?? ""))" } ?? ""
                try context.print(
                    styling.apply(style, to: answer.answer.rawValue.padding(to: 8)) + " \(printable(answer.question)): "
                        + "\(printable(answer.reason)) (by `\(printable(answer.rule))`)\(proof)")
            }
        }
        for answer in inquiry.answers where answer.isContradicted {
            context.say(
                "warning: \(printable(answer.question)) was expected to be \(answer.answer.rawValue): "
                    + "report it with `cloche policy test --json`")
        }
    }
}

extension String {
    fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

extension CommandContext {
    /// The environment of that name that is in force, to try a policy in.
    func environment(_ name: String, of store: SandboxStore) throws -> SandboxStore.Environment {
        guard EnvironmentName(name) != nil else {
            throw CommandFailure(
                .notFound, "find the environment `\(printable(name))`: that is no name of one",
                hint: "`cloche env ls` lists them; `cloche env import NAME PATH` makes one of a directory or an image")
        }
        guard let environment = try store.environment(name) else {
            throw CommandFailure(
                .notFound, "find the environment `\(printable(name))`: it has not been built",
                hint: MeantNames.environment(name))
        }
        return environment
    }

    /// The policy as a command has it that belongs to no job; says what is not as in one.
    func withoutJob(_ policy: SandboxPolicy) -> SandboxPolicy {
        guard policy.data != .none, policy.dataScope == .job else { return policy }
        say("note: there is no job here, so /data is that of scope `shared`")
        var shown = policy
        shown.dataScope = .shared
        return shown
    }
}

import ArgumentParser
import Isolation
import JobScheduling
import Pipelines
import PlainText
import Policies
import SandboxRuntime
import TerminalOutput

struct PolicyExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tell what a policy means; of a run or a step, also what was refused, and what would allow it.",
        discussion: """
            Of a policy: what a sandbox under it would be, in words and whole: mounts, ids, limits, system calls.
            Of a run: the policy that it was pinned with, each refusal with its rule, and the smallest document that \
            would allow it.

            Examples:
              cloche policy explain strict
              cloche policy explain sweep/7
              cloche policy explain sweep/7/train --json
            """)
    @Argument(help: "A policy's name, JOB/7 or JOB/7/STEP.", completion: Completion.policiesAndReferences) var name:
        String
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        guard !name.contains("/") else { return try explainRun(context) }
        let policy = try CommandContext.policy(name)
        let store = try SandboxStore(try CommandContext.storePath())
        var wishes = SandboxWishes()
        // Where the policy wants the data of a project, the one that this is called in is as good as any.
        if policy.dataScope == .project { wishes.project = "." }
        var shown = policy
        if policy.data != .none, policy.dataScope == .job {
            context.say("note: there is no job here, so the mount of /data below is that of scope `shared`")
            shown.dataScope = .shared
        }
        let environment =
            try store.environment(wishes.environment) ?? SandboxStore.Environment(layers: [], variables: [:])
        let explanation = try wishes.request(["COMMAND"], under: shown, in: environment, of: store, isOnlyShown: true)
            .explanation()
        guard output.json else {
            try context.print(policy.sentences.map { "- \($0)" }.joined(separator: "\n") + "\n")
            return try context.print(SandboxDescription(explanation).text)
        }
        guard case .object(var document) = Documents.value(explanation) else { return }
        document["sentences"] = Documents.value(policy.sentences)
        try context.print(.object(document))
    }

    private func explainRun(_ context: CommandContext) throws {
        let store = try context.openStore()
        let target = try Target(name, in: store)
        guard let run = target.run else {
            throw ValidationError("name a run, as in `\(printable(name))/0`, or a policy")
        }
        let explanation = try RunExplanation(
            run, of: target.job, step: target.step, in: store, CommandContext.policies())
        try output.json ? context.print(json: explanation) : context.print(explanation.text)
    }
}

import ArgumentParser
import Isolation
import PlainText
import Policies
import TerminalOutput

struct PolicyScoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "score",
        abstract: "Tell how much a policy leaves open, from 0 to 10, and what closing it would cost.",
        discussion: """
            Each row is something that is open. Its test is one of those that `cloche system doctor --prove` makes, or a \
            question of `cloche policy test`. Scores compare policies; the best one is the smallest that does.

            Exit code 1: the score is above --threshold.

            Example:
              cloche policy score lab --threshold 3
            """)
    @Argument(
        help: "A policy's name, or a document: a path with a `/` or with `.yaml` at its end.",
        completion: Completion.policies) var policy: String
    @Option(help: "The highest score that is good enough.") var threshold: Double?
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        if let threshold, !(0...10).contains(threshold) {
            throw ValidationError("--threshold is from 0 to 10")
        }
        let policy = try PolicyDiffCommand.policy(policy, CommandContext.policies())
        let score = PolicyScore(policy)
        if output.json {
            struct Document: Encodable {
                var policy: String, score: Double
                var threshold: Double?
                var doors: [PolicyScore.Door]
            }
            try context.print(
                json: Document(policy: policy.name, score: score.score, threshold: threshold, doors: score.doors))
        } else {
            try tell(score, of: policy, context)
        }
        if let threshold, score.score > threshold {
            if !output.json { context.say("above the threshold of \(threshold)") }
            throw ExitCode(1)
        }
    }

    private func tell(_ score: PolicyScore, of policy: SandboxPolicy, _ context: CommandContext) throws {
        var table = Table([
            Table.Column("POINTS", alignment: .trailing, minimum: 4), Table.Column("DOOR"),
            Table.Column("OPEN", priority: 1),
            Table.Column("CLOSING IT COSTS", priority: 2), Table.Column("TEST", priority: 3),
        ])
        for door in score.doors {
            table.append([
                Table.Cell("\(door.points)"), Table.Cell(door.key), Table.Cell(door.opens), Table.Cell(door.cost),
                Table.Cell(door.probe ?? door.question ?? ""),
            ])
        }
        if !score.doors.isEmpty { try context.print(table) }
        try context.print("exposure of policy `\(printable(policy.name))`: \(score.score) of 10")
        for clip in policy.clipped ?? [] { context.say("note: the administrator's ceiling took \(printable(clip))") }
    }
}

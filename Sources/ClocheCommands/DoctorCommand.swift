import ArgumentParser
import Isolation
import Pipelines
import PlainText
import TerminalOutput

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Try what sandboxes need on this host, and say what to do where it is missing.",
        discussion: """
            With --prove it starts a sandbox and tries to get out of it, by everything that is known to have worked \
            somewhere; a way that is open is a failure.

            Examples:
              cloche system doctor
              cloche system doctor --prove
            """)
    @Flag(help: "Try to get out of a sandbox.") var prove = false
    @Option(help: "With --prove: the policy of that sandbox.") var policy = "default"
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let checks = HostChecks.all()
        let escapes = prove ? try EscapeAttempt.all(under: CommandContext.policy(policy)) : []
        let open = escapes.filter { $0.result == .open }
        if output.json {
            var fields = [("checks", JSONValue.array(checks.map { Documents.value($0) }))]
            if prove { fields.append(("escapes", .array(escapes.map { Documents.value($0) }))) }
            try context.print(Documents.object(fields))
        } else {
            var table = Table([Table.Column("CHECK"), Table.Column("STATE"), Table.Column("DETAIL", priority: 1)])
            for check in checks {
                table.append([Table.Cell(check.name), Table.Cell(check.state), Table.Cell(check.detail)])
            }
            try context.print(table)
            for check in checks { if let remedy = check.remedy { context.say("\(check.name): \(printable(remedy))") } }
            if prove {
                let held = escapes.count { $0.result == .held }
                try context.print("\(held) ways out of a sandbox under policy `\(policy)` are closed")
                for attempt in escapes where attempt.result != .held {
                    try context.print("\(attempt.result.rawValue): \(attempt.name): \(printable(attempt.detail))")
                }
            }
        }
        if !open.isEmpty {
            throw CommandFailure(
                .failed,
                "keep a sandbox closed: \(counted(open.count, "way")) out of it \(open.count == 1 ? "is" : "are") open",
                hint:
                    "run nothing that you do not trust on this host; report it with `cloche system doctor --prove --json`"
            )
        }
        if checks.contains(where: { $0.state == "failed" }) { throw ExitCode(1) }
    }
}

/// A way out of a sandbox that was tried in one.
struct EscapeAttempt: Encodable {
    enum Result: String, Encodable {
        /// It is closed.
        case held
        /// It leads out.
        case open
        /// It cannot be tried here.
        case skipped
    }

    var result: Result
    var name: String
    var detail: String

    /// Tries every way in a sandbox under a policy.
    static func all(under policy: SandboxPolicy) throws -> [EscapeAttempt] {
        let outcome = try ProbeSandbox.run("cloche-prove", ["all"], under: policy)
        let attempts = outcome.output.split(separator: "\n").compactMap { line -> EscapeAttempt? in
            let parts = line.split(separator: "\t", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3, let result = Result(rawValue: parts[0]) else { return nil }
            return EscapeAttempt(result: result, name: parts[1], detail: parts[2])
        }
        guard !attempts.isEmpty, outcome.code == 0 || attempts.contains(where: { $0.result == .open }) else {
            let reason = outcome.complaint.isEmpty ? "it ended with \(outcome.code)" : outcome.complaint
            throw CommandFailure(.sandboxSetup, "try the ways out of a sandbox: \(reason)", hint: outcome.hint)
        }
        return attempts
    }
}

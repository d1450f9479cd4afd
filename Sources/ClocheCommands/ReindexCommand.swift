import ArgumentParser
import JobScheduling
import JobStorage
import Jobs
import Pipelines
import PlainText
import SystemPackage
import TerminalOutput

struct ReindexCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reindex",
        abstract: "Make the database anew from the documents of jobs and the directories of runs.",
        discussion: """
            The database is an index: when it is lost, damaged, or of a format that this program cannot read, it is made again. \
            The old file stays beside it. A retry that was asked for and had not started is forgotten, as nothing but the \
            database told of it.

            Examples:
              cloche system reindex
              cloche system reindex --users
            """)

    @Flag(help: "Make those of a shared service's users anew as well, each in a store of its own.") var users = false
    @OptionGroup var output: OutputOptions

    /// What came of one store.
    private struct Result {
        var owner: StoreOwner?
        var report: StoreRebuild.Report
    }

    func run() throws {
        let context = CommandContext()
        let path = try CommandContext.storePath()
        let owners = try StoreOwner.all(in: path)
        var results = [try rebuild(path, of: nil)]
        if users { results += try owners.map { try rebuild($0.store, of: $0.owner) } }
        if output.json {
            var document = Self.document(results[0].report)
            if users {
                document["users"] = .array(
                    results.dropFirst().map { result in
                        var document = Self.document(result.report)
                        document["user"] = .string(result.owner?.text ?? "")
                        return .object(document)
                    })
            }
            try context.print(JSONValue.object(document))
        } else {
            for result in results { tell(result, context) }
            if !users, !owners.isEmpty {
                context.say(
                    "the stores of \(counted(owners.count, "user")) were not looked at: --users makes theirs anew as well, "
                        + "`CLOCHE_OWNER=NAME cloche system reindex` that of one")
            }
        }
        let leftOut = results.flatMap(\.report.leftOut)
        guard leftOut.isEmpty else {
            throw CommandFailure(
                .invalidData,
                leftOut.prefix(50).map {
                    .init(
                        "leave out job \($0.job): \($0.why)",
                        hint: "restore its `job.json` from a backup, then reindex again")
                }, omitted: max(0, leftOut.count - 50))
        }
    }

    private func rebuild(_ path: FilePath, of owner: StoreOwner?) throws -> Result {
        let report = try StoreRebuild.rebuild(path)
        // Runs that nobody makes any more get their end.
        _ = try Recovery.reconcile(Store.open(path))
        return Result(owner: owner, report: report)
    }

    private func tell(_ result: Result, _ context: CommandContext) {
        let report = result.report
        let whose = result.owner.map { "user \(printable($0.text)): " } ?? ""
        for renaming in report.database.renamings {
            context.say(
                "warning: \(whose)job \(renaming.job) is called `\(renaming.to)` now: an older one is called "
                    + "`\(renaming.from)`")
        }
        context.say(whose + "\(counted(report.database.jobs, "job")) with \(counted(report.database.runs, "run"))")
        if let backup = report.backup { context.say("\(whose)the old database is `\(printable(backup.string))`") }
    }

    private static func document(_ report: StoreRebuild.Report) -> JSONObject {
        let renamed = report.database.renamings.map { renaming in
            Documents.object([
                ("uuid", .string(renaming.job.description)), ("from", .string(renaming.from.description)),
                ("to", .string(renaming.to.description)),
            ])
        }
        let leftOut = report.leftOut.map { entry in
            Documents.object([("uuid", .string(entry.job.description)), ("reason", .string(entry.why))])
        }
        return JSONObject([
            ("jobs", Documents.value(report.database.jobs)), ("runs", Documents.value(report.database.runs)),
            ("renamed", .array(renamed)), ("left_out", .array(leftOut)),
            ("backup", report.backup.map { .string($0.string) } ?? .null),
        ])
    }
}

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
            The database is an index: when it is lost, damaged, or of a format that this program cannot read, it is made again.
            The old file stays beside it. A retry that was asked for and had not started is forgotten, as nothing but the
            database told of it.
            """)

    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let path = try CommandContext.storePath()
        let report = try StoreRebuild.rebuild(path)
        // Runs that nobody makes any more get their end.
        _ = try context.openStore()
        if output.json {
            let renamed = report.database.renamings.map { renaming in
                Documents.object([
                    ("uuid", .string(renaming.job.description)), ("from", .string(renaming.from.description)),
                    ("to", .string(renaming.to.description)),
                ])
            }
            let leftOut = report.leftOut.map { entry in
                Documents.object([("uuid", .string(entry.job.description)), ("reason", .string(entry.why))])
            }
            try context.print(
                Documents.object([
                    ("jobs", Documents.value(report.database.jobs)), ("runs", Documents.value(report.database.runs)),
                    ("renamed", .array(renamed)), ("left_out", .array(leftOut)),
                    ("backup", report.backup.map { .string($0.string) } ?? .null),
                ]))
        } else {
            for renaming in report.database.renamings {
                context.say(
                    "warning: job \(renaming.job) is called `\(renaming.to)` now: an older one is called `\(renaming.from)`"
                )
            }
            context.say("\(counted(report.database.jobs, "job")) with \(counted(report.database.runs, "run"))")
            if let backup = report.backup { context.say("the old database is `\(printable(backup.string))`") }
        }
        guard report.leftOut.isEmpty else {
            throw CommandFailure(
                .invalidData,
                report.leftOut.prefix(50).map {
                    .init(
                        "leave out job \($0.job): \($0.why)",
                        hint: "restore its `job.json` from a backup, then reindex again")
                }, omitted: max(0, report.leftOut.count - 50))
        }
    }
}

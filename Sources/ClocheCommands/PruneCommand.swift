import ArgumentParser
import Environments
import JobScheduling
import Pipelines
import Snapshots
import TerminalOutput

struct PruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove what nobody needs: snapshots and builds without a job, and remains.",
        discussion: """
            Nothing that a job holds is removed, nor what is in force or in use: neither results nor logs. Remains are \
            what pulls and builds that were cut off have left. `cloche system df` tells beforehand what uses the disk; on \
            one that is full `cloche snapshot prune` needs no room.

            Examples:
              cloche system prune --dry-run
              cloche system prune --yes
              cloche system prune --packages    the next build fetches again what it needs
            """)
    @Flag(help: "Only tell what would be removed.") var dryRun = false
    @Flag(help: "Remove the packages of Debian and of pip that are kept for the next build as well.")
    var packages = false
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        var snapshots = try SnapshotPruning(context)
        let provider = try context.environments(context.openStore())
        var builds = try provider.unusedBuilds()
        // Only for the sizes: what is left of a removed build has no record.
        let records = builds.builds.compactMap { try? provider.environments.record($0) }
        var remains =
            try provider.environments.abandoned().count
            + provider.environments.removeDownloads(olderThan: 0, dryRun: true)
        let what = [
            snapshots.isEmpty ? nil : snapshots.what,
            builds.builds.isEmpty
                ? nil
                : "\(counted(builds.builds.count, "build")) that nobody needs (\(size(of: records)))",
            remains > 0 ? "what \(counted(remains, "build or pull", plural: "builds or pulls")) left" : nil,
            packages ? "the packages that are kept for the next build" : nil,
        ].compactMap(\.self).joined(separator: ", ")
        var removed = snapshots.candidates
        var kept: (count: Int, bytes: Int64)?
        if !dryRun {
            if !snapshots.isEmpty || !builds.builds.isEmpty {
                try Confirmation.standard(isGranted: yes, streams: context.streams).require(
                    "remove \(what)?", details: records.map { "\($0.id)  \($0.created)  \(humanBytes($0.size))" })
            }
            removed = try snapshots.carryOut()
            builds.builds = try provider.carryOut(builds)
            remains = try provider.removeAbandoned() + provider.environments.removeDownloads(olderThan: 0)
            if packages { kept = try EnvironmentRemoveCommand.removePackages() }
        }
        if output.json {
            return try context.print(
                Documents.object([
                    ("dry_run", .bool(dryRun)), ("snapshots", .array(removed.map { .string($0.description) })),
                    ("builds", .array(builds.builds.map { .string($0) })), ("remains", Documents.value(Int64(remains))),
                    ("packages", Documents.value(Int64(kept?.count ?? 0))),
                ]))
        }
        for identity in removed { try context.print("snapshot \(identity)") }
        for build in builds.builds { try context.print("build \(build)") }
        if dryRun { return context.say(what.isEmpty ? "nothing to remove" : "would remove \(what)") }
        context.say(
            "removed \(counted(removed.count, "snapshot")), \(counted(builds.builds.count, "build"))"
                + (kept.map { ", \(counted($0.count, "package"))" } ?? "")
                + (remains > 0
                    ? ", and what \(counted(remains, "build or pull", plural: "builds or pulls")) had left" : ""))
    }

    private func size(of records: [BuildRecord]) -> String { humanBytes(records.reduce(0) { $0 + $1.size }) }
}

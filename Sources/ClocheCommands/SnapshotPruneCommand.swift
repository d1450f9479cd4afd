import ArgumentParser
import JobScheduling
import LinuxSystem
import Pipelines
import Snapshots
import SystemPackage
import TerminalOutput

struct SnapshotPruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune", abstract: "Remove the snapshots that no job refers to.",
        discussion: """
            Jobs that are just being made keep theirs, and so do running ones. It works on a full disk. What snapshots \
            share with others is freed with the last of them.

            Examples:
              cloche snapshot prune --dry-run
              cloche snapshot prune --yes
            """)
    @Flag(help: "Only tell what would be removed.") var dryRun = false
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let (snapshots, found) = try open(context)
        var references = found
        let unused = try snapshots.identities().filter { !references.all.contains($0) }
        let candidates = try snapshots.unleased(unused)
        let freed = try snapshots.usage(of: candidates).exclusive
        let what = "\(counted(candidates.count, "snapshot")) that no job refers to (\(humanBytes(freed)))"
        if !dryRun, !candidates.isEmpty {
            try Confirmation.standard(isGranted: yes, streams: context.streams).require("remove \(what)?")
        }
        var removed: [SnapshotIdentity] = dryRun ? candidates : []
        if !dryRun {
            try snapshots.prune(
                candidates,
                references: {
                    try references.refresh()
                    return references.all
                }, removed: { removed.append($0) })
        }
        if output.json {
            return try context.print(
                Documents.object([
                    ("dry_run", .bool(dryRun)),
                    ("snapshots", .array(removed.map { .string($0.description) })),
                    ("bytes", Documents.value(removed.count == candidates.count ? freed : nil)),
                ]))
        }
        try tell(context, candidates, removed, what)
    }

    /// Opens the store; on a disk that is too full for its database the documents of jobs have to do.
    private func open(_ context: CommandContext) throws -> (SnapshotStore, SnapshotReferences) {
        do {
            let store = try context.openStore()
            return (store.snapshots, try SnapshotReferences(store))
        } catch {
            let path = try CommandContext.storePath()
            guard let location = try? Syscall.openLocation(path),
                let room = try? Syscall.fileSystem(of: location.number), room.freeBytes < Self.fewBytes
            else { throw error }
            context.say("warning: the disk is too full to open the database; the documents of jobs are read")
            return (try SnapshotStore(store: path), try SnapshotReferences(store: path, database: nil))
        }
    }

    private static let fewBytes: Int64 = 4 << 20

    private func tell(
        _ context: CommandContext, _ candidates: [SnapshotIdentity], _ removed: [SnapshotIdentity], _ what: String
    ) throws {
        for identity in removed { try context.print(identity.description) }
        let kept = candidates.count - removed.count
        context.say(
            candidates.isEmpty
                ? "nothing to remove: every snapshot has a job"
                : dryRun ? "would remove \(what)" : "removed \(what)" + (kept > 0 ? ", but \(kept) came into use" : ""))
    }
}

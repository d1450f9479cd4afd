import ArgumentParser
import JobScheduling
import Pipelines
import Snapshots
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
        var pruning = try SnapshotPruning(context)
        let what = pruning.what
        if !dryRun, !pruning.isEmpty {
            try Confirmation.standard(isGranted: yes, streams: context.streams).require("remove \(what)?")
        }
        let removed = dryRun ? pruning.candidates : try pruning.carryOut()
        if output.json {
            return try context.print(
                Documents.object([
                    ("dry_run", .bool(dryRun)),
                    ("snapshots", .array(removed.map { .string($0.description) })),
                    ("bytes", Documents.value(removed.count == pruning.candidates.count ? pruning.bytes : nil)),
                ]))
        }
        for identity in removed { try context.print(identity.description) }
        let kept = pruning.candidates.count - removed.count
        context.say(
            pruning.isEmpty
                ? "nothing to remove: every snapshot has a job"
                : dryRun ? "would remove \(what)" : "removed \(what)" + (kept > 0 ? ", but \(kept) came into use" : ""))
    }
}

/// The snapshots that no job refers to, and their removal.
struct SnapshotPruning {
    let candidates: [SnapshotIdentity]
    /// What their removal frees.
    let bytes: Int64
    private let snapshots: SnapshotStore
    private var references: SnapshotReferences

    /// Looks for them; on a disk that is too full for the database the documents of jobs have to do.
    init(_ context: CommandContext) throws {
        let stored = try StoredSnapshots(context)
        (snapshots, references) = (stored.snapshots, stored.references)
        let found = references.all
        candidates = try snapshots.unleased(snapshots.identities().filter { !found.contains($0) })
        bytes = try snapshots.usage(of: candidates).exclusive
    }

    var isEmpty: Bool { candidates.isEmpty }

    var what: String { "\(counted(candidates.count, "snapshot")) that no job refers to (\(humanBytes(bytes)))" }

    /// Removes them, but for those that have come into use since; gives those that are gone.
    mutating func carryOut() throws -> [SnapshotIdentity] {
        var removed: [SnapshotIdentity] = []
        var references = references
        try snapshots.prune(
            candidates,
            references: {
                try references.refresh()
                return references.all
            }, removed: { removed.append($0) })
        return removed
    }
}

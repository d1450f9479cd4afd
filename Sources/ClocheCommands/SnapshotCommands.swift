import ArgumentParser
import FoundationEssentials
import Isolation
import JobScheduling
import LinuxSystem
import Pipelines
import PlainText
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

struct SnapshotCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Take, look at, compare, verify, export and remove snapshots.",
        discussion: """
            A snapshot is named by the beginning of its identity, or by a job that is pinned to it.
            """,
        subcommands: [
            SnapshotCreateCommand.self, SnapshotListCommand.self, SnapshotShowCommand.self, SnapshotDiffCommand.self,
            SnapshotVerifyCommand.self, SnapshotExportCommand.self, SnapshotPruneCommand.self,
        ])
}

struct SnapshotCreateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Take a snapshot of a project, or tell what would be in it.",
        discussion: """
            Files are left out as git leaves them out (.gitignore, also above a project inside a repository, and \
            .git/info/exclude), then by .clocheignore, which can also take files back in. Stores of Cloche, where \
            secrets lie, are in no snapshot. Nothing refers to a snapshot that no job is made of: \
            `cloche snapshot prune` removes it.

            Examples:
              cloche snapshot create .
              cloche snapshot create . --explain data/big.csv   which rule decides
            """)
    @Argument(help: "The project's directory.", completion: .directory) var directory = "."
    @Option(help: "Say which rule decides about this path of the project, and take no snapshot.")
    var explain: [String] = []
    @Flag(help: "Leave .git out.") var noGit = false
    @Option(help: "Ask before more is stored than this many bytes, such as 500M or 20G.")
    var askAbove: ByteLimit = ByteLimit(bytes: 5 << 30)
    @Flag(name: .shortAndLong, help: "Do not ask, however large it is.") var yes = false
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let project = try SnapshotStore.open(project: FilePath(directory))
        if !explain.isEmpty {
            return try SnapshotExplanation(context, project: project.number, includesGit: !noGit)
                .print(explain, json: output.json)
        }
        let (snapshots, owner) = try context.openSnapshots()
        // For people only: a snapshot goes by its identity.
        let name = (try? FilePath(bytes: Syscall.readLink(FilePath("/proc/self/fd/\(project.number)"))))?.lastComponent?
            .string
        var request = CaptureRequest(
            project: project.number, source: name ?? "project", owner: owner)
        request.includesGit = !noGit
        request.confirmAbove = yes ? nil : askAbove.bytes
        let report = try SnapshotCapture(context, snapshots).take(request)
        report.lease.end()
        let record = report.snapshot.record
        if output.json {
            return try context.print(
                Documents.object([
                    ("snapshot", Documents.snapshot(report.snapshot, jobs: [])), ("new", .bool(report.isNew)),
                    ("notes", .array(report.notes.map(Documents.note))),
                ]))
        }
        try context.print(report.snapshot.identity.description)
        context.say(
            "\(counted(record.counts.files, "file")), \(humanBytes(record.counts.bytes))"
                + (record.ignored > 0 ? ", \(record.ignored) left out" : "")
                + (report.isNew ? "" : "; it was there already, nothing was stored"))
    }
}

/// A number of bytes as a person writes it: `500`, `500M`, `20G`, in units of 1024.
struct ByteLimit: ExpressibleByArgument {
    let bytes: Int64
    /// As it was given, or can be.
    let argument: String

    init(bytes: Int64) {
        self.bytes = bytes
        argument = String(bytes)
    }

    init?(argument: String) {
        guard let count = ByteCount(parsing: argument) else { return nil }
        bytes = count.bytes
        self.argument = argument
    }

    var defaultValueDescription: String { "\(bytes >> 30)G" }
}

/// Takes snapshots with a display of what takes time, a question where they are large, and notes on what is missing.
struct SnapshotCapture {
    private let context: CommandContext
    private let snapshots: SnapshotStore

    init(_ context: CommandContext, _ snapshots: SnapshotStore) {
        self.context = context
        self.snapshots = snapshots
    }

    /// Takes one.
    func take(_ request: CaptureRequest) throws -> CaptureReport {
        var refusal: CommandFailure?
        do {
            let report = try SnapshotProgress(context, "freezing the project").show { progress in
                try snapshots.capture(
                    request,
                    confirm: { size in
                        refusal = self.refusal(size)
                        return refusal == nil ? .proceed : .stop
                    }, progress: progress)
            }
            for note in report.notes where note.kind != .ignored { tell(note) }
            for remark in report.remarks { context.say("note: \(printable(remark))") }
            return report
        } catch {
            throw refusal ?? error
        }
    }

    /// Asks about a large project; nil when it is to be taken.
    private func refusal(_ size: CaptureSize) -> CommandFailure? {
        let largest = size.largest.prefix(5).map { "  \(humanBytes($0.size))  \(displayName($0.path))" }
        let question = "freeze \(humanBytes(size.bytes)) in \(counted(size.entries, "entry", plural: "entries"))?"
        do {
            try Confirmation.standard(isGranted: false, streams: context.streams).require(
                question, details: ["the largest files are"] + largest)
            return nil
        } catch {
            let names = size.largest.prefix(3).map { "`\(displayName($0.path))` (\(humanBytes($0.size)))" }
            return CommandFailure(
                .confirmationRequired,
                "freeze the project: it holds \(humanBytes(size.bytes)); the largest are "
                    + names.joined(separator: ", "),
                hint: "leave them out with lines in .clocheignore, or add --yes")
        }
    }

    private func tell(_ note: CaptureNote) {
        let paths = note.examples.prefix(3).map { displayName($0) }.joined(separator: ", ")
        let rest = note.count > 3 ? " and \(note.count - 3) more" : ""
        context.say("note: \(note.kind.sentence): \(paths)\(rest)")
    }
}

extension CaptureNote.Kind {
    /// What becomes of an entry that no snapshot holds, whatever the rules say; nil for the others.
    init?(special status: FileStatus) {
        switch status.mode & S_IFMT {
        case S_IFIFO: self = .fifo
        case S_IFSOCK: self = .socket
        case S_IFCHR, S_IFBLK: self = .device
        default: return nil
        }
    }

    /// What it means for who reads it.
    var sentence: String {
        switch self {
        case .ignored: "left out by ignore rules"
        case .specialModeBits: "setuid, setgid or sticky bits are not kept"
        case .overlayAttribute: "attributes of overlay mounts are not kept"
        case .otherAttribute: "attributes other than user.* are not kept"
        case .attributeNotStored: "attributes that the store's file system cannot hold are not kept"
        case .device: "devices are not in the snapshot"
        case .socket: "sockets are not in the snapshot"
        case .fifo: "named pipes are not in the snapshot"
        case .mountPoint: "other file systems are not in the snapshot"
        case .store: "a store of Cloche, where secrets lie, is in no snapshot"
        case .vanished: "removed while the snapshot was taken"
        }
    }
}

struct SnapshotListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List snapshots, and which jobs are pinned to them.",
        discussion: """
            Examples:
              cloche snapshot ls
            """, aliases: ["list"])
    @OptionGroup var output: OutputOptions

    func run() throws {
        let context = CommandContext()
        let stored = try StoredSnapshots(context)
        let listing = try stored.snapshots.list()
        let jobs = stored.references.jobs
        for error in listing.damaged { context.say("warning: \(error)") }
        let snapshots = listing.snapshots.sorted { $0.record.created > $1.record.created }
        if output.json {
            let documents = snapshots.map { Documents.snapshot($0, jobs: jobs[$0.identity] ?? []) }
            return try context.print(
                Documents.object([
                    ("snapshots", .array(documents)),
                    ("damaged", .array(listing.damaged.map { .string(displayName($0.path)) })),
                ]))
        }
        if snapshots.isEmpty { return context.say("no snapshots yet; every job takes one of its project") }
        var table = Table([
            Table.Column("SNAPSHOT"), Table.Column("PROJECT", priority: 1),
            Table.Column("FILES", alignment: .trailing, minimum: 5),
            Table.Column("SIZE", alignment: .trailing, minimum: 5),
            Table.Column("CREATED", priority: 2), Table.Column("JOBS", priority: 3),
        ])
        let now = Syscall.wallClock().seconds
        for snapshot in snapshots {
            let record = snapshot.record
            table.append([
                Table.Cell(SnapshotTarget.short(snapshot.identity), exact: snapshot.identity.description),
                Table.Cell(record.source), Table.Cell(String(record.counts.files)),
                Table.Cell(humanBytes(record.counts.bytes), exact: String(record.counts.bytes)),
                Table.Cell(
                    relativeTime(age: .seconds(max(0, now - record.created))),
                    exact: Timestamp(seconds: Double(record.created)).description),
                Table.Cell((jobs[snapshot.identity] ?? []).sorted().joined(separator: ", ")),
            ])
        }
        try context.print(table)
    }
}

struct SnapshotShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a snapshot: how it came about, and everything that is in it.",
        discussion: """
            Examples:
              cloche snapshot show sweep
              cloche snapshot show 1f3a
              cloche snapshot show sweep --manifest | sha256sum
            """)
    @Argument(help: "The beginning of its identity, or a job.", completion: Completion.snapshots) var reference: String
    @Argument(help: "List only this path, and what is below it.") var path: String?
    @Flag(help: "Print the manifest, whose SHA-256 is the identity, as `cloche help snapshots` describes it.")
    var manifest = false
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if manifest, path != nil || output.json {
            throw ValidationError(
                "`--manifest` prints all of the manifest and nothing else: leave out the path and `--json`")
        }
    }

    func run() throws {
        let context = CommandContext()
        let stored = try StoredSnapshots(context)
        let identity = try stored.identity(reference)
        let snapshot = try stored.snapshots.snapshot(identity)
        let manifest = try stored.snapshots.manifest(of: identity)
        if self.manifest { return try context.write(manifest.bytes) }
        let jobs = stored.references.jobs[identity] ?? []
        let wanted = path.map { FilePath($0).lexicallyNormalized().bytes }
        let entries = manifest.entries.filter { entry in
            guard let wanted, !wanted.isEmpty, wanted != [UInt8(ascii: ".")] else { return true }
            return entry.path == wanted || entry.path.starts(with: wanted + [UInt8(ascii: "/")])
        }
        if let path, entries.isEmpty {
            throw CommandFailure(
                .notFound, "find `\(printable(path))` in the snapshot: it is not in there",
                hint: "`cloche snapshot create --explain \(shellWord(path))` tells whether a rule leaves it out")
        }
        if output.json {
            return try context.print(
                Documents.object([
                    ("snapshot", Documents.snapshot(snapshot, jobs: jobs)),
                    ("entries", .array(entries.map(Documents.entry))),
                ]))
        }
        let record = snapshot.record
        if wanted == nil {
            try context.print(
                """
                snapshot   \(identity)
                project    \(printable(record.source))
                created    \(Timestamp(seconds: Double(record.created)))
                content    \(counted(record.counts.files, "file")), \(counted(record.counts.directories, "directory", plural: "directories")), \(counted(record.counts.links, "link")), \(humanBytes(record.counts.bytes))
                left out   \(record.ignored) by ignore rules, \(record.skipped) that are no files, \(record.dropped) attributes and mode bits
                jobs       \(jobs.isEmpty ? "none" : jobs.sorted().map { printable($0) }.joined(separator: ", "))
                manifest   \(stored.snapshots.manifestPaths(of: identity).map { printable($0.string) }.joined(separator: "\n           with "))

                """)
        }
        for entry in entries { try context.print(Self.line(entry)) }
    }

    /// An entry as `ls -l` shows it.
    private static func line(_ entry: ManifestEntry) -> String {
        let time = Timestamp(seconds: Double(entry.modified.seconds)).description
        let path = displayName(entry.path)
        switch entry.kind {
        case .directory: return "d\(permissions(entry.mode))  \(padded("-"))  \(time)  \(path)"
        case .file(let size, _): return "-\(permissions(entry.mode))  \(padded(humanBytes(size)))  \(time)  \(path)"
        case .symbolicLink(let target):
            return "l\(permissions(0o777))  \(padded("-"))  \(time)  \(path) -> \(displayName(target))"
        case .hardLink(let first):
            return
                "h---------  \(padded("-"))  \(String(repeating: " ", count: time.count))  \(path) = \(displayName(first))"
        }
    }

    private static func padded(_ text: String) -> String {
        String(repeating: " ", count: max(0, 8 - text.count)) + text
    }

    private static func permissions(_ mode: UInt32) -> String {
        var text = ""
        for shift in [6, 3, 0] as [UInt32] {
            for (bit, letter) in [(4, "r"), (2, "w"), (1, "x")] as [(UInt32, String)] {
                text += mode >> shift & bit != 0 ? letter : "-"
            }
        }
        return text
    }
}

import ArgumentParser
import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Runs
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// How differences are told.
struct DifferenceOptions: ParsableArguments {
    @Flag(help: "Tell also where nothing differs but the time of the last change, or which names are of one file.")
    var times = false
    @OptionGroup var output: OutputOptions

    /// Prints what the second tree has, has not, or has otherwise than the first.
    ///
    /// Unless `all` is to be told, the data that steps pass on is only counted.
    func print(_ differences: [SnapshotDifference], _ context: CommandContext, all: Bool = true) throws {
        let found = differences.filter { times || !$0.isMinor }
        let told = all ? found : found.withoutPassedData
        let leftOut = found.count - told.count
        if output.json {
            return try context.print(
                Documents.object([
                    ("differences", .array(told.map(Documents.difference))), ("left_out", Documents.value(leftOut)),
                ]))
        }
        let styling = context.streams.output.styling
        for difference in told {
            let path = displayName(difference.path)
            switch difference.kind {
            case .missing: try context.print(styling.apply(.red, to: "- \(path)"))
            case .extra: try context.print(styling.apply(.green, to: "+ \(path)"))
            case .changed(let aspects):
                try context.print("~ \(path)  (\(aspects.map(\.rawValue).joined(separator: ", ")))")
            }
        }
        if told.isEmpty { context.say("no differences") }
        if leftOut > 0 {
            let entries = counted(leftOut, "entry", plural: "entries")
            context.say("left out: \(entries) of data that steps pass on; --all shows them")
        }
    }
}

extension Store {
    /// Where the project of a job lies; refused where that is only what a user of the service says.
    fileprivate func projectDirectory(of job: JobRecord) throws -> FilePath {
        guard let owner else { return FilePath(job.project.path) }
        throw CommandFailure(
            .permissionDenied,
            "compare with the project of `\(job.name)`: where it lies is only what its owner \(owner.text) says",
            hint: "name a directory, or another snapshot, by `cloche snapshot diff`")
    }
}

struct SnapshotDiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Compare two snapshots, or a snapshot and a directory as it is now.",
        discussion: """
            `-` is only in the first, `+` only in the second, `~` is in both, but not alike: what differs is told in \
            brackets. Every further name of a file is compared as the file; `links` tells that other names are of it.

            Examples:
              cloche snapshot diff grid                what changed since the job was made
              cloche snapshot diff 3f2a 91bc
              cloche snapshot diff grid ./project
            """)
    @Argument(help: "The beginning of an identity, a job, or a directory.", completion: Completion.snapshotsAndJobs)
    var first: String
    @Argument(
        help: "Another; by default the directory of the first job's project.",
        completion: Completion.snapshotsAndJobs)
    var second: String?
    @OptionGroup var options: DifferenceOptions

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let left = try ComparedTree(first, in: store)
        let right: ComparedTree
        if let second {
            right = try ComparedTree(second, in: store)
        } else if case .snapshot(let target) = left, let job = target.job {
            right = .directory(try store.projectDirectory(of: job))
        } else {
            throw CommandFailure(
                .usage, "compare `\(printable(first))`: with what?", hint: "name another snapshot, or a directory")
        }
        let manifest = try left.manifest(context, store)
        try options.print(
            SnapshotDifference.between(manifest, try right.manifest(context, store)), context)
    }
}

struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Tell what a run changed in its project.",
        discussion: """
            Data that steps pass on is left out: what is in .orchest/pipelines/*/data.

            Examples:
              cloche diff grid/7              against the snapshot of the job
              cloche diff grid/7 grid/8       what differs between two results
              cloche diff grid/7 --project    against the project as it is now
            """)
    @Argument(help: ArgumentHelp("JOB/7.", valueName: "run"), completion: Completion.references) var run_: String
    @Argument(help: "JOB/8, to compare with its result.", completion: Completion.references) var other: String?
    @Flag(help: "Compare with the project's directory as it is now.") var project = false
    @Flag(help: "Tell also of the data that steps pass on.") var all = false
    @OptionGroup var options: DifferenceOptions

    func validate() throws {
        if other != nil, project { throw ValidationError("name another run, or --project, not both") }
    }

    func run() throws {
        let context = CommandContext()
        let store = try context.openStore()
        let target = try Target(run_, in: store)
        let result = try RunResult(target, run_, in: store)
        let shown = try result.manifest(context, store)
        if let other {
            let second = try RunResult(try Target(other, in: store), other, in: store).manifest(context, store)
            return try options.print(SnapshotDifference.between(shown, second), context, all: all)
        }
        let base =
            project
            ? try ComparedTree.directory(try store.projectDirectory(of: target.job)).manifest(context, store)
            : try store.snapshots.manifest(of: result.snapshot)
        try options.print(SnapshotDifference.between(base, shown), context, all: all)
    }
}

/// What a run made of its project: the snapshot, and on top of it what its latest attempt has and what that kept of earlier ones.
private struct RunResult {
    let snapshot: SnapshotIdentity
    private let directory: RunDirectory
    private let attempt: Int
    private let name: String

    init(_ target: Target, _ text: String, in store: Store) throws {
        guard let run = target.run else {
            throw CommandFailure(
                .usage, "compare `\(printable(text))`: it is a job, not a run",
                hint: "name a run, such as `\(target.job.name)/0`, or see `cloche snapshot diff`")
        }
        guard let identity = SnapshotIdentity(try store.document(target.job.uuid).snapshot) else {
            throw CommandFailure(.invalidData, "compare `\(printable(text))`: its job names no snapshot")
        }
        directory = store.runDirectory(run.address)
        guard let attempt = directory.attempts().last else {
            throw CommandFailure(
                .wrongState, "compare `\(printable(text))`: it has not started", hint: "`cloche show` tells its state")
        }
        if let failure = CommandFailure(readingFilesOf: directory, "compare `\(printable(text))`") { throw failure }
        snapshot = identity
        self.attempt = attempt
        name = text
    }

    /// What the run's view of its project holds.
    func manifest(_ context: CommandContext, _ store: Store) throws -> Manifest {
        var manifest = try store.snapshots.manifest(of: snapshot)
        for layer in directory.projectLayers(of: attempt) {
            guard let opened = try directory.open(layer: layer) else { continue }
            let number = opened.number
            let tree = try SnapshotProgress(context, "reading \(printable(name))").show {
                try UpperTree(reading: number, progress: $0)
            }
            // What `number` refers to.
            _ = opened.number
            for note in tree.special {
                let paths = note.examples.prefix(3).map { displayName($0) }.joined(separator: ", ")
                context.say("note: not compared (\(note.kind.rawValue)): \(paths)")
            }
            manifest = tree.merged(over: manifest)
        }
        return manifest
    }
}

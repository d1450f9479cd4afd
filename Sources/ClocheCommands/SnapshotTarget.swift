import JobScheduling
import JobStorage
import Jobs
import LinuxSystem
import Pipelines
import PlainText
import Snapshots
import SystemPackage
import TerminalOutput

#if canImport(Glibc)
    import Glibc
#endif

/// A snapshot as an argument names it: by the beginning of its identity, or by a job that is pinned to it.
struct SnapshotTarget {
    let identity: SnapshotIdentity
    /// The job that named it; nil when its identity did.
    let job: JobRecord?

    /// How many digits of an identity are shown, and how few name one.
    static let shownDigits = 12, fewestDigits = 4

    /// Finds what a reference names.
    init(_ text: String, in store: Store) throws {
        if let one = try Self.identity(beginning: text, in: store.snapshots) {
            identity = one
            job = nil
            return
        }
        do {
            let target = try Target(text, in: store)
            guard let pinned = SnapshotIdentity(try store.document(target.job.uuid).snapshot) else {
                throw CommandFailure(.invalidData, "find the snapshot of `\(printable(text))`: the job names none")
            }
            identity = pinned
            job = target.job
        } catch let error as JobStorageError {
            guard case .notFound(_, let nearest) = error else { throw error }
            throw CommandFailure(
                .notFound, "find the snapshot `\(printable(text))`: no snapshot begins so, and no job is called so",
                hint: nearest.first.map { "did you mean the job `\(printable($0))`?" }
                    ?? (Self.isHexadecimal(text) && text.utf8.count < Self.fewestDigits
                        ? "name a snapshot by at least \(Self.fewestDigits) digits of its identity"
                        : "`cloche snapshot ls` lists them"))
        }
    }

    /// The one snapshot whose identity begins so; nil when none does.
    static func identity(beginning text: String, in snapshots: SnapshotStore) throws -> SnapshotIdentity? {
        guard isHexadecimal(text), (fewestDigits...64).contains(text.utf8.count) else { return nil }
        let found = try snapshots.identities().filter { $0.description.hasPrefix(text) }
        guard found.count > 1 else { return found.first }
        throw CommandFailure(
            .ambiguous, "find the snapshot `\(text)`: \(found.count) begin so",
            hint: "add digits: " + found.prefix(10).map { $0.description.prefix(20) + "…" }.joined(separator: ", "))
    }

    private static func isHexadecimal(_ text: String) -> Bool {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// The first digits of an identity.
    static func short(_ identity: SnapshotIdentity) -> String { String(identity.description.prefix(shownDigits)) }
}

/// The snapshots of the store, and what refers to them.
///
/// Looking needs no room: on a disk that is too full for the database the documents of jobs have to do.
struct StoredSnapshots {
    let snapshots: SnapshotStore
    let references: SnapshotReferences
    /// Nil on a full disk.
    private let store: Store?

    private static let fewBytes: Int64 = 4 << 20

    init(_ context: CommandContext) throws {
        do {
            let store = try context.openStore()
            (snapshots, references) = (store.snapshots, try SnapshotReferences(store))
            self.store = store
        } catch {
            let path = try CommandContext.storePath()
            guard let location = try? Syscall.openLocation(path),
                let room = try? Syscall.fileSystem(of: location.number), room.freeBytes < Self.fewBytes
            else { throw error }
            context.say("warning: the disk is too full to open the database; the documents of jobs are read")
            snapshots = try SnapshotStore(store: path)
            references = try SnapshotReferences(store: path, database: nil)
            store = nil
        }
    }

    /// Finds the snapshot that a reference names.
    func identity(_ text: String) throws -> SnapshotIdentity {
        if let store { return try SnapshotTarget(text, in: store).identity }
        if let identity = try SnapshotTarget.identity(beginning: text, in: snapshots) { return identity }
        throw CommandFailure(
            .quotaExceeded, "find the snapshot `\(printable(text))`: on a full disk only identities are looked at",
            hint: "make room on the disk, or name it by its identity: `cloche snapshot ls` lists them")
    }
}

/// One side of a comparison: a stored snapshot, or a directory as it is now.
enum ComparedTree {
    case snapshot(SnapshotTarget)
    case directory(FilePath)

    /// Takes a directory for one when it is written as a path, or when nothing else is meant.
    init(_ text: String, in store: Store) throws {
        if text.hasPrefix(".") || text.hasPrefix("/") || text.hasSuffix("/") {
            self = .directory(FilePath(text))
            return
        }
        do {
            self = .snapshot(try SnapshotTarget(text, in: store))
        } catch let error as CommandFailure where error.code == .notFound {
            guard (try? Syscall.lstat(FilePath(text)))?.isDirectory == true else { throw error }
            self = .directory(FilePath(text))
        }
    }

    /// Its manifest.
    func manifest(_ context: CommandContext, _ store: Store) throws -> Manifest {
        switch self {
        case .snapshot(let target): return try store.snapshots.manifest(of: target.identity)
        case .directory(let path):
            let project = try SnapshotStore.open(project: path)
            let request = CaptureRequest(project: project.number, source: "project", owner: store.authorOwner)
            return try SnapshotProgress(context, "reading the project").show { report in
                try store.snapshots.manifest(ofProject: request, progress: report)
            }
        }
    }
}

/// The display of work on many files.
struct SnapshotProgress {
    private let context: CommandContext
    private let title: String

    init(_ context: CommandContext, _ title: String) {
        self.context = context
        self.title = title
    }

    /// Shows `work` while it lasts.
    func show<Result>(
        _ work: (_ report: @escaping @Sendable (CaptureProgress) -> CaptureContinuation) throws -> Result
    ) throws -> Result {
        let display = ProgressDisplay(context.streams.error)
        let styling = context.streams.error.styling
        let columns = context.streams.error.size.columns
        let title = self.title
        let started = Syscall.monotonicSeconds()
        defer { display.finish(.clear) }
        let report: @Sendable (CaptureProgress) -> CaptureContinuation = { progress in
            let elapsed = Syscall.monotonicSeconds() - started
            // What is over at once needs no display.
            guard elapsed > 0.3 else { return .proceed }
            // A walk has found so much, and has read nothing yet.
            let isWalk = progress.totalFiles == 0
            let total = isWalk ? "" : "/\(progress.totalFiles)"
            var line =
                "\(styling.apply(.dim, to: title))  \(progress.files)\(total) files  \(humanBytes(progress.bytes))"
            if !isWalk { line += "/\(humanBytes(progress.totalBytes))" }
            if elapsed > 1 {
                line +=
                    isWalk
                    ? " found" : "  \(humanBytes(Int64(Double(progress.bytes) / elapsed)))/s"
            }
            let path = displayName(progress.path)
            if !path.isEmpty { line += "  " + styling.apply(.dim, to: String(path.suffix(max(0, columns - 70)))) }
            display.update(lines: [line], plain: title)
            display.tick()
            return .proceed
        }
        do {
            return try work(report)
        } catch let error as SnapshotError where error.reason == .changing || error.reason == .replaced {
            // The same command may work as soon as nothing writes there.
            throw CommandFailure(.busy, "\(error)", hint: error.hint)
        }
    }
}

package import Isolation
package import JobStorage
package import Jobs
import LinuxSystem
package import Runs
package import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A directory of jobs, runs, snapshots and environments, and the identity under which its runs execute.
package struct Store: Sendable {
    package let path: FilePath
    package let identity: IdentityMap
    /// Whose ids the files of environments have, where these are others than those of the runs.
    package let environmentsOwner: IdentityMap?
    /// The database: an index over the directories, and the queue.
    package let database: JobDatabase
    package let snapshots: SnapshotStore
    /// The user for whom a service keeps the store; nil where it is its user's own.
    package let owner: StoreOwner?
    /// What its user may have at once; nil is any number of everything, as in every store when it is opened.
    package var quota: UserQuota?
    /// Keeps the database from being replaced.
    private let use: StoreUse

    /// Opens the store at `path`, made if it is missing; its directory belongs to the caller alone.
    package static func open(_ path: FilePath) throws(StoreError) -> Store {
        do throws(SyscallError) {
            try Syscall.makeLastingDirectories(path, mode: 0o700)
            for name in ["jobs", "runs", "environments", "snapshots", "policies"] {
                try Syscall.makeLastingDirectories(path.appending(name), mode: 0o700)
            }
            // The database's own words for it would not tell.
            try Syscall.requireWriting(path)
        } catch {
            throw StoreError(path, error)
        }
        let identity = try HostIdentity.stored(in: path)
        let owner = try StoreOwner.stored(in: path)
        let environmentsOwner = try HostIdentity.environmentsOwner(in: path, identity)
        let use = try StoreUse.shared(path)
        let database: JobDatabase
        do throws(JobStorageError) {
            database = try JobDatabase(path: path.appending("cloche.db").string)
        } catch {
            let isFull = if case .full = error { true } else { false }
            throw StoreError(
                message: "open the store `\(path)`: \(error)", hint: error.hint,
                kind: isFull ? .noRoom : .configuration)
        }
        do throws(SnapshotError) {
            return Store(
                path: path, identity: identity, environmentsOwner: environmentsOwner, database: database,
                snapshots: try SnapshotStore(store: path),
                owner: owner, use: use)
        } catch {
            throw StoreError(message: "open the store `\(path)`: \(error)", hint: error.hint)
        }
    }

    /// Opens the snapshots of the store at `path`, and tells who owns what is captured; its database is left alone.
    package static func openSnapshots(_ path: FilePath) throws -> (SnapshotStore, owner: FileOwner?) {
        do throws(SyscallError) {
            try Syscall.makeDirectories(path, mode: 0o700)
            try Syscall.requireWriting(path)
        } catch {
            throw StoreError(path, error)
        }
        return (try SnapshotStore(store: path), authorOwner(try HostIdentity.stored(in: path)))
    }

    /// The user id of whoever owns the jobs of the store.
    package var ownerID: UInt32 { owner?.user ?? geteuid() }

    /// The store whose environments and policies hold: that of the service, or this one.
    package var shared: FilePath {
        owner == nil ? path : path.removingLastComponent().removingLastComponent()
    }

    /// Where environments are kept.
    package var environments: FilePath { shared.appending("environments") }

    /// Where a job's own document is.
    package func jobDirectory(_ job: JobID) -> FilePath { path.appending("jobs").appending(job.description) }

    /// The directories of a job's runs.
    package func runsDirectory(_ job: JobID) -> FilePath { path.appending("runs").appending(job.description) }

    /// The directory of a run.
    package func runDirectory(_ run: RunAddress) -> RunDirectory {
        RunDirectory(runsDirectory(run.job).appending(String(run.number)))
    }

    /// Where what runs see at `/data` is kept.
    package var data: DataDirectory { DataDirectory(store: path, identity: identity) }

    /// The job's policy, as it was when the job was made.
    package func policy(of document: JobDocument) throws -> SandboxPolicy {
        // Changed ones have names of their own, so that none is ever replaced under a reader.
        let changed = jobDirectory(document.uuid).appending(Self.policyName(document.policy.digest))
        let file = Syscall.exists(changed) ? changed : jobDirectory(document.uuid).appending("policy.json")
        let bytes = try Syscall.readFile(file, limit: 4 << 20)
        guard Digest.hexadecimal(bytes) == document.policy.digest,
            let policy = JSONFile.decode(SandboxPolicy.self, bytes)
        else {
            throw StoreError(
                message: "read the job's policy `\(file)`: it is not the one that the job was made with",
                hint: "restore it from a backup, or make the job again")
        }
        return policy
    }

    /// Who owns what is captured for runs: the author's id inside, where the caller may give it away.
    package var authorOwner: FileOwner? { Self.authorOwner(identity) }

    private static func authorOwner(_ identity: IdentityMap) -> FileOwner? {
        guard geteuid() == 0, let user = identity.outsideUser(IdentityMap.user),
            let group = identity.outsideGroup(IdentityMap.user)
        else { return nil }
        return FileOwner(user: user, group: group)
    }

    /// The job's document.
    package func document(_ job: JobID) throws(StoreError) -> JobDocument {
        try Self.document(job, in: path)
    }

    static func document(_ job: JobID, in store: FilePath) throws(StoreError) -> JobDocument {
        let file = store.appending("jobs").appending(job.description).appending("job.json")
        do {
            return try JobDocument(bytes: try Syscall.readFile(file, limit: 64 << 20))
        } catch {
            var problem = StoreError(
                message: "read the job's document `\(file)`: \(error)",
                hint: (error as? JobDocumentError)?.hint ?? "restore it from a backup, or remove the job")
            if case .otherFormat(let format)? = error as? JobDocumentError, format > JobDocument.format {
                problem.isNewer = true
            }
            throw problem
        }
    }

    static func policyName(_ digest: String) -> String { "policy-\(digest).json" }

    /// Writes a job's document, and the policy that it names by its digest.
    func write(_ document: JobDocument, policy: [UInt8], name: String = "policy.json") throws(StoreError) {
        let directory = jobDirectory(document.uuid)
        do throws(SyscallError) {
            try Syscall.makeLastingDirectories(directory, mode: 0o700)
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            try Syscall.replaceFile(FilePath(name), at: opened.number, policy, mode: 0o600)
        } catch {
            throw StoreError(writing: "the job's policy in `\(directory)`", error)
        }
        try write(document)
    }

    /// Writes the job's document so that after a crash the old or the new one is there.
    package func write(_ document: JobDocument) throws(StoreError) {
        let directory = jobDirectory(document.uuid)
        do {
            try Syscall.makeLastingDirectories(directory, mode: 0o700)
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            try Syscall.replaceFile("job.json", at: opened.number, try document.bytes(), mode: 0o600)
        } catch {
            throw StoreError(writing: "the job's document in `\(directory)`", error)
        }
    }
}

/// The store cannot be used, or not for this.
package struct StoreError: Error, Sendable, CustomStringConvertible {
    /// What is in the way.
    package enum Kind: Sendable {
        /// The store, a document of it or the host.
        case configuration
        /// There is nothing of the name that somebody gave.
        case missing
        /// The disk is full.
        case noRoom
    }

    package let message: String
    package let hint: String?
    package let kind: Kind
    /// Whether a newer version wrote what cannot be read.
    var isNewer = false

    /// Records a problem: what, a colon, and why.
    package init(message: String, hint: String?, kind: Kind = .configuration) {
        self.message = message
        self.hint = hint
        self.kind = kind
    }

    init(_ path: FilePath, _ error: SyscallError) {
        let hint =
            switch error.errno {
            case .noSpace: "make room, or name another directory in CLOCHE_HOME"
            case .readOnlyFileSystem:
                "let its file system be written to (`mount -o remount,rw`), or name another directory in CLOCHE_HOME"
            case .permissionDenied, .notPermitted: "name a directory of your own in CLOCHE_HOME"
            default: "see whether `\(path)` is a directory that you may write to"
            }
        self.init(
            message: "open the store `\(path)`: \(error)", hint: hint,
            kind: error.errno == .noSpace ? .noRoom : .configuration)
    }

    /// Something could not be written.
    init(writing what: String, _ error: any Error) {
        let isFull = (error as? SyscallError)?.errno == .noSpace
        self.init(
            message: "write \(what): \(error)",
            hint: isFull ? "make room on the disk" : "see whether its file system can be written to",
            kind: isFull ? .noRoom : .configuration)
    }

    package var description: String { message }
}

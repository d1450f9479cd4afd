import Isolation
package import JobStorage
import Jobs
import LinuxSystem
package import Snapshots
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Which snapshots something in the store refers to: documents of jobs, jobs of the database, and specifications of runs.
///
/// What cannot be read could refer to anything, so it is an error and not nothing.
package struct SnapshotReferences {
    private let store: FilePath
    private let database: JobDatabase?
    /// Names of jobs by the snapshot that their document names.
    package private(set) var jobs: [SnapshotIdentity: [String]] = [:]
    /// Everything that is referred to.
    package private(set) var all: Set<SnapshotIdentity> = []
    /// Specifications that were read: they never change.
    private var known: Set<FilePath> = []

    /// Reads all references of a store.
    package init(_ store: Store) throws { try self.init(store: store.path, database: store.database) }

    /// Reads all references.
    ///
    /// - Parameters:
    ///   - store: The directory of the store.
    ///   - database: Proves that no document is missing; nil where it cannot be opened, as on a full disk. Documents are
    ///     written before a job enters it.
    package init(store: FilePath, database: JobDatabase?) throws {
        self.store = store
        self.database = database
        try refresh()
    }

    /// Reads them again; specifications of runs that were read before are not.
    package mutating func refresh() throws {
        jobs = [:]
        var documents: Set<JobID> = []
        for name in try Self.names(in: store.appending("jobs")) {
            // A directory without a document is a job that is just being made, with a lease on its snapshot.
            let file = store.appending("jobs").appending(name).appending("job.json")
            guard let job = JobID(name), Syscall.exists(file) else { continue }
            let document = try Store.document(job, in: store)
            guard let identity = SnapshotIdentity(document.snapshot) else {
                throw StoreError(
                    message: "read the job's document of `\(document.name)`: it names no snapshot",
                    hint: "restore it from a backup, or remove the job")
            }
            documents.insert(job)
            jobs[identity, default: []].append(document.name.description)
            all.insert(identity)
        }
        for job in try database?.jobs(limit: .max) ?? [] where !documents.contains(job.uuid) {
            // Removed since its document was looked for, or without the one thing that says what it refers to.
            guard (try? database?.job(job.uuid)) != nil else { continue }
            _ = try Store.document(job.uuid, in: store)
        }
        try readSpecifications()
    }

    private mutating func readSpecifications() throws {
        let runs = store.appending("runs")
        for job in try Self.names(in: runs) {
            let directory = runs.appending(job)
            for run in try Self.names(in: directory) {
                let file = directory.appending(run).appending("spec.json")
                guard !known.contains(file) else { continue }
                guard let bytes = try Self.specification(file) else { continue }
                all.formUnion(Self.identities(in: bytes))
                known.insert(file)
            }
        }
    }

    /// A run's specification; nil where it is not written yet, or the run was just removed: the job's document counts.
    private static func specification(_ file: FilePath) throws(SyscallError) -> [UInt8]? {
        do throws(SyscallError) {
            return try Syscall.readFile(file, limit: 16 << 20)
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return nil
        }
    }

    private static func names(in directory: FilePath) throws(SyscallError) -> [String] {
        do throws(SyscallError) {
            let opened = try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            return try Syscall.directoryEntries(opened.number).map { String(decoding: $0.name, as: UTF8.self) }.sorted()
        } catch  where error.errno == .noSuchFileOrDirectory || error.errno == .notDirectory {
            return []
        }
    }

    /// Everything in a document that could be an identity: 64 hexadecimal digits in a row.
    static func identities(in bytes: [UInt8]) -> Set<SnapshotIdentity> {
        var found: Set<SnapshotIdentity> = []
        var start = 0
        for end in 0...bytes.count {
            let isDigit = end < bytes.count && (0x30...0x39 ~= bytes[end] || 0x61...0x66 ~= bytes[end])
            if isDigit { continue }
            if end - start == 64, let identity = SnapshotIdentity(String(decoding: bytes[start..<end], as: UTF8.self)) {
                found.insert(identity)
            }
            start = end + 1
        }
        return found
    }
}

import LinuxSystem
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension EnvironmentBuilder {
    /// Gives a record the identity that follows from all of it: nothing of a build can change without changing that.
    func identified(_ record: BuildRecord, hasTree: Bool) throws(BuildError) -> BuildRecord {
        var record = record
        record.id = try identity(of: record)
        if hasTree { record.layers.insert(record.id, at: 0) }
        return record
    }

    /// The identity of a record: the digest of the document without the identity itself.
    private func identity(of record: BuildRecord) throws(BuildError) -> String {
        var plain = record
        plain.layers.removeAll { $0 == record.id }
        plain.id = ""
        let document = plain
        return digest(try stored { () throws(StoreError) in try store.encode(document) })
    }

    /// Writes down what a staged tree holds; gives the SHA-256 of the listing.
    func takeContent(_ staged: FilePath, isCancelled: () -> Bool) throws(BuildError) -> String {
        let path = staged.appending(EnvironmentStore.contentName)
        let file = try create(path)
        var hash = StreamDigest()
        try list(staged.appending(BuildPaths.treeName), isCancelled: isCancelled) { part in
            hash.add(part)
            try Syscall.writeAll(file.number, part, 0..<part.count)
        }
        do throws(SyscallError) { try Syscall.fsync(file.number) } catch { throw .store(.system(error)) }
        return hash.hexadecimal
    }

    /// Reads a build again, and compares everything in it with what was written down when it was made.
    ///
    /// Gives what differs, one sentence each; nil where nothing was written down, as by older versions. A build that is
    /// not sound is marked: nothing uses it any more until it is sound again.
    package func verify(_ build: String, isCancelled: () -> Bool) throws(BuildError) -> [String]? {
        let hold = try stored { () throws(StoreError) in try store.lockForReading(build) }
        defer { withExtendedLifetime(hold) {} }
        let record: BuildRecord?
        do throws(StoreError) {
            record = try store.record(build)
        } catch {
            guard case .damaged = error else { throw .store(error) }
            record = nil
        }
        var found: [String]? = ["build.json cannot be read"]
        if let record { found = try differences(record, isCancelled: isCancelled) }
        guard let found else { return nil }
        try stored { () throws(StoreError) in try store.noteDamage(build, found.first) }
        return found
    }

    private func differences(_ record: BuildRecord, isCancelled: () -> Bool) throws(BuildError) -> [String]? {
        guard record.nonce != nil else { return nil }
        guard try identity(of: record) == record.id else { return ["build.json is not as it was written"] }
        guard let content = record.content else { return [] }
        let directory = store.path(of: record.id)
        let expected: [UInt8]
        do throws(SyscallError) {
            expected = try Syscall.readFile(
                directory.appending(EnvironmentStore.contentName), limit: EnvironmentStore.contentLimit)
        } catch {
            guard error.errno == .noSuchFileOrDirectory else { throw .store(.system(error)) }
            return ["the listing of its content is missing"]
        }
        var hash = StreamDigest()
        hash.add(expected)
        guard hash.hexadecimal == content else { return ["the listing of its content is not as it was written"] }
        let tree = directory.appending(BuildPaths.treeName)
        guard Syscall.exists(tree) else { return [".: missing"] }
        var actual: [UInt8] = []
        try list(tree, isCancelled: isCancelled) { actual += $0 }
        return ListingComparison.differences(expected, actual)
    }

    private func list(
        _ tree: FilePath, isCancelled: () -> Bool, into write: ([UInt8]) throws -> Void
    ) throws(BuildError) {
        var said: [UInt8] = []
        let outcome: CommandOutcome
        do {
            outcome = try executor.list(
                tree, isCancelled: isCancelled, output: { if said.count < 4096 { said += $0 } }, into: write)
        } catch let error as SyscallError {
            throw .store(.system(error))
        } catch {
            throw .executor(.inspect, "\(error)")
        }
        if isCancelled() { throw .cancelled }
        guard outcome.succeeded else {
            let failure = CommandOutcome.notStarted(outcome.status, said)
            throw .executor(
                .inspect, "list the tree: " + (failure?.why ?? trimmed(String(decoding: said, as: UTF8.self))),
                hint: failure?.hint)
        }
    }
}

extension EnvironmentStore {
    /// The file that tells what a build's tree held when it was made.
    static let contentName = "content"
    /// The mark of a build that is no longer what it was, with what was found first.
    static let damagedName = "damaged"
    /// The most bytes of a listing.
    static let contentLimit = 1 << 30

    /// Marks a build that is not sound, or takes the mark away.
    func noteDamage(_ build: String, _ found: String?) throws(StoreError) {
        try system { () throws(SyscallError) in
            let folder = try Syscall.open(path(of: build), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            if let found {
                try Syscall.replaceFile(
                    FilePath(Self.damagedName), at: folder.number, Array(found.utf8.prefix(4096)), mode: 0o600)
            } else if Syscall.exists(FilePath(Self.damagedName), at: folder.number) {
                try Syscall.unlink(FilePath(Self.damagedName), at: folder.number)
            }
        }
    }

    /// Refuses a build of which a verification, or one of whose layers, found that it is no longer what it was.
    package func requireSound(_ record: BuildRecord) throws(StoreError) {
        for build in [record.id] + record.layers {
            let mark = path(of: build).appending(Self.damagedName)
            guard Syscall.exists(mark) else { continue }
            let found = (try? Syscall.readFile(mark, limit: 8192)) ?? []
            throw .damagedBuild(build, String(decoding: found, as: UTF8.self))
        }
    }
}

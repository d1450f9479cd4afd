package import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The snapshots of a store, each in a directory named by its identity.
///
/// A snapshot directory holds `tree/`, `manifest` and `snapshot.json`; where the tree is a layer, `base` names the
/// snapshot whose whole tree lies below it, and `changes` says what makes the manifest of that one's. When such a one is removed while layers need it, only its record goes, by
/// the name `retired.json`. A snapshot appears by one rename when all of it is on the disk: after a crash, a full disk
/// or a stop there is either the whole snapshot or none. Any number of processes may use a store at once; two that
/// capture the same content end up with one snapshot. All calls block: they belong on a thread of their own.
///
/// Who removes snapshots makes sure beforehand that nothing refers to them.
package struct SnapshotStore: Sendable {
    /// The directory of all snapshots.
    package let directory: FilePath

    static let treeName: FilePath = "tree"
    static let manifestName: FilePath = "manifest"
    static let changesName: FilePath = "changes"
    static let recordName: FilePath = "snapshot.json"
    static let retiredName: FilePath = "retired.json"
    static let baseName: FilePath = "base"
    static let unsettledName: FilePath = "unsettled"
    static let damagedName: FilePath = "damaged"
    private static let recordLimit = 1 << 20

    /// Opens the snapshots of a store; the directory is made, 0700, when it is missing.
    package init(store: FilePath) throws(SnapshotError) {
        directory = store.appending("snapshots")
        do throws(SyscallError) {
            try Syscall.makeDirectories(directory, mode: 0o700)
        } catch {
            throw .writing(directory.bytes, error)
        }
    }

    /// Opens a directory to be captured.
    package static func open(project: FilePath) throws(SnapshotError) -> OwnedFileDescriptor {
        do throws(SyscallError) {
            return try Syscall.open(project, O_RDONLY | O_DIRECTORY)
        } catch {
            switch error.errno {
            case .permissionDenied: throw SnapshotError(project.bytes, .unreadable(error))
            default: throw SnapshotError(project.bytes, .system(error))
            }
        }
    }

    /// Finds a snapshot that can be used.
    package func snapshot(_ identity: SnapshotIdentity) throws(SnapshotError) -> Snapshot {
        let snapshot = try load(identity)
        try recover(identity)
        return snapshot
    }

    /// Checks the record against its own digest.
    func verifyRecord(of identity: SnapshotIdentity) throws(SnapshotError) {
        let name = isRetired(identity) ? Self.retiredName : Self.recordName
        do throws(SyscallError) {
            let bytes = try Syscall.readFile(path(of: identity).appending(name.string), limit: Self.recordLimit)
            if let record = SnapshotRecord(json: bytes), record.isOf(identity, json: bytes) { return }
        } catch  where error.errno == .noSuchFileOrDirectory {
            // What has no record is damaged as well.
        } catch {
            throw .reading(identity.description.utf8, error)
        }
        throw damaged(identity, "its record is not as it was written")
    }

    private func load(_ identity: SnapshotIdentity) throws(SnapshotError) -> Snapshot {
        let path = path(of: identity)
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try Syscall.readFile(path.appending(Self.recordName.string), limit: Self.recordLimit)
        } catch {
            let isThere = Syscall.exists(path) && !isRetired(identity)
            throw SnapshotError(
                identity.description.utf8, isThere ? .damaged("its record cannot be read: \(error.errno)") : .notFound)
        }
        if let damage = damage(of: identity) {
            throw SnapshotError(identity.description.utf8, .damaged("verification found: \(damage)"))
        }
        guard let record = SnapshotRecord(json: bytes) else {
            throw SnapshotError(identity.description.utf8, .damaged("its record is malformed"))
        }
        return snapshot(identity, record: record, base: try base(of: identity))
    }

    /// The snapshot on whose tree another one's layer lies; nil for one that has a whole tree.
    func base(of identity: SnapshotIdentity) throws(SnapshotError) -> SnapshotIdentity? {
        let bytes: [UInt8]
        do throws(SyscallError) {
            bytes = try Syscall.readFile(path(of: identity).appending(Self.baseName.string), limit: 4096)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return nil
        } catch {
            throw SnapshotError(identity.description.utf8, .damaged("its base cannot be read: \(error.errno)"))
        }
        guard let base = SnapshotIdentity(String(decoding: bytes.dropLast(), as: UTF8.self)), base != identity else {
            throw SnapshotError(identity.description.utf8, .damaged("the name of its base is malformed"))
        }
        guard Syscall.exists(treePath(of: base)),
            !Syscall.exists(path(of: base).appending(Self.baseName.string))
        else {
            throw SnapshotError(identity.description.utf8, .damaged("the tree below it, of \(base), is missing"))
        }
        if let damage = damage(of: base) {
            throw SnapshotError(
                identity.description.utf8, .damaged("verification found in the tree below it: \(damage)"))
        }
        return base
    }

    /// The identities of all snapshots, damaged ones included, in order.
    package func identities() throws(SnapshotError) -> [SnapshotIdentity] {
        do throws(SyscallError) {
            let snapshots = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            return try Self.identities(in: snapshots.number).filter { !isRetired($0) }
        } catch {
            throw .reading(directory.bytes, error)
        }
    }

    /// All directories that an identity names, in order.
    static func identities(in snapshots: CInt) throws(SyscallError) -> [SnapshotIdentity] {
        try Syscall.directoryEntries(snapshots).compactMap {
            SnapshotIdentity(String(decoding: $0.name, as: UTF8.self))
        }.sorted()
    }

    /// All snapshots, by identity.
    package func list() throws(SnapshotError) -> SnapshotListing {
        var snapshots: [Snapshot] = []
        var damaged: [SnapshotError] = []
        for identity in try identities() {
            do throws(SnapshotError) {
                snapshots.append(try load(identity))
            } catch  where error.reason == .notFound {
                // Removed since it was listed.
            } catch {
                damaged.append(error)
            }
        }
        return SnapshotListing(snapshots: snapshots, damaged: damaged)
    }

    /// Where a snapshot lies, or would lie.
    func path(of identity: SnapshotIdentity) -> FilePath { directory.appending(identity.description) }

    /// Where a snapshot's own tree lies.
    func treePath(of identity: SnapshotIdentity) -> FilePath { path(of: identity).appending(Self.treeName.string) }

    func snapshot(_ identity: SnapshotIdentity, record: SnapshotRecord, base: SnapshotIdentity?) -> Snapshot {
        Snapshot(
            identity: identity, record: record,
            layers: [treePath(of: identity)] + (base.map { [treePath(of: $0)] } ?? []), base: base)
    }
}

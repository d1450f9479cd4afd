import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Which snapshots are layers, and on whose trees they lie.
struct LayerUses {
    private var bases: [SnapshotIdentity: SnapshotIdentity] = [:]
    private var counts: [SnapshotIdentity: Int] = [:]

    /// Reads what the snapshots of an open directory say.
    ///
    /// Who removes what a layer could lie on locks it before: a capture holds what it builds on until its snapshot is
    /// there to be read.
    init(snapshots: CInt) throws(SyscallError) {
        let listing = HeldDescriptor(
            try Syscall.open(TerminatedName(".".utf8), at: snapshots, O_RDONLY | O_DIRECTORY))
        for identity in try SnapshotStore.identities(in: listing.number) {
            let name = FilePath(identity.description).appending(SnapshotStore.baseName.string)
            do throws(SyscallError) {
                let bytes = try Syscall.readFile(name, at: snapshots, limit: 4096, resolve: .withinTree)
                guard let base = SnapshotIdentity(String(decoding: bytes.dropLast(), as: UTF8.self)) else { continue }
                bases[identity] = base
                counts[base, default: 0] += 1
            } catch  where error.errno == .noSuchFileOrDirectory {
                continue
            }
        }
    }

    /// Whether a snapshot is stored as a layer.
    func isLayer(_ identity: SnapshotIdentity) -> Bool { bases[identity] != nil }

    /// Whether layers lie on the tree of a snapshot.
    func isBase(_ identity: SnapshotIdentity) -> Bool { counts[identity, default: 0] > 0 }

    /// The snapshot on whose tree a layer lies.
    func base(of identity: SnapshotIdentity) -> SnapshotIdentity? { bases[identity] }

    /// Whether all layers on the tree of a snapshot are among these.
    func isBase(_ identity: SnapshotIdentity, ofNoneBut layers: Set<SnapshotIdentity>) -> Bool {
        counts[identity, default: 0] == layers.count { bases[$0] == identity }
    }

    /// Notes that a snapshot is gone.
    mutating func remove(_ identity: SnapshotIdentity) {
        guard let base = bases.removeValue(forKey: identity), let count = counts[base] else { return }
        counts[base] = count - 1
    }
}

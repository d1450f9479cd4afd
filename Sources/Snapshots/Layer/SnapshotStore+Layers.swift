import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension SnapshotStore {
    /// Whether only the tree of a snapshot is left, because layers lie on it.
    func isRetired(_ identity: SnapshotIdentity) -> Bool {
        let path = path(of: identity)
        return Syscall.exists(path.appending(Self.retiredName.string))
            && !Syscall.exists(path.appending(Self.recordName.string))
    }

    /// Takes the record of a snapshot away whose tree has to stay; the caller has locked it.
    func retire(_ identity: SnapshotIdentity, claim: HeldDescriptor) throws(SyscallError) {
        do throws(SyscallError) {
            try Syscall.rename(
                Self.recordName, at: claim.number, to: Self.retiredName, at: claim.number, replacing: true)
        } catch  where error.errno == .noSuchFileOrDirectory {
            // Damaged: there is no record to keep.
            try Syscall.writeFile(Self.retiredName, at: claim.number, [], mode: 0o600)
        }
    }

    /// Makes a snapshot of a tree that only layers kept; the caller has leased it.
    ///
    /// Nothing happens to any other.
    func revive(_ identity: SnapshotIdentity) {
        let path = path(of: identity)
        // ENOENT: it was not retired, or someone else was faster.
        try? Syscall.rename(
            path.appending(Self.retiredName.string), to: path.appending(Self.recordName.string), replacing: false)
    }

    /// The trees that were kept for layers.
    func retired(_ staging: StagingArea) throws(SyscallError) -> [SnapshotIdentity] {
        let listing = HeldDescriptor(
            try Syscall.open(TerminatedName(".".utf8), at: staging.snapshots.number, O_RDONLY | O_DIRECTORY))
        return try Self.identities(in: listing.number).filter(isRetired)
    }

    /// Removes those of the trees kept for layers of which none is left.
    func removeUnused(_ retired: [SnapshotIdentity], _ staging: StagingArea) throws(SyscallError) {
        for identity in retired {
            guard let claim = try claim(identity, staging) else { continue }
            var uses = try LayerUses(snapshots: staging.snapshots.number)
            guard !uses.isBase(identity), isRetired(identity) else { continue }
            try remove(identity, claim: claim, staging: staging, uses: &uses)
        }
    }

    /// Puts a finished snapshot in the place of a damaged one; false when the damaged one is gone and its place free.
    ///
    /// Where layers lie on the damaged tree, the two take each other's place at once: that heals the layers as well.
    func replaceDamaged(
        _ identity: SnapshotIdentity, with place: StagingArea.Directory, staging: StagingArea
    ) throws(SnapshotError) -> Bool {
        let name = TerminatedName(identity.description.utf8)
        do throws(SyscallError) {
            let claim: HeldDescriptor
            do throws(SyscallError) {
                claim = try staging.claim(name)
            } catch  where error.errno == .noSuchFileOrDirectory {
                return false
            }
            var uses = try LayerUses(snapshots: staging.snapshots.number)
            guard uses.isBase(identity) else {
                try remove(identity, claim: claim, staging: staging, uses: &uses)
                return false
            }
            try Syscall.exchange(place.name, at: staging.descriptor.number, with: name, at: staging.snapshots.number)
            try Syscall.fsync(staging.snapshots.number)
            try staging.remove(place)
            return true
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            throw SnapshotError(identity.description.utf8, .inUse)
        } catch {
            throw .writing(identity.description.utf8, error)
        }
    }

    /// What snapshots take on the disk, with their manifests; several snapshots as one.
    ///
    /// What a layer of another snapshot needs is shared; a tree that only these snapshots' layers keep counts with them.
    package func usage(of identities: [SnapshotIdentity]) throws(SnapshotError) -> DiskUsage {
        do throws(SyscallError) {
            let snapshots = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            let uses = try LayerUses(snapshots: snapshots.number)
            let all = Set(identities)
            var freed = identities.filter { uses.isBase($0, ofNoneBut: all) }
            let kept = Set(identities.compactMap { uses.base(of: $0) }).subtracting(all)
            freed += kept.sorted().filter { isRetired($0) && uses.isBase($0, ofNoneBut: all) }
            let shared = identities.filter { !uses.isBase($0, ofNoneBut: all) }
            return try DiskUsage.measure(freed.map(path(of:)), shared: shared.map(path(of:)))
        } catch {
            throw .reading(directory.bytes, error)
        }
    }
}

import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Keeps a snapshot from being removed: from the moment of the capture until something on the disk refers to it.
///
/// It ends when its holder says so, at the latest with the holder's process, however that ends.
package final class SnapshotLease: Sendable {
    private let descriptor: HeldDescriptor

    fileprivate init(_ descriptor: HeldDescriptor) { self.descriptor = descriptor }

    /// Ends the lease: something on the disk refers to the snapshot now, or nothing ever will.
    package func end() {
        // Unlocking an open file cannot fail.
        try? Syscall.flock(descriptor.number, LOCK_UN)
    }
}

extension SnapshotStore {
    /// Leases a snapshot.
    package func lease(_ identity: SnapshotIdentity) throws(SnapshotError) -> SnapshotLease {
        do throws(SyscallError) {
            let snapshots = try Syscall.open(directory, O_RDONLY | O_DIRECTORY)
            let descriptor = HeldDescriptor(
                try Syscall.open(
                    TerminatedName(identity.description.utf8), at: snapshots.number,
                    O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: .withinTree))
            guard try lease(identity, descriptor) else { throw SyscallError("open", errno: .noSuchFileOrDirectory) }
            return SnapshotLease(descriptor)
        } catch  where error.errno == .noSuchFileOrDirectory {
            throw SnapshotError(identity.description.utf8, .notFound)
        } catch {
            throw .reading(identity.description.utf8, error)
        }
    }

    /// Turns the lock of whoever has just published a snapshot into a lease; nil when it was removed in between.
    func lease(_ identity: SnapshotIdentity, published: StagingArea.Directory) throws(SyscallError) -> SnapshotLease? {
        try lease(identity, published.descriptor) ? SnapshotLease(published.descriptor) : nil
    }

    /// Waits while a removal decides, and tells whether the snapshot is still there.
    private func lease(_ identity: SnapshotIdentity, _ descriptor: HeldDescriptor) throws(SyscallError) -> Bool {
        try Syscall.flock(descriptor.number, LOCK_SH)
        do throws(SyscallError) {
            return try Syscall.lstat(path(of: identity)).inode == Syscall.fstat(descriptor.number).inode
        } catch  where error.errno == .noSuchFileOrDirectory {
            return false
        }
    }

    /// Removes a snapshot, also on a full disk; when there is none, nothing happens.
    ///
    /// Where layers of others lie on its tree, that stays until the last of them goes.
    /// From the first step on the snapshot is gone for all other users. A crash meanwhile leaves only what the next
    /// capture removes. Files that other snapshots share stay with them.
    ///
    /// - Throws: ``SnapshotError/Reason/inUse`` when someone holds a lease.
    package func remove(_ identity: SnapshotIdentity) throws(SnapshotError) {
        do throws(SyscallError) {
            let staging = try StagingArea(snapshots: directory)
            do throws(SyscallError) {
                let claim = try staging.claim(TerminatedName(identity.description.utf8))
                var uses = try LayerUses(snapshots: staging.snapshots.number)
                try remove(identity, claim: claim, staging: staging, uses: &uses)
                try removeUnused(try retired(staging), staging)
            } catch  where error.errno == .noSuchFileOrDirectory {
                return
            }
        } catch  where error.errno == .resourceTemporarilyUnavailable {
            throw SnapshotError(identity.description.utf8, .inUse)
        } catch {
            throw .writing(identity.description.utf8, error)
        }
    }

    /// Removes a locked snapshot, or only its record where layers lie on its tree.
    func remove(
        _ identity: SnapshotIdentity, claim: HeldDescriptor, staging: StagingArea, uses: inout LayerUses
    ) throws(SyscallError) {
        if uses.isBase(identity) { return try retire(identity, claim: claim) }
        uses.remove(identity)
        do throws(SyscallError) {
            try staging.remove(try staging.receive(TerminatedName(identity.description.utf8), claim: claim))
        } catch  where error.errno == .noSpace || error.errno == .diskQuotaExceeded {
            // No room for a name in the staging area: without its record the snapshot is gone as well.
            try? Syscall.unlink(path(of: identity).appending(Self.recordName.string))
            try TreeRemoval.remove(directory: staging.snapshots.number, name: FilePath(identity.description))
        }
    }

    /// Those that nobody has leased at this moment.
    package func unleased(_ identities: [SnapshotIdentity]) throws -> [SnapshotIdentity] {
        let staging = try StagingArea(snapshots: directory)
        return try identities.filter { try claim($0, staging) != nil }
    }

    /// Removes those of the candidates that nothing refers to and nobody has leased.
    ///
    /// References are read after the candidates are locked: whoever takes a snapshot into use leases it before and
    /// writes the reference before the lease ends, so that either the lock fails or the reference is seen.
    ///
    /// - Parameters:
    ///   - candidates: What may be removed.
    ///   - references: Reads anew all that is referred to; called a few times.
    ///   - removed: Told of each snapshot that is gone.
    package func prune(
        _ candidates: [SnapshotIdentity], references: () throws -> Set<SnapshotIdentity>,
        removed: (SnapshotIdentity) -> Void = { _ in }
    ) throws {
        let staging = try StagingArea(snapshots: directory)
        try staging.removeStale()
        // Layers go before what they lie on.
        let layers = try LayerUses(snapshots: staging.snapshots.number)
        var rest = (candidates.filter(layers.isLayer) + candidates.filter { !layers.isLayer($0) })[...]
        while !rest.isEmpty {
            let share = rest.prefix(Self.pruneShare)
            rest = rest.dropFirst(Self.pruneShare)
            var claims: [SnapshotIdentity: HeldDescriptor] = [:]
            for identity in share { claims[identity] = try claim(identity, staging) }
            let referenced = try references()
            var uses = try LayerUses(snapshots: staging.snapshots.number)
            for identity in share where !referenced.contains(identity) {
                guard let claim = claims[identity] else { continue }
                try remove(identity, claim: claim, staging: staging, uses: &uses)
                removed(identity)
            }
        }
        let retired = try retired(staging)
        guard !retired.isEmpty else { return }
        let referenced = try references()
        try removeUnused(retired.filter { !referenced.contains($0) }, staging)
    }

    /// Locks a snapshot against leases; nil when it is leased, or gone already.
    func claim(_ identity: SnapshotIdentity, _ staging: StagingArea) throws(SyscallError) -> HeldDescriptor? {
        do throws(SyscallError) {
            return try staging.claim(TerminatedName(identity.description.utf8))
        } catch  where error.errno == .resourceTemporarilyUnavailable || error.errno == .noSuchFileOrDirectory {
            return nil
        }
    }

    /// How many snapshots are locked at once; each takes a descriptor.
    private static let pruneShare = 100
}

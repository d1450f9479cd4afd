import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The whole tree of a snapshot, held while a layer is put on it.
struct LayerBase: Sendable {
    let identity: SnapshotIdentity
    let tree: BaseTree
    /// The open manifest.
    let manifest: HeldDescriptor
    /// Keeps the tree until the layer's snapshot refers to it.
    let lease: SnapshotLease

    /// Holds a snapshot, or the tree that is left of one; nil when it is gone, damaged, a layer itself, or another
    /// owner's.
    init?(_ identity: SnapshotIdentity, in store: SnapshotStore, owner: FileOwner?) {
        guard let lease = try? store.lease(identity), store.damage(of: identity) == nil,
            !Syscall.exists(store.path(of: identity).appending(SnapshotStore.baseName.string)),
            let tree = try? Syscall.open(
                store.treePath(of: identity), O_RDONLY | O_DIRECTORY | O_NOFOLLOW),
            let manifest = try? Syscall.open(
                store.path(of: identity).appending(SnapshotStore.manifestName.string), O_RDONLY | O_NOFOLLOW),
            let status = try? Syscall.fstat(tree.number)
        else { return nil }
        if let owner, status.user != owner.user || status.group != owner.group { return nil }
        if owner == nil, status.user != Syscall.effectiveUser { return nil }
        self.identity = identity
        self.lease = lease
        self.manifest = HeldDescriptor(manifest)
        self.tree = BaseTree(HeldDescriptor(tree))
    }
}

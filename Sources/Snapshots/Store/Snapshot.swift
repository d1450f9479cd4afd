package import SystemPackage

/// An immutable copy of a tree in the store.
package struct Snapshot: Sendable, Hashable {
    /// The SHA-256 of its manifest.
    package let identity: SnapshotIdentity
    /// How it came about.
    package let record: SnapshotRecord
    /// The lower directories that together show the tree, the top one first: what an overlay mount takes.
    package let layers: [FilePath]
    /// The snapshot whose tree is the layer below, when this one holds only what differs from it.
    let base: SnapshotIdentity?
}

/// What to take a snapshot of, and how.
package struct CaptureRequest: Sendable {
    /// The open directory of the project, lent for the time of the capture.
    package var project: CInt
    /// What the snapshot's record calls the project.
    package var source: String
    /// Who owns the tree; nil, and whenever the process is not root's, the user of the process.
    package var owner: FileOwner?
    /// False leaves every `.git` out.
    package var includesGit = true
    /// False takes everything, as for the root file system of an environment.
    package var appliesIgnoreRules = true
    /// When the snapshot is safe from a loss of power.
    package var durability = Durability.immediate
    /// More new bytes than this are confirmed by the caller first; nil confirms any size.
    package var confirmAbove: Int64?

    /// Asks for a snapshot of an open directory.
    package init(project: CInt, source: String, owner: FileOwner? = nil) {
        self.project = project
        self.source = source
        self.owner = owner
    }
}

/// When a snapshot is on the disk, and no longer in the kernel's memory only.
///
/// The end of a process never harms a snapshot; this is about a loss of power.
package enum Durability: Sendable, Hashable {
    /// Before the capture returns.
    case immediate
    /// When ``SnapshotStore/settle(_:)`` has returned. If power is lost earlier, the next look at the snapshot reads
    /// all of it, and finds it either sound or damaged.
    case deferred
}

/// How large a capture would be, found before anything is copied.
package struct CaptureSize: Sendable, Hashable {
    /// Sum of the sizes of all files in bytes, without holes.
    package let bytes: Int64
    /// Files, links and directories.
    package let entries: Int
    /// Up to ten files, the largest first.
    package let largest: [LargestItems.Item]
}

/// What a capture did.
package struct CaptureReport: Sendable {
    /// The snapshot.
    package let snapshot: Snapshot
    /// Keeps the snapshot from being removed until something on the disk refers to it.
    package let lease: SnapshotLease
    /// False when the store had it already; nothing was stored then.
    package let isNew: Bool
    /// What the project holds and the snapshot does not, or not as it is.
    package let notes: [CaptureNote]
    /// Facts about the ignore rules that the author may want to know, as sentences.
    package let remarks: [String]
    /// The size that was found.
    package let size: CaptureSize
}

/// All snapshots of a store.
package struct SnapshotListing: Sendable {
    /// Those that can be used, by identity.
    package let snapshots: [Snapshot]
    /// Those whose record cannot be read, by identity.
    package let damaged: [SnapshotError]
}

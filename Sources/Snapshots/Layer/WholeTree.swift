import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// One directory with everything that a snapshot holds, for those who cannot look into several layers.
///
/// It is there until ``end()``; what a crash leaves of it is removed by the next capture.
package final class WholeTree: Sendable {
    /// The directory.
    package let path: FilePath
    private let made: (staging: StagingArea, place: StagingArea.Directory)?

    fileprivate init(path: FilePath, made: (staging: StagingArea, place: StagingArea.Directory)?) {
        self.path = path
        self.made = made
    }

    /// Removes the directory, unless it is the snapshot's own.
    package func end() {
        // What cannot be removed now is left to the next capture.
        if let made { try? made.staging.remove(made.place) }
    }
}

extension SnapshotStore {
    /// Gives a directory with everything that a leased snapshot holds: its tree, or names for the files of its layers.
    package func wholeTree(of snapshot: Snapshot) throws(SnapshotError) -> WholeTree {
        guard snapshot.layers.count > 1, let layer = snapshot.layers.first else {
            return WholeTree(path: treePath(of: snapshot.identity), made: nil)
        }
        let manifest = try manifest(of: snapshot.identity)
        do throws(SyscallError) {
            let staging = try StagingArea(snapshots: directory)
            let place = try staging.make()
            do throws(SyscallError) {
                try Syscall.makeDirectory(Self.treeName, at: place.descriptor.number, mode: 0o700)
                let tree = HeldDescriptor(
                    try Syscall.open(Self.treeName, at: place.descriptor.number, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
                let status = try Syscall.lstat(layer)
                let owner = Syscall.effectiveUser == 0 ? FileOwner(user: status.user, group: status.group) : nil
                var assembly = TreeAssembly(tree: tree, layers: try StoredTree(snapshot.layers), owner: owner)
                try assembly.add(manifest)
            } catch {
                try? staging.remove(place)
                throw error
            }
            let path = directory.appending(StagingArea.directoryName.string)
                .appending(FilePath(bytes: place.name.bytes).string).appending(Self.treeName.string)
            return WholeTree(path: path, made: (staging, place))
        } catch {
            throw .writing(snapshot.identity.description.utf8, error)
        }
    }
}

/// Fills an empty directory with what a manifest names, by further names for stored files.
private struct TreeAssembly {
    private let owner: FileOwner?
    private var layers: StoredTree
    private var directories: PathCursor
    private var notes = CaptureNotes()

    init(tree: HeldDescriptor, layers: StoredTree, owner: FileOwner?) {
        self.owner = owner
        self.layers = layers
        directories = PathCursor(root: tree.number)
    }

    mutating func add(_ manifest: Manifest) throws(SyscallError) {
        var made: [ManifestEntry] = []
        for entry in manifest.entries {
            let isRoot = entry.path.elementsEqual(".".utf8)
            if entry.kind == .directory { made.append(entry) }
            if !isRoot { try add(entry) }
        }
        // The deepest first: a mode may take away the right to go deeper.
        for entry in made.reversed() {
            let isRoot = entry.path.elementsEqual(".".utf8)
            _ = try TreeMetadata.apply(
                attributes: entry.attributes, owner: owner, mode: entry.mode, modified: entry.modified,
                to: try directories.descriptor(for: isRoot ? [] : entry.path), notes: &notes, path: entry.path)
        }
    }

    private mutating func add(_ entry: ManifestEntry) throws(SyscallError) {
        let slash = entry.path.lastIndex(of: UInt8(ascii: "/"))
        let place = try directories.descriptor(for: slash.map { Array(entry.path[..<$0]) } ?? [])
        let name = TerminatedName(slash.map { entry.path[($0 + 1)...] } ?? entry.path[...])
        switch entry.kind {
        case .directory: try Syscall.makeDirectory(name, at: place, mode: 0o700)
        case .file: try layers.link(entry.path, to: name, at: place)
        // Trees with such names are never layers; the name is one of a stored file all the same.
        case .hardLink(let first): try layers.link(first, to: name, at: place)
        case .symbolicLink(let target):
            try Syscall.symlink(to: TerminatedName(target), name, at: place)
            if let owner { try Syscall.changeOwner(name, at: place, user: owner.user, group: owner.group) }
            try Syscall.setModificationTime(name, at: place, entry.modified)
        }
    }
}

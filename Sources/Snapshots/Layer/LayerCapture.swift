import LinuxSystem
import SystemPackage

/// Stores what a surveyed tree has besides, or instead of, a stored one, as a layer that an overlay mount can have over
/// it.
///
/// A layer always lies on a whole tree, never on another layer: however many changes a project sees, a mount of it has
/// two lower directories. It holds all that differs from that tree; what the last snapshot of the project has already
/// is linked from there. When it grows too large for that to pay, a whole tree is stored again.
struct LayerCapture {
    /// Fewer entries than this are linked faster than they are compared.
    private static let leastEntries = 256
    /// The share of a tree's entries, and of its bytes, that a layer may replace: the tree below keeps what is replaced.
    private static let share = 4

    private let survey: TreeSurvey
    private let source: CInt
    private let destination: CInt
    private let base: LayerBase
    private let owner: FileOwner?
    private let monitor: CaptureMonitor
    private let known: KnownFiles
    private var notes = CaptureNotes()
    private var isMade: [Bool]
    private var cursor: TreeCursor

    /// Whether a layer may pay, as far as that can be told before anything is compared.
    static func isWorthwhile(_ survey: TreeSurvey, _ known: KnownFiles) -> Bool {
        survey.entryCount >= leastEntries && known.unprovenCount <= survey.files.count / share
            && !survey.groups.contains { $0.files.count > 1 }
    }

    /// Prepares a layer in an open, empty directory.
    init(
        survey: TreeSurvey, source: CInt, destination: CInt, base: LayerBase, owner: FileOwner?,
        monitor: CaptureMonitor, known: KnownFiles
    ) {
        self.survey = survey
        self.source = source
        self.destination = destination
        self.base = base
        self.owner = owner
        self.monitor = monitor
        self.known = known
        isMade = [Bool](repeating: false, count: survey.directories.count)
        isMade[0] = true
        cursor = TreeCursor(root: destination)
    }

    /// Stores the layer, and writes what makes the manifest of the whole of that below to an open, empty file; nil, with
    /// the destination half filled, when a whole tree is better.
    consuming func run(changes: CInt) throws(SnapshotError) -> TreeCapture.Result? {
        // Files that have to be read are new to the store, or at least not known to lie in the tree below.
        for (index, file) in survey.files.enumerated() where known.match(index) == nil {
            try makeDirectory(Int(file.directory))
        }
        monitor.expect(files: survey.files.count, bytes: survey.bytes)
        let records = try TreeJob(
            survey: survey, source: source, destination: destination, owner: owner, monitor: monitor, isCapture: true,
            known: known, below: base.tree
        ).run()
        guard let stored = StoredManifest(ManifestReader(base.manifest.number)) else { return nil }
        var comparison = LayerComparison(base: stored, limit: survey.entryCount / Self.share)
        let (identity, counts) = try compare(records, &comparison, writing: changes)
        guard comparison.finish(expecting: base.identity), comparison.hiddenBytes <= survey.bytes / Int64(Self.share)
        else { return nil }
        do throws(SyscallError) { try Self.write(&comparison, to: changes) } catch { throw .writing([], error) }
        guard try place(comparison.stored, records), try hide(comparison.hidden), try finishDirectories()
        else { return nil }
        notes.add(survey.notes)
        notes.add(records.notes)
        return TreeCapture.Result(identity: identity, counts: counts, notes: notes, records: records)
    }

    private func compare(
        _ records: TreeJob.Result, _ comparison: inout LayerComparison, writing changes: CInt
    ) throws(SnapshotError) -> (identity: SnapshotIdentity, counts: TreeCounts) {
        do throws(SyscallError) {
            return try TreeManifest(survey: survey, records: records).write { (_: [UInt8]) throws(SyscallError) in
                try Self.write(&comparison, to: changes)
            } showing: {
                comparison.take($0, path: $1, lines: $2)
            }
        } catch {
            throw .writing([], error)
        }
    }

    private static func write(_ comparison: inout LayerComparison, to changes: CInt) throws(SyscallError) {
        let text = comparison.takeChanges()
        try Syscall.writeAll(changes, text, 0..<text.count)
    }

    // MARK: Entries

    /// Makes a directory of the layer, and those above it.
    private mutating func makeDirectory(_ directory: Int) throws(SnapshotError) {
        var missing: [Int] = []
        var node = directory
        while !isMade[node] {
            missing.append(node)
            node = Int(survey.directories[node].parent)
        }
        for node in missing.reversed() {
            do throws(SyscallError) {
                let parent = try cursor.descriptor(for: Int(survey.directories[node].parent), in: survey)
                try Syscall.makeDirectory(survey.name(of: node), at: parent, mode: 0o700)
                isMade[node] = true
            } catch {
                throw .writing(survey.path(ofDirectory: node), error)
            }
        }
    }

    /// Places entries, but for the files that were read and are in place; false when a stored file cannot be linked.
    private mutating func place(
        _ places: [TreeSurvey.Place], _ records: TreeJob.Result
    ) throws(SnapshotError) -> Bool {
        var sharing: FileSharing
        do throws(SyscallError) {
            sharing = try FileSharing(known: known, destination: destination, owner: owner)
        } catch {
            throw .writing([], error)
        }
        for place in places {
            let index = Int(place.index)
            switch place.kind {
            case .directory: try makeDirectory(index)
            case .link: try makeLink(survey.links[index])
            case .file:
                guard let stored = known.match(index) else { continue }
                if try !link(stored, as: index, &sharing) { return false }
            }
        }
        return true
    }

    private mutating func makeLink(_ link: TreeSurvey.Link) throws(SnapshotError) {
        try makeDirectory(Int(link.directory))
        do throws(SyscallError) {
            try TreeCapture.makeLink(
                link, in: survey, at: try cursor.descriptor(for: Int(link.directory), in: survey), owner: owner)
        } catch {
            throw .writing(survey.path(inDirectory: link.directory, at: link.nameStart), error)
        }
    }

    private mutating func link(
        _ stored: KnownFiles.StoredFile, as file: Int, _ sharing: inout FileSharing
    ) throws(SnapshotError) -> Bool {
        let node = survey.files[file]
        try makeDirectory(Int(node.directory))
        do throws(SyscallError) {
            let directory = try cursor.descriptor(for: Int(node.directory), in: survey)
            let name = survey.name(inDirectory: node.directory, at: node.nameStart)
            return sharing.link(stored, as: name, at: directory)
        } catch {
            throw .writing(survey.path(ofFile: file), error)
        }
    }

    /// Hides entries of the tree below; false where the file system has no way to.
    private mutating func hide(_ paths: [[UInt8]]) throws(SnapshotError) -> Bool {
        for path in paths {
            let slash = path.lastIndex(of: UInt8(ascii: "/"))
            guard let directory = survey.directory(at: path[..<(slash ?? 0)]) else { return false }
            try makeDirectory(directory)
            do throws(SyscallError) {
                let name = TerminatedName(slash.map { path[($0 + 1)...] } ?? path[...])
                try Syscall.makeWhiteout(name, at: try cursor.descriptor(for: directory, in: survey))
            } catch  where error.errno == .notPermitted || error.errno == .notSupported {
                return false
            } catch {
                throw .writing(path, error)
            }
        }
        return true
    }

    /// Gives directories what they have besides entries, the deepest first; false when one cannot hold all of it.
    private mutating func finishDirectories() throws(SnapshotError) -> Bool {
        var climbing = TreeCursor(root: destination, climbs: true)
        for directory in survey.directories.indices.reversed() where isMade[directory] {
            let node = survey.directories[directory]
            do throws(SyscallError) {
                let stored = try TreeMetadata.apply(
                    attributes: node.attributes, owner: owner, mode: node.mode, modified: node.modified,
                    to: try climbing.descriptor(for: directory, in: survey), notes: &notes,
                    path: survey.path(ofDirectory: directory))
                if stored != node.attributes { return false }
            } catch {
                throw .writing(survey.path(ofDirectory: directory), error)
            }
        }
        return true
    }
}

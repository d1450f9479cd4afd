import LinuxSystem
import SystemPackage

/// What a run changed: the upper directory of an overlay mount, read by itself; also the layer of a snapshot.
///
/// The tree is hostile: it is read below its descriptor, without following links or entering mounts, and what it says
/// by devices and attributes about the layer below can only hide entries of that layer's manifest.
package struct UpperTree: Sendable {
    /// Its entries, without what is meant for overlay mounts only.
    let entries: [ManifestEntry]
    /// Paths that are hidden below, each with all that is in it.
    private let whiteouts: Set<[UInt8]>
    /// Directories whose content below is hidden.
    private let opaque: Set<[UInt8]>
    /// What is in the directory and in no manifest: devices, sockets and pipes.
    package let special: [CaptureNote]

    private static let opaqueName = Array("user.overlay.opaque".utf8)
    private static let prefix = Array("user.overlay.".utf8)

    /// Reads an open directory.
    ///
    /// - Parameter isLayer: Whether it is the layer of a snapshot, which hides by devices alone: an attribute that an
    ///   overlay mount obeys was never stored there, and shows as any other.
    package init(
        reading directory: CInt, isLayer: Bool = false,
        progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation = { _ in .proceed }
    ) throws(SnapshotError) {
        let monitor = CaptureMonitor(report: progress)
        var options = TreeWalk.Options()
        options.isCapture = false
        options.collectsWhiteouts = true
        let survey = try TreeWalk(root: directory, options: options, monitor: monitor).run()
        monitor.expect(files: survey.files.count, bytes: survey.bytes)
        let records = try TreeJob(
            survey: survey, source: directory, destination: nil, owner: nil, monitor: monitor, isCapture: false
        ).run()
        var opaque: Set<[UInt8]> = []
        entries = Manifest(canonical: TreeManifest(survey: survey, records: records).write().bytes).entries.map {
            entry in
            if isLayer { return entry }
            if entry.kind == .directory,
                entry.attributes.contains(where: { $0.name == Self.opaqueName && $0.value == [UInt8(ascii: "y")] })
            {
                opaque.insert(entry.path)
            }
            let kept = entry.attributes.filter { !$0.name.starts(with: Self.prefix) }
            return kept.count == entry.attributes.count ? entry : entry.with(attributes: kept)
        }
        self.opaque = opaque
        whiteouts = Set(survey.whiteouts.map { survey.path(inDirectory: $0.directory, at: $0.nameStart) })
        special = survey.notes.all
    }

    /// What the overlay mount shows over a tree with this manifest.
    package func merged(over base: Manifest) -> Manifest {
        let own = Dictionary(entries.map { ($0.path, $0) }) { first, _ in first }
        let below = promotingLinks(base.entries.filter { own[$0.path] == nil && !isHidden($0.path, own) }, base)
        var text = ManifestText.header
        var (left, right) = (below[...], entries[...])
        while let entry = Self.popFirst(&left, &right) { ManifestText.append(entry, to: &text) }
        return Manifest(canonical: text)
    }

    private static func popFirst(
        _ left: inout ArraySlice<ManifestEntry>, _ right: inout ArraySlice<ManifestEntry>
    ) -> ManifestEntry? {
        guard let one = left.first, let other = right.first else { return left.popFirst() ?? right.popFirst() }
        // The tree's own directory comes first, though `.` sorts behind some names.
        if other.path.elementsEqual(".".utf8) { return right.popFirst() }
        return one.path.lexicographicallyPrecedes(other.path) ? left.popFirst() : right.popFirst()
    }

    /// Whether the upper directory hides an entry of the tree below.
    private func isHidden(_ path: [UInt8], _ own: [[UInt8]: ManifestEntry]) -> Bool {
        if hides(path) { return true }
        if path.elementsEqual(".".utf8) { return false }
        return hidesInside(Array(path[..<(path.lastIndex(of: UInt8(ascii: "/")) ?? 0)]), own)
    }

    /// Whether a path itself is hidden below.
    func hides(_ path: [UInt8]) -> Bool { whiteouts.contains(path) }

    /// Whether all that is in a directory of the tree below is hidden; an empty path is the tree's own.
    func hidesInside(_ directory: [UInt8], _ own: [[UInt8]: ManifestEntry]) -> Bool {
        if opaque.contains([UInt8(ascii: ".")]) { return true }
        for index in directory.indices.dropFirst() + [directory.count]
        where index == directory.count || directory[index] == UInt8(ascii: "/") {
            let above = Array(directory[..<index])
            if whiteouts.contains(above) || opaque.contains(above) { return true }
            // What is no directory any more has nothing in it.
            if let entry = own[above], entry.kind != .directory { return true }
        }
        return false
    }

    /// Makes a further name the first of its file when the first is replaced or gone.
    private func promotingLinks(_ entries: [ManifestEntry], _ base: Manifest) -> [ManifestEntry] {
        guard entries.contains(where: { $0.isHardLink }) else { return entries }
        let present = Set(entries.map(\.path))
        var lost: [[UInt8]: ManifestEntry] = [:]
        for entry in base.entries where !present.contains(entry.path) && !entry.isHardLink { lost[entry.path] = entry }
        var promoted: [[UInt8]: [UInt8]] = [:]
        return entries.map { entry in
            guard case .hardLink(let first) = entry.kind, let content = lost[first] else { return entry }
            if let name = promoted[first] { return entry.with(kind: .hardLink(first: name)) }
            promoted[first] = entry.path
            return ManifestEntry(
                path: entry.path, kind: content.kind, mode: content.mode, modified: content.modified,
                attributes: content.attributes)
        }
    }
}

extension ManifestEntry {
    fileprivate var isHardLink: Bool {
        if case .hardLink = kind { return true }
        return false
    }

    fileprivate func with(kind: Kind? = nil, attributes: [ExtendedAttribute]? = nil) -> ManifestEntry {
        ManifestEntry(
            path: path, kind: kind ?? self.kind, mode: mode, modified: modified,
            attributes: attributes ?? self.attributes)
    }
}

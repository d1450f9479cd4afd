/// Finds what a new tree has besides, or instead of, a stored one, by their manifests: the entries of a layer.
///
/// Both come in the order of paths. Lines that are equal say that the stored tree shows the very same entry.
struct LayerComparison {
    /// Entries of the new tree that the layer has to hold.
    private(set) var stored: [TreeSurvey.Place] = []
    /// Paths that the layer has to hide, each with all that is below.
    private(set) var hidden: [[UInt8]] = []
    /// Sizes of the stored tree's files that the layer hides or replaces, in bytes.
    private(set) var hiddenBytes: Int64 = 0
    /// What makes the new manifest of the stored one.
    private var changes = ManifestChanges()
    /// Whether the stored tree cannot be built on, or not within the limit.
    private(set) var isUnsuitable = false

    private var base: StoredManifest
    private let limit: Int
    /// Directories of the stored tree of which nothing shows any more.
    private var gone: Set<[UInt8]> = []

    /// Compares with a stored manifest.
    ///
    /// - Parameter limit: The most entries of a layer.
    init(base: StoredManifest, limit: Int) {
        self.base = base
        self.limit = limit
    }

    /// Takes the next entry of the new tree.
    mutating func take(_ place: TreeSurvey.Place, path: [UInt8], lines: ArraySlice<UInt8>) {
        guard !isUnsuitable else { return }
        while !base.isFinished {
            if base.isSame(lines) {
                changes.keep(base.lineCount)
                return advance()
            }
            guard let old = parsed() else { return }
            if old.path == path {
                replace(old, isDirectory: place.kind == .directory)
                drop()
                break
            }
            guard old.path.lexicographicallyPrecedes(path) else { break }
            hide(old)
            drop()
        }
        stored.append(place)
        changes.add(lines)
        if stored.count + hidden.count > limit { isUnsuitable = true }
    }

    /// Takes the end of the new tree; false when the stored tree cannot be built on.
    mutating func finish(expecting identity: SnapshotIdentity) -> Bool {
        while !isUnsuitable, !base.isFinished {
            guard let old = parsed() else { break }
            hide(old)
            drop()
        }
        return !isUnsuitable && stored.count + hidden.count <= limit && base.identity() == identity
    }

    /// What changed since the last call; the caller puts all of it behind each other.
    mutating func takeChanges() -> [UInt8] { changes.take() }

    private mutating func drop() {
        changes.drop(base.lineCount)
        advance()
    }

    private mutating func advance() {
        if !base.advance() { isUnsuitable = true }
    }

    /// The stored entry at hand.
    ///
    /// Several names of one file cannot be told apart by layer, so there are none.
    private mutating func parsed() -> ManifestEntry? {
        guard let old = base.parsed() else {
            isUnsuitable = true
            return nil
        }
        if case .hardLink = old.kind {
            isUnsuitable = true
            return nil
        }
        return old
    }

    private mutating func replace(_ old: ManifestEntry, isDirectory: Bool) {
        if old.kind == .directory, !isDirectory { gone.insert(old.path) }
        count(old)
    }

    private mutating func hide(_ old: ManifestEntry) {
        if old.kind == .directory { gone.insert(old.path) }
        count(old)
        if let slash = old.path.lastIndex(of: UInt8(ascii: "/")), gone.contains(Array(old.path[..<slash])) { return }
        hidden.append(old.path)
    }

    private mutating func count(_ old: ManifestEntry) {
        guard case .file(let size, _) = old.kind else { return }
        hiddenBytes = hiddenBytes.addingReportingOverflow(size).partialValue
    }
}

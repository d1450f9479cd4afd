/// Compares a stored manifest with a tree that is shown entry by entry, so that neither is in memory as a whole.
struct ManifestComparison {
    /// What the tree does not have in common with the manifest, in the order of paths.
    private(set) var differences: [SnapshotDifference] = []
    /// Whether the manifest is none.
    private(set) var isMalformed = false
    private var expected: StoredManifest

    init(_ expected: StoredManifest) { self.expected = expected }

    /// Takes the next entry of the tree.
    mutating func take(_ path: [UInt8], lines: ArraySlice<UInt8>) {
        while !isMalformed, !expected.isFinished {
            if expected.isSame(lines) { return advance() }
            guard let entry = whole() else { return }
            if entry.path == path {
                let aspects = Manifest.Entries.first(of: lines).map { SnapshotDifference.aspects(entry, $0) } ?? [.type]
                if !aspects.isEmpty { differences.append(.init(path: path, kind: .changed(aspects))) }
                return advance()
            }
            guard Self.precedes(entry.path, path) else { break }
            differences.append(.init(path: entry.path, kind: .missing))
            advance()
        }
        differences.append(.init(path: path, kind: .extra))
    }

    /// Takes the end of the tree.
    mutating func finish() {
        while !isMalformed, !expected.isFinished, let entry = whole() {
            differences.append(.init(path: entry.path, kind: .missing))
            advance()
        }
    }

    private mutating func whole() -> ManifestEntry? {
        let entry = expected.whole()
        if entry == nil { isMalformed = true }
        return entry
    }

    private mutating func advance() {
        if !expected.advance() { isMalformed = true }
    }

    /// The order of a manifest, in which the tree's own directory comes first, though `.` sorts behind some names.
    static func precedes(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        if other.elementsEqual(".".utf8) { return false }
        return one.elementsEqual(".".utf8) || one.lexicographicallyPrecedes(other)
    }
}

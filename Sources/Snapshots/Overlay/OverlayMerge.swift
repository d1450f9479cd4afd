/// Shows the entries that an overlay mount of a layer would show over a tree that comes entry by entry.
///
/// There are no layers over trees with further names of files, of which the first may be hidden: where a tree below has
/// one, it is not what was stored.
struct OverlayMerge {
    private let layer: UpperTree
    private let own: [[UInt8]: ManifestEntry]
    private var next = 0
    /// The last directory below that was asked for, and whether nothing in it shows.
    private var directory: (path: [UInt8], isHidden: Bool) = ([], false)

    init(_ layer: UpperTree) {
        self.layer = layer
        own = Dictionary(layer.entries.map { ($0.path, $0) }) { first, _ in first }
    }

    /// Takes the next entry of the tree below; `show` gets what comes before it, and it or what is in its place.
    mutating func take(_ path: [UInt8], lines: ArraySlice<UInt8>, show: ([UInt8], ArraySlice<UInt8>) -> Void) {
        while next < layer.entries.count, ManifestComparison.precedes(layer.entries[next].path, path) { pop(show) }
        if next < layer.entries.count, layer.entries[next].path == path { return pop(show) }
        if !isHidden(path) { show(path, lines) }
    }

    /// Shows what comes behind all entries of the tree below.
    mutating func finish(show: ([UInt8], ArraySlice<UInt8>) -> Void) {
        while next < layer.entries.count { pop(show) }
    }

    private mutating func pop(_ show: ([UInt8], ArraySlice<UInt8>) -> Void) {
        var text: [UInt8] = []
        ManifestText.append(layer.entries[next], to: &text)
        show(layer.entries[next].path, text[...])
        next += 1
    }

    private mutating func isHidden(_ path: [UInt8]) -> Bool {
        if layer.hides(path) { return true }
        let above = Array(path[..<(path.lastIndex(of: UInt8(ascii: "/")) ?? 0)])
        if directory.path != above { directory = (above, layer.hidesInside(above, own)) }
        return directory.isHidden
    }
}

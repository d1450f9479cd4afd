import PlainText

/// One entry that two trees do not have in common.
package struct SnapshotDifference: Sendable, Hashable, CustomStringConvertible {
    /// What differs in an entry that both have.
    package enum Aspect: String, Sendable, Hashable {
        /// File, directory or symbolic link.
        case type
        /// Permission bits.
        case mode
        /// Size in bytes.
        case size
        /// The content, though not the size.
        case content
        /// The text of a symbolic link.
        case target
        /// The time of the last change.
        case modified
        /// Extended attributes.
        case attributes
        /// Which names are of one file.
        case links
    }

    /// How the entry differs.
    package enum Kind: Sendable, Hashable {
        /// Only the first tree has it.
        case missing
        /// Only the second tree has it.
        case extra
        /// Both have it, but not alike.
        case changed([Aspect])
    }

    /// The path relative to the trees.
    package let path: [UInt8]
    /// How it differs.
    package let kind: Kind

    /// One line.
    package var description: String {
        switch kind {
        case .missing: "\(displayName(path)): missing"
        case .extra: "\(displayName(path)): not in the manifest"
        case .changed(let aspects):
            "\(displayName(path)): \(aspects.map(\.rawValue).joined(separator: ", ")) changed"
        }
    }

    /// Whether nothing of an entry differs but its time, or which names are of its file.
    package var isMinor: Bool {
        guard case .changed(let aspects) = kind else { return false }
        return aspects.allSatisfy { $0 == .modified || $0 == .links }
    }

    /// Compares two trees by their manifests; a further name of a file is compared as the file.
    package static func between(_ first: Manifest, _ second: Manifest) -> [SnapshotDifference] {
        if first.identity == second.identity { return [] }
        var differences: [SnapshotDifference] = []
        var (firstEntries, secondEntries) = (NamedFiles(first), NamedFiles(second))
        var (left, right) = (firstEntries.next(), secondEntries.next())
        while left != nil || right != nil {
            switch (left, right) {
            case (let one?, let other?) where one.path == other.path:
                let aspects = aspects(one, other)
                if !aspects.isEmpty { differences.append(.init(path: one.path, kind: .changed(aspects))) }
                (left, right) = (firstEntries.next(), secondEntries.next())
            case (let one?, let other?) where !one.path.lexicographicallyPrecedes(other.path):
                differences.append(.init(path: other.path, kind: .extra))
                right = secondEntries.next()
            case (nil, let other?):
                differences.append(.init(path: other.path, kind: .extra))
                right = secondEntries.next()
            case (let one?, _):
                differences.append(.init(path: one.path, kind: .missing))
                left = firstEntries.next()
            case (nil, nil): break
            }
        }
        return differences
    }

    private static func aspects(_ first: NamedFiles.Entry, _ second: NamedFiles.Entry) -> [Aspect] {
        let aspects = aspects(first.content, second.content)
        if aspects == [.type] || first.firstName == second.firstName { return aspects }
        return aspects + [.links]
    }

    /// What differs in two entries of one path; of a further name of a file, only which file it is of.
    static func aspects(_ first: ManifestEntry, _ second: ManifestEntry) -> [Aspect] {
        var aspects: [Aspect] = []
        switch (first.kind, second.kind) {
        case (.directory, .directory): break
        case (.file(let size, let digest), .file(let otherSize, let otherDigest)):
            if size != otherSize {
                aspects.append(.size)
            } else if digest != otherDigest {
                aspects.append(.content)
            }
        case (.symbolicLink(let target), .symbolicLink(let otherTarget)):
            if target != otherTarget { aspects.append(.target) }
        case (.hardLink(let name), .hardLink(let otherName)):
            if name != otherName { aspects.append(.links) }
        case (.hardLink, .file), (.file, .hardLink): return [.links]
        default: return [.type]
        }
        if first.mode != second.mode { aspects.append(.mode) }
        if first.modified != second.modified { aspects.append(.modified) }
        if first.attributes != second.attributes { aspects.append(.attributes) }
        return aspects
    }
}

/// The entries of a manifest in their order, where further names of a file have what their file is.
private struct NamedFiles {
    /// An entry, and the first name of its file.
    struct Entry {
        let content: ManifestEntry
        let firstName: [UInt8]

        var path: [UInt8] { content.path }
    }

    private var entries: Manifest.Entries
    private let firstNames: Set<[UInt8]>
    /// Files with several names, by the first; it comes before the others.
    private var files: [[UInt8]: ManifestEntry] = [:]

    init(_ manifest: Manifest) {
        entries = manifest.entries
        firstNames = manifest.firstNames
    }

    /// The next entry; nil at the end.
    mutating func next() -> Entry? {
        guard let entry = entries.next() else { return nil }
        guard case .hardLink(let first) = entry.kind, let file = files[first] else {
            if firstNames.contains(entry.path) { files[entry.path] = entry }
            return Entry(content: entry, firstName: entry.path)
        }
        let content = ManifestEntry(
            path: entry.path, kind: file.kind, mode: file.mode, modified: file.modified, attributes: file.attributes)
        return Entry(content: content, firstName: first)
    }
}

extension Manifest {
    /// The first names of files that have several.
    fileprivate var firstNames: Set<[UInt8]> {
        var names: Set<[UInt8]> = []
        Self.forEachLine(bytes) { (line: ArraySlice<UInt8>) throws(Never) in
            guard line.first == UInt8(ascii: "h"), let entry = ManifestText.entry(line: line),
                case .hardLink(let first) = entry.kind
            else { return }
            names.insert(first)
        }
        return names
    }
}

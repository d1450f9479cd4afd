import PlainText

/// One entry that two trees do not have in common.
package struct SnapshotDifference: Sendable, Hashable, CustomStringConvertible {
    /// What differs in an entry that both have.
    package enum Aspect: String, Sendable, Hashable {
        /// File, directory, link or further name.
        case type
        /// Permission bits.
        case mode
        /// Size in bytes.
        case size
        /// The content, though not the size.
        case content
        /// The text of a link, or the first name of a hard link.
        case target
        /// The time of the last change.
        case modified
        /// Extended attributes.
        case attributes
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

    /// Compares two trees by their manifests.
    package static func between(_ first: Manifest, _ second: Manifest) -> [SnapshotDifference] {
        if first.identity == second.identity { return [] }
        var differences: [SnapshotDifference] = []
        var (firstEntries, secondEntries) = (first.entries, second.entries)
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

    /// What differs in two entries of one path.
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
        case (.hardLink(let target), .hardLink(let otherTarget)):
            if target != otherTarget { aspects.append(.target) }
        default: return [.type]
        }
        if first.mode != second.mode { aspects.append(.mode) }
        if first.modified != second.modified { aspects.append(.modified) }
        if first.attributes != second.attributes { aspects.append(.attributes) }
        return aspects
    }
}

import Crypto
import LinuxSystem

/// How much a tree holds.
package struct TreeCounts: Sendable, Hashable {
    /// Regular files; several names of one file count as one.
    package var files = 0
    /// Directories, the tree's own included.
    package var directories = 0
    /// Symbolic links.
    package var links = 0
    /// Sum of the sizes of all files in bytes, holes included.
    package var bytes: Int64 = 0

    /// Nothing.
    package init() {}
}

/// Writes the manifest of a tree that was surveyed and read.
///
/// The order by path bytes is not that of a walk: `a-b` comes between `a` and `a/c`. So a directory counts twice among
/// the names of its parent: as itself, and with a slash behind it for all that is below.
struct TreeManifest {
    private let survey: TreeSurvey
    private let records: TreeJob.Result
    private var text: [UInt8] = ManifestText.header
    private var counts = TreeCounts()
    private var path: [UInt8] = []
    private var stack: [Frame] = []

    private struct Frame {
        let directory: Int
        var items: [Item]
        var next = 0
        let pathLength: Int
    }

    private struct Item {
        let entry: TreeSurvey.Entry
        /// Whether this stands for what is below the directory.
        let isInside: Bool
    }

    /// Prepares the manifest.
    init(survey: TreeSurvey, records: TreeJob.Result) {
        self.survey = survey
        self.records = records
    }

    /// The text, and what it counts.
    consuming func write() -> (bytes: [UInt8], counts: TreeCounts) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(expectedSize)
        let (_, counts) = write { (part: [UInt8]) throws(Never) in bytes += part }
        return (bytes, counts)
    }

    /// Writes the text piece by piece, so that it need not be in memory as a whole; gives its identity, and what it
    /// counts.
    consuming func write<Failure>(
        to sink: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) -> (identity: SnapshotIdentity, counts: TreeCounts) {
        try write(to: sink) { _, _, _ in }
    }

    /// Writes the text as well, and shows each entry with its path and its lines.
    consuming func write<Failure>(
        to sink: ([UInt8]) throws(Failure) -> Void,
        showing show: (TreeSurvey.Place, [UInt8], ArraySlice<UInt8>) -> Void
    ) throws(Failure) -> (identity: SnapshotIdentity, counts: TreeCounts) {
        var hash = SHA256()
        append(directory: 0, path: [UInt8(ascii: ".")])
        show(TreeSurvey.Place(kind: .directory, index: 0), [UInt8(ascii: ".")], text[ManifestText.header.count...])
        stack.append(Frame(directory: 0, items: items(of: 0), pathLength: 0))
        while var frame = stack.popLast() {
            guard frame.next < frame.items.count else { continue }
            if text.count > Self.pieceSize { try flush(&hash, to: sink) }
            let item = frame.items[frame.next]
            frame.next += 1
            path.removeSubrange(frame.pathLength...)
            let names = survey.directories[frame.directory].names
            let start = Int(item.entry.nameStart)
            path += names[start..<(start + Int(item.entry.nameCount))]
            if item.isInside {
                path.append(UInt8(ascii: "/"))
                let below = Int(item.entry.index)
                stack.append(frame)
                stack.append(Frame(directory: below, items: items(of: below), pathLength: path.count))
            } else {
                let start = text.count
                append(item.entry)
                if text.count > start { show(item.entry.place, path, text[start...]) }
                stack.append(frame)
            }
        }
        try flush(&hash, to: sink)
        return (SnapshotIdentity(hash.finalize()), counts)
    }

    private mutating func flush<Failure>(
        _ hash: inout SHA256, to sink: ([UInt8]) throws(Failure) -> Void
    ) throws(Failure) {
        text.withUnsafeBytes { hash.update(bufferPointer: $0) }
        try sink(text)
        text.removeAll(keepingCapacity: true)
    }

    private static let pieceSize = 256 << 10

    /// About the size of the text, so that it need not be moved as it grows: that takes twice the memory.
    private var expectedSize: Int {
        survey.directories.reduce(ManifestText.header.count) { size, node in
            size + 48 + node.names.count + node.entries.count * (Int(node.pathLength) + 112)
        }
    }

    private func items(of directory: Int) -> [Item] {
        let node = survey.directories[directory]
        var items: [Item] = []
        items.reserveCapacity(node.entries.count)
        for entry in node.entries {
            items.append(Item(entry: entry, isInside: false))
            if entry.kind == .directory, !survey.directories[Int(entry.index)].entries.isEmpty {
                items.append(Item(entry: entry, isInside: true))
            }
        }
        return items.sorted { left, right in Self.precedes(left, right, names: node.names) }
    }

    private static func precedes(_ left: Item, _ right: Item, names: [UInt8]) -> Bool {
        let (leftStart, rightStart) = (Int(left.entry.nameStart), Int(right.entry.nameStart))
        let leftCount = Int(left.entry.nameCount)
        let rightCount = Int(right.entry.nameCount)
        return names.withUnsafeBufferPointer { names in
            var index = 0
            while true {
                let first = byte(names, leftStart, index, leftCount, left.isInside)
                let second = byte(names, rightStart, index, rightCount, right.isInside)
                if first != second { return first < second }
                if first < 0 { return false }
                index += 1
            }
        }
    }

    /// A byte of an item's name, with the slash behind what stands for the inside; -1 at the end.
    @inline(__always)
    private static func byte(
        _ names: UnsafeBufferPointer<UInt8>, _ start: Int, _ index: Int, _ count: Int, _ isInside: Bool
    ) -> Int16 {
        if index < count { return Int16(names[start + index]) }
        return isInside && index == count ? 0x2F : -1
    }

    private mutating func append(_ entry: TreeSurvey.Entry) {
        let index = Int(entry.index)
        switch entry.kind {
        case .directory:
            append(directory: index, path: path)
        case .link:
            let link = survey.links[index]
            counts.links += 1
            append(.init(path: path, kind: .symbolicLink(target: link.target), mode: 0, modified: link.modified))
        case .file:
            append(file: index)
        }
    }

    private mutating func append(directory: Int, path: [UInt8]) {
        let node = survey.directories[directory]
        counts.directories += 1
        append(
            .init(
                path: path, kind: .directory, mode: node.mode, modified: node.modified, attributes: node.attributes))
    }

    private mutating func append(file: Int) {
        let record = records[file]
        switch record.state {
        case .absent: break
        case .content:
            counts.files += 1
            counts.bytes += record.size
            append(
                .init(
                    path: path, kind: .file(size: record.size, digest: record.digest), mode: record.mode,
                    modified: record.modified, attributes: record.attributes))
        case .furtherName:
            guard let first = records.firstNames[Int32(file)] else { break }
            append(
                .init(
                    path: path, kind: .hardLink(first: survey.path(ofFile: Int(first))), mode: 0,
                    modified: FileTime(seconds: 0, nanoseconds: 0)))
        }
    }

    private mutating func append(_ entry: ManifestEntry) { ManifestText.append(entry, to: &text) }
}

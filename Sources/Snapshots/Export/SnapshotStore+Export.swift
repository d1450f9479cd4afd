import LinuxSystem
import SystemPackage

extension SnapshotStore {
    /// Writes a snapshot as a tar archive that restores everything that its manifest says, and nothing else.
    ///
    /// - Parameters:
    ///   - identity: The snapshot.
    ///   - progress: As for a capture.
    ///   - sink: Takes the archive piece by piece; an error of it ends the export.
    /// - Throws: The sink's error, or a ``SnapshotError``, of which ``SnapshotError/Reason/damaged(_:)`` says that the
    ///   stored tree is not what the manifest says.
    package func export(
        _ identity: SnapshotIdentity,
        progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation = { _ in .proceed },
        sink: ([UInt8]) throws -> Void
    ) throws {
        // Whoever prunes meanwhile would take the files away one by one.
        let lease = try lease(identity)
        defer { lease.end() }
        let snapshot = try snapshot(identity)
        let monitor = CaptureMonitor(report: progress)
        monitor.expect(files: snapshot.record.counts.files, bytes: snapshot.record.counts.bytes)
        var export = TreeExport(tree: try StoredTree(snapshot.layers), monitor: monitor)
        for entry in try manifest(of: identity).entries { try export.write(entry, to: sink) }
        try sink([UInt8](repeating: 0, count: 2 * TarHeader.blockSize))
    }
}

/// Writes entries of a stored tree to an archive.
private struct TreeExport {
    private static let bufferSize = 256 << 10

    private var tree: StoredTree
    private let monitor: CaptureMonitor
    private var buffer = [UInt8](repeating: 0, count: Self.bufferSize)

    init(tree: StoredTree, monitor: CaptureMonitor) {
        self.tree = tree
        self.monitor = monitor
    }

    mutating func write(_ entry: ManifestEntry, to sink: ([UInt8]) throws -> Void) throws {
        switch entry.kind {
        case .directory:
            let isRoot = entry.path.elementsEqual(".".utf8)
            var header = TarHeader(.directory, (isRoot ? [UInt8(ascii: ".")] : entry.path) + [UInt8(ascii: "/")])
            header.mode = entry.mode
            header.modified = entry.modified
            header.attributes = entry.attributes
            try sink(header.blocks)
        case .symbolicLink(let target):
            var header = TarHeader(.symbolicLink, entry.path)
            header.target = target
            header.mode = 0o777
            header.modified = entry.modified
            try sink(header.blocks)
        case .hardLink(let first):
            var header = TarHeader(.hardLink, entry.path)
            header.target = first
            try sink(header.blocks)
        case .file(let size, _):
            try write(entry, size: size, to: sink)
        }
    }

    private mutating func write(
        _ entry: ManifestEntry, size: Int64, to sink: ([UInt8]) throws -> Void
    ) throws {
        let file: HeldDescriptor
        do {
            file = try tree.open(entry.path)
        } catch {
            throw SnapshotError(entry.path, .damaged("it cannot be opened: \(error.errno)"))
        }
        let status = try Syscall.fstat(file.number)
        guard status.isRegular, status.size == size else {
            throw SnapshotError(entry.path, .damaged("it is not the file that the manifest names"))
        }
        var header = TarHeader(.file, entry.path)
        header.mode = entry.mode
        header.modified = entry.modified
        header.attributes = entry.attributes
        header.size = size
        var map: [UInt8] = []
        var segments = [0..<size]
        if status.allocated < size {
            segments = try Self.segments(of: file.number, size: size)
            map = Self.map(segments, size: size)
            header.sparseSize = size
            header.size = Int64(map.count) + segments.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) }
        }
        try sink(header.blocks + map)
        for segment in segments { try copy(file.number, segment, of: entry, to: sink) }
        try sink(TarHeader.padding(after: Int(truncatingIfNeeded: header.size % Int64(TarHeader.blockSize))))
        try monitor.advance(files: 1) { entry.path }
    }

    private mutating func copy(
        _ file: CInt, _ segment: Range<Int64>, of entry: ManifestEntry, to sink: ([UInt8]) throws -> Void
    ) throws {
        _ = try Syscall.seek(file, to: segment.lowerBound)
        var rest = segment.upperBound - segment.lowerBound
        while rest > 0 {
            let count = try Syscall.read(file, into: &buffer, upTo: Int(min(rest, Int64(Self.bufferSize))))
            guard count > 0 else { throw SnapshotError(entry.path, .damaged("it ends too early")) }
            try sink(count == buffer.count ? buffer : Array(buffer[..<count]))
            rest -= Int64(count)
            try monitor.advance(bytes: Int64(count)) { entry.path }
        }
    }

    /// Where a file has data, in whole blocks of the archive but for the end of the file.
    private static func segments(of file: CInt, size: Int64) throws(SyscallError) -> [Range<Int64>] {
        let block = Int64(TarHeader.blockSize)
        var segments: [Range<Int64>] = []
        var position: Int64 = 0
        while position < size {
            do throws(SyscallError) {
                let start = try Syscall.seek(file, to: position, .data) / block * block
                let hole = try Syscall.seek(file, to: max(start, position), .hole)
                let end = min((hole + block - 1) / block * block, size)
                if let last = segments.last, start <= last.upperBound {
                    segments[segments.count - 1] = last.lowerBound..<max(end, last.upperBound)
                } else if start < size {
                    segments.append(start..<max(start, end))
                }
                position = max(end, position + block)
            } catch  where error.errno == .noSuchAddressOrDevice {
                break
            }
        }
        return segments
    }

    /// The list of segments before the data, each number on a line, in whole blocks; an empty one at the end says how
    /// long the file is when it ends in a hole.
    private static func map(_ segments: [Range<Int64>], size: Int64) -> [UInt8] {
        let all = segments.last?.upperBound == size ? segments : segments + [size..<size]
        var map = Array("\(all.count)\n".utf8)
        for segment in all { map += "\(segment.lowerBound)\n\(segment.upperBound - segment.lowerBound)\n".utf8 }
        return map + TarHeader.padding(after: map.count)
    }
}

import Crypto
import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// Reads a stored manifest entry by entry, in pieces, so that it need not be in memory as a whole.
struct StoredManifest {
    private var reader: ManifestReader
    private var buffer: [UInt8] = []
    /// The lines of the entry at hand; empty at the end.
    private var entry = 0..<0
    /// How many lines the entry at hand has.
    private(set) var lineCount = 0
    private var hash = SHA256()
    private var isAtEnd = false

    /// Begins to read; nil when it is no manifest.
    init?(_ reader: ManifestReader) {
        self.reader = reader
        do throws(SyscallError) { try fill() } catch { return nil }
        guard buffer.starts(with: ManifestText.header) else { return nil }
        entry = ManifestText.header.count..<ManifestText.header.count
        guard advance() else { return nil }
    }

    /// Whether there is no entry at hand any more.
    var isFinished: Bool { entry.isEmpty }

    /// The identity of all that was read.
    func identity() -> SnapshotIdentity { SnapshotIdentity(hash.finalize()) }

    /// Whether the entry at hand has exactly these lines.
    func isSame(_ lines: ArraySlice<UInt8>) -> Bool {
        guard lines.count == entry.count else { return false }
        return buffer.withUnsafeBytes { own in
            lines.withUnsafeBytes { other in
                guard let one = own.baseAddress, let two = other.baseAddress else { return lines.isEmpty }
                return memcmp(one + entry.lowerBound, two, lines.count) == 0
            }
        }
    }

    /// What the entry at hand says, without its attributes; nil at the end, and when it is malformed.
    func parsed() -> ManifestEntry? {
        guard !entry.isEmpty, let end = buffer[entry].firstIndex(of: Self.newline) else { return nil }
        return ManifestText.entry(line: buffer[entry.lowerBound..<end])
    }

    /// All that the entry at hand says; nil at the end, and when it is malformed.
    func whole() -> ManifestEntry? { Manifest.Entries.first(of: buffer[entry]) }

    /// Goes to the next entry; false when the file cannot be read or does not end with a line.
    mutating func advance() -> Bool {
        var (start, end, lines) = (entry.upperBound, entry.upperBound, 0)
        while true {
            if lines > 0, end < buffer.count, buffer[end] != UInt8(ascii: "x") { break }
            if let next = LineSource.lineEnd(in: buffer, from: end) {
                end = next
                lines += 1
                continue
            }
            if isAtEnd {
                guard end == buffer.count else { return false }
                break
            }
            do throws(SyscallError) { try fill(keeping: start) } catch { return false }
            (start, end) = (0, end - start)
        }
        entry = start..<end
        lineCount = lines
        return true
    }

    private mutating func fill(keeping start: Int = 0) throws(SyscallError) {
        buffer.removeSubrange(..<start)
        let piece = try reader.read()
        if piece.isEmpty { isAtEnd = true }
        piece.withUnsafeBytes { hash.update(bufferPointer: $0) }
        buffer += piece
    }

    private static let newline = UInt8(ascii: "\n")
}

import LinuxSystem

#if canImport(Glibc)
    import Glibc
#endif

/// Reads an open file by lines, in pieces of bounded size.
struct LineSource {
    static let pieceSize = 256 << 10

    private let file: CInt
    private var piece: [UInt8] = []
    private var start = 0

    init(_ file: CInt) { self.file = file }

    /// The next bytes: up to the end of the last of `count` lines, or as far as they are at hand, and how many lines end
    /// in them; none at the end of the file.
    mutating func take(lines count: Int) throws(SyscallError) -> (bytes: ArraySlice<UInt8>, lines: Int) {
        if start == piece.count { try fill() }
        var (end, lines) = (start, 0)
        while lines < count, end < piece.count {
            guard let next = Self.lineEnd(in: piece, from: end) else {
                end = piece.count
                break
            }
            end = next
            lines += 1
        }
        defer { start = end }
        return (piece[start..<end], lines)
    }

    /// The next bytes, however many are at hand; none at the end of the file.
    mutating func take() throws(SyscallError) -> ArraySlice<UInt8> {
        if start == piece.count { try fill() }
        defer { start = piece.count }
        return piece[start...]
    }

    private mutating func fill() throws(SyscallError) {
        var bytes = [UInt8](repeating: 0, count: Self.pieceSize)
        let count = try Syscall.read(file, into: &bytes, upTo: bytes.count)
        bytes.removeSubrange(count...)
        (piece, start) = (bytes, 0)
    }

    /// Where the line after the one that begins at `start` begins; nil when that line is not whole.
    static func lineEnd(in bytes: [UInt8], from start: Int) -> Int? {
        bytes.withUnsafeBytes { bytes in
            guard start < bytes.count, let base = bytes.baseAddress,
                let found = memchr(base + start, CInt(UInt8(ascii: "\n")), bytes.count - start)
            else { return nil }
            return UnsafeRawPointer(found) - base + 1
        }
    }
}

import LinuxSystem

/// Bytes of a descriptor in order, through one buffer; the descriptor stays the caller's.
struct ByteSource {
    private static let bufferSize = 256 << 10

    private let descriptor: CInt
    /// Whether what is skipped can be jumped over.
    private let isSeekable: Bool
    /// Where the source ends for its reader; beyond it nothing is read.
    private let end: Int64
    private var buffer = [UInt8](repeating: 0, count: Self.bufferSize)
    private var start = 0, filled = 0
    /// How many bytes were taken or skipped.
    private(set) var position: Int64 = 0

    init(_ descriptor: CInt, isSeekable: Bool = false, limit: Int64 = .max) {
        self.descriptor = descriptor
        self.isSeekable = isSeekable
        end = limit
    }

    /// Gives the next bytes, at most `count`, to `body`; none at the end.
    ///
    /// `body` sees a buffer and the range of it.
    mutating func take(
        upTo count: Int, _ body: ([UInt8], Range<Int>) throws(ArchiveError) -> Void
    ) throws(ArchiveError) -> Int {
        if start == filled { try fill() }
        let length = min(count, filled - start)
        if length > 0 { try body(buffer, start..<(start + length)) }
        start += length
        position += Int64(length)
        return length
    }

    /// Exactly `count` bytes; fewer only at the end.
    mutating func bytes(_ count: Int) throws(ArchiveError) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(min(count, Self.bufferSize))
        while result.count < count {
            let length = try take(upTo: count - result.count) { buffer, range in result += buffer[range] }
            if length == 0 { break }
        }
        return result
    }

    /// Leaves out `count` bytes; how many there were.
    mutating func skip(_ count: Int64) throws(ArchiveError) -> Int64 {
        var left = count
        while left > 0 {
            if isSeekable, start == filled, left > Int64(Self.bufferSize) {
                // What lies beyond the end shows at the next reading.
                let step = left
                _ = try ArchiveError.calling { () throws(SyscallError) in
                    try Syscall.seek(descriptor, to: position + step)
                }
                position += step
                return count
            }
            let length = try take(upTo: Int(min(left, Int64(Self.bufferSize)))) { _, _ in }
            if length == 0 { break }
            left -= Int64(length)
        }
        return count - left
    }

    private mutating func fill() throws(ArchiveError) {
        start = 0
        filled = 0
        let most = Int(min(Int64(Self.bufferSize), max(0, end - position)))
        if most == 0 { return }
        do throws(SyscallError) {
            filled = try Syscall.read(descriptor, into: &buffer, upTo: most)
        } catch {
            throw ArchiveError(error)
        }
    }
}

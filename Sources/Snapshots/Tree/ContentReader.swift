import Crypto
import LinuxSystem
import SystemPackage

/// Reads the content of open files once: hashes it and, on the way, writes it to another file.
///
/// Holes stay holes. One reader serves one thread; its buffer is used again for every file.
struct ContentReader {
    /// What one pass over a file found.
    struct Result {
        let digest: ContentDigest
        /// Bytes that were there; fewer than the expected size when the file became shorter meanwhile.
        let length: Int64
    }

    private static let bufferSize = 256 << 10

    private var buffer = [UInt8](repeating: 0, count: Self.bufferSize)
    private let zeros = [UInt8](repeating: 0, count: Self.bufferSize)

    /// Reads `status.size` bytes.
    ///
    /// - Parameters:
    ///   - source: An open file at offset 0.
    ///   - status: What fstat(2) told of it.
    ///   - destination: An empty file to fill, or nil.
    ///   - step: Called with each number of bytes that were read; may fail to stop.
    mutating func read(
        _ source: CInt, status: FileStatus, into destination: CInt?, step: (Int64) throws(SnapshotError) -> Void
    ) throws(ContentFailure) -> Result {
        if status.size > ContentDigest.wholeLimit {
            return try readBlocks(source, size: status.size, into: destination, step: step)
        }
        return try readWhole(source, status: status, into: destination, step: step)
    }

    // MARK: Whole content

    private mutating func readWhole(
        _ source: CInt, status: FileStatus, into destination: CInt?, step: (Int64) throws(SnapshotError) -> Void
    ) throws(ContentFailure) -> Result {
        var hash = SHA256()
        var position: Int64 = 0
        let mayHaveHoles = status.allocated < status.size
        while position < status.size {
            let segment =
                mayHaveHoles
                ? try nextData(source, from: position, size: status.size) : position..<status.size
            try hashZeros(Int(segment.lowerBound - position), into: &hash, step: step)
            position = segment.lowerBound
            if mayHaveHoles, !segment.isEmpty { try seek(source, destination, to: position) }
            while position < segment.upperBound {
                let count = try readPart(source, limit: segment.upperBound - position)
                if count == 0 { return Result(digest: ContentDigest(hash.finalize()), length: position) }
                update(&hash, count: count)
                if let destination { try writePart(destination, 0..<count) }
                position += Int64(count)
                try advance(Int64(count), step)
            }
        }
        if mayHaveHoles, let destination { try setLength(destination, status.size) }
        return Result(digest: ContentDigest(hash.finalize()), length: position)
    }

    private func hashZeros(
        _ count: Int, into hash: inout SHA256, step: (Int64) throws(SnapshotError) -> Void
    ) throws(ContentFailure) {
        var rest = count
        while rest > 0 {
            let part = min(rest, zeros.count)
            zeros.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<part])) }
            rest -= part
            try advance(Int64(part), step)
        }
    }

    // MARK: Content without its zeros

    private mutating func readBlocks(
        _ source: CInt, size: Int64, into destination: CInt?, step: (Int64) throws(SnapshotError) -> Void
    ) throws(ContentFailure) -> Result {
        let block = Int64(ContentDigest.blockSize)
        var hash = SHA256()
        var position: Int64 = 0
        while position < size {
            let data = try nextData(source, from: position, size: size)
            try advance(data.lowerBound - position, step)
            position = data.lowerBound / block * block
            guard !data.isEmpty else { break }
            let end = min((data.upperBound + block - 1) / block * block, size)
            try seek(source, nil, to: position)
            while position < end {
                // A block must not be split between two reads.
                let count = try fillBuffer(source, limit: min(end - position, Int64(Self.bufferSize)))
                if count == 0 { return Result(digest: ContentDigest(hash.finalize()), length: position) }
                for start in stride(from: 0, to: count, by: ContentDigest.blockSize) {
                    let range = start..<min(start + ContentDigest.blockSize, count)
                    if isZero(range) { continue }
                    updateBlock(&hash, range, offset: position + Int64(start))
                    if let destination {
                        try seek(destination, nil, to: position + Int64(start))
                        try writePart(destination, range)
                    }
                }
                position += Int64(count)
                try advance(Int64(count), step)
            }
        }
        if let destination { try setLength(destination, size) }
        return Result(digest: ContentDigest(hash.finalize()), length: size)
    }

    private func isZero(_ range: Range<Int>) -> Bool {
        buffer.withUnsafeBytes { bytes in
            zeros.withUnsafeBytes { UnsafeRawBufferPointer(rebasing: bytes[range]).elementsEqual($0[..<range.count]) }
        }
    }

    private func updateBlock(_ hash: inout SHA256, _ range: Range<Int>, offset: Int64) {
        withUnsafeBytes(of: offset.littleEndian) { hash.update(bufferPointer: $0) }
        buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[range])) }
    }

    private func update(_ hash: inout SHA256, count: Int) {
        buffer.withUnsafeBytes { hash.update(bufferPointer: UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }

    private mutating func fillBuffer(_ source: CInt, limit: Int64) throws(ContentFailure) -> Int {
        var filled = try readPart(source, limit: limit)
        while filled > 0, filled < Int(limit), filled % ContentDigest.blockSize != 0 {
            // Short reads of regular files happen where a signal arrives: read the rest of the block by itself.
            var rest = [UInt8](repeating: 0, count: Int(limit) - filled)
            let count = try reading { () throws(SyscallError) in
                try Syscall.read(source, into: &rest, upTo: rest.count)
            }
            if count == 0 { break }
            buffer.replaceSubrange(filled..<(filled + count), with: rest[..<count])
            filled += count
        }
        return filled
    }

    // MARK: System calls

    /// The next data at or after `position`; empty at `size` when only a hole is left.
    private func nextData(_ source: CInt, from position: Int64, size: Int64) throws(ContentFailure) -> Range<Int64> {
        do throws(SyscallError) {
            let start = min(try Syscall.seek(source, to: position, .data), size)
            let end = min(try Syscall.seek(source, to: start, .hole), size)
            return start..<max(start, end)
        } catch  where error.errno == .noSuchAddressOrDevice {
            return size..<size
        } catch {
            throw .read(error)
        }
    }

    private func seek(_ source: CInt, _ destination: CInt?, to position: Int64) throws(ContentFailure) {
        do throws(SyscallError) {
            _ = try Syscall.seek(source, to: position)
            if let destination { _ = try Syscall.seek(destination, to: position) }
        } catch {
            throw .read(error)
        }
    }

    private mutating func readPart(_ source: CInt, limit: Int64) throws(ContentFailure) -> Int {
        do throws(SyscallError) {
            return try Syscall.read(source, into: &buffer, upTo: Int(min(limit, Int64(Self.bufferSize))))
        } catch {
            throw .read(error)
        }
    }

    private func reading<Value>(_ body: () throws(SyscallError) -> Value) throws(ContentFailure) -> Value {
        do throws(SyscallError) { return try body() } catch { throw .read(error) }
    }

    private func writePart(_ destination: CInt, _ range: Range<Int>) throws(ContentFailure) {
        do throws(SyscallError) { try Syscall.writeAll(destination, buffer, range) } catch { throw .write(error) }
    }

    private func setLength(_ destination: CInt, _ size: Int64) throws(ContentFailure) {
        do throws(SyscallError) { try Syscall.truncate(destination, to: size) } catch { throw .write(error) }
    }

    private func advance(
        _ count: Int64, _ step: (Int64) throws(SnapshotError) -> Void
    ) throws(ContentFailure) {
        do throws(SnapshotError) { try step(count) } catch { throw .stopped(error) }
    }
}

/// Why the content of a file could not be read or stored.
enum ContentFailure: Error {
    /// Reading failed.
    case read(SyscallError)
    /// Writing failed.
    case write(SyscallError)
    /// The caller stopped the work.
    case stopped(SnapshotError)

    /// The failure with the path of the file.
    func naming(_ path: [UInt8]) -> SnapshotError {
        switch self {
        case .read(let error): .reading(path, error)
        case .write(let error): .writing(path, error)
        case .stopped(let error): error
        }
    }
}

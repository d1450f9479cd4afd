import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Writes a step's log: the raw bytes, and a sparse index of when they came.
///
/// `<step>.idx` is a sequence of records of 16 bytes, little-endian: the offset in the log, and milliseconds since 1970
/// of the arrival of the byte there. There are at most ten records a second, so that no flood of short lines can make
/// the index larger than a fraction of the log.
final class LogWriter {
    private let log: OwnedFileDescriptor
    private let index: OwnedFileDescriptor
    private var offset: UInt64 = 0
    private var lastRecord = -1.0
    /// The first failure of writing; from then on the rest is dropped.
    private(set) var failure: SyscallError?

    init(directory: CInt, step: String) throws(SyscallError) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_APPEND
        log = try Syscall.open(FilePath("\(step).log"), at: directory, flags, mode: 0o644)
        index = try Syscall.open(FilePath("\(step).idx"), at: directory, flags, mode: 0o644)
    }

    func write(_ bytes: [UInt8]) {
        guard failure == nil else { return }
        do throws(SyscallError) {
            let now = Syscall.wallClockSeconds()
            if lastRecord < 0 || now - lastRecord >= 0.1 || now < lastRecord {
                lastRecord = now
                var record = withUnsafeBytes(of: offset.littleEndian) { Array($0) }
                withUnsafeBytes(of: UInt64(now * 1000).littleEndian) { record += Array($0) }
                try Syscall.writeAll(index.number, record)
            }
            try Syscall.writeAll(log.number, bytes)
            offset += UInt64(bytes.count)
        } catch {
            failure = error
        }
    }
}

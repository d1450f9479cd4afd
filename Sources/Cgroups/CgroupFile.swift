import LinuxSystem
import SystemPackage

/// An open file of a control group.
final class CgroupFile: Sendable {
    private let descriptor: OwnedFileDescriptor
    /// Where the file was when it was opened.
    let path: FilePath

    /// More than any control file holds but lists of processes; of those the rest is read in the next round.
    private static let readLimit = 65536

    init(adopting descriptor: consuming OwnedFileDescriptor, path: FilePath) {
        self.descriptor = descriptor
        self.path = path
    }

    /// The descriptor, lent while the file is held.
    var number: CInt { descriptor.number }

    /// Reads from the start, as the file is now; a line that does not fit is left out.
    func read() throws(SyscallError) -> String {
        try SyscallError.naming(path) { () throws(SyscallError) in
            var bytes: [UInt8] = []
            while bytes.count < Self.readLimit {
                let part = try part(from: bytes.count)
                guard !part.isEmpty else { return String(decoding: bytes, as: UTF8.self) }
                bytes += part
            }
            let end = bytes.lastIndex(of: UInt8(ascii: "\n")) ?? 0
            return String(decoding: bytes[..<end], as: UTF8.self)
        }
    }

    private func part(from offset: Int) throws(SyscallError) -> [UInt8] {
        do {
            return try [UInt8](unsafeUninitializedCapacity: min(4096, Self.readLimit - offset)) { buffer, count in
                count = try descriptor.descriptor.read(
                    fromAbsoluteOffset: Int64(offset), into: UnsafeMutableRawBufferPointer(buffer))
            }
        } catch {
            throw SyscallError("pread", errno: (error as? Errno) ?? .ioError)
        }
    }

    /// Writes in one call, as the kernel wants it.
    func write(_ text: String) throws(SyscallError) {
        try SyscallError.naming(path) { () throws(SyscallError) in try Syscall.writeAll(descriptor.number, text.utf8) }
    }
}

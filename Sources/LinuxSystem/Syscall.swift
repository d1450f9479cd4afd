import CLinux
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Linux system calls with Swift types: one function a call, under the manual's name.
///
/// Interrupted calls are repeated; every other failure is thrown. Descriptors are opened close-on-exec.
package enum Syscall {
    /// fcntl(2) with an integer argument.
    @discardableResult
    package static func fcntl(_ descriptor: CInt, _ command: CInt, _ argument: Int = 0) throws(SyscallError) -> CInt {
        try check("fcntl") { CLinux_fcntl(descriptor, command, argument) }
    }

    /// pipe2(2), close-on-exec; `extra` may add O_NONBLOCK.
    package static func pipe(extra: CInt = 0) throws(SyscallError) -> Pipe {
        var pair: [CInt] = [-1, -1]
        _ = try check("pipe2") { CLinux_pipe2(&pair, O_CLOEXEC | extra) }
        return Pipe(reading: OwnedFileDescriptor(adopting: pair[0]), writing: OwnedFileDescriptor(adopting: pair[1]))
    }

    /// socketpair(2): two connected UNIX sequenced-packet sockets, close-on-exec.
    package static func packetSocketPair() throws(SyscallError) -> SocketPair {
        var pair: [CInt] = [-1, -1]
        let type = CInt(SOCK_SEQPACKET.rawValue) | O_CLOEXEC
        _ = try check("socketpair") { Glibc.socketpair(AF_UNIX, type, 0, &pair) }
        return SocketPair(first: OwnedFileDescriptor(adopting: pair[0]), second: OwnedFileDescriptor(adopting: pair[1]))
    }

    /// memfd_create(2), filled with `bytes` and sealed against every change.
    package static func sealedMemory(
        name: String, bytes: some Sequence<UInt8>, executable: Bool
    ) throws(SyscallError) -> OwnedFileDescriptor {
        let memory = try unsealedMemory(name, executable: executable)
        try writeAll(memory.number, Array(bytes))
        try fcntl(memory.number, CInt(CLinux_F_ADD_SEALS), Int(CLinux_F_SEAL_ALL))
        return memory
    }

    /// The same, filled with the content of a regular file.
    package static func sealedMemory(
        name: String, copying file: borrowing OwnedFileDescriptor, executable: Bool
    ) throws(SyscallError) -> OwnedFileDescriptor {
        let memory = try unsealedMemory(name, executable: executable)
        let (target, source) = (memory.number, file.number)
        var copied = 1
        while copied > 0 { copied = try check("sendfile") { Glibc.sendfile(target, source, nil, 1 << 30) } }
        try fcntl(memory.number, CInt(CLinux_F_ADD_SEALS), Int(CLinux_F_SEAL_ALL))
        return memory
    }

    private static func unsealedMemory(_ name: String, executable: Bool) throws(SyscallError) -> OwnedFileDescriptor {
        let base = CUnsignedInt(CLinux_MFD_CLOEXEC | CLinux_MFD_ALLOW_SEALING)
        var raw: CInt = -1
        // MFD_EXEC came with Linux 6.3; before it every memory file is executable.
        if executable { raw = CLinux_memfd_create(name, base | CUnsignedInt(CLinux_MFD_EXEC)) }
        if raw < 0 { raw = try check("memfd_create", name) { CLinux_memfd_create(name, base) } }
        return OwnedFileDescriptor(adopting: raw)
    }

    /// write(2) until all bytes are out.
    package static func writeAll(_ descriptor: CInt, _ bytes: some Sequence<UInt8>) throws(SyscallError) {
        let array = Array(bytes)
        var offset = 0
        while offset < array.count {
            let start = offset
            offset += try check("write") {
                array.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress?.advanced(by: start), $0.count - start) }
            }
        }
    }

    /// write(2) once; tells how many bytes were taken.
    package static func writeSome(_ descriptor: CInt, _ bytes: [UInt8]) throws(SyscallError) -> Int {
        try check("write") { bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) } }
    }

    /// read(2) once, up to `limit` bytes; an empty array is the end of the file.
    package static func read(_ descriptor: CInt, upTo limit: Int) throws(SyscallError) -> [UInt8] {
        var failure: SyscallError?
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            do throws(SyscallError) {
                count = try check("read") { Glibc.read(descriptor, buffer.baseAddress, limit) }
            } catch {
                failure = error
                count = 0
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// read(2) to the end of the file; fails with EFBIG beyond `limit` bytes.
    package static func readAll(
        _ descriptor: CInt, limit: Int, expecting size: Int = 0
    ) throws(SyscallError) -> [UInt8] {
        var result: [UInt8] = []
        // A large file in one piece; what is behind it, or a size that is not true, is read in parts.
        if size >= 65536, size <= limit {
            result = try read(descriptor, upTo: size)
            if result.isEmpty { return [] }
        }
        while true {
            let part = try read(descriptor, upTo: min(65536, limit - result.count + 1))
            if part.isEmpty { return result }
            result += part
            if result.count > limit { throw SyscallError("read", errno: .fileTooLarge) }
        }
    }

    /// fsync(2).
    package static func fsync(_ descriptor: CInt) throws(SyscallError) {
        _ = try check("fsync") { Glibc.fsync(descriptor) }
    }

    /// flock(2).
    package static func flock(_ descriptor: CInt, _ operation: CInt) throws(SyscallError) {
        _ = try check("flock") { CLinux_flock(descriptor, operation) }
    }

    /// Sends a packet with descriptors over a UNIX socket (unix(7), SCM_RIGHTS; at most 64).
    package static func send(_ socket: CInt, _ bytes: [UInt8], descriptors: [CInt] = []) throws(SyscallError) {
        _ = try check("sendmsg") {
            CLinux_send_descriptors(socket, bytes, bytes.count, descriptors, CInt(descriptors.count))
        }
    }

    /// Receives one packet and its descriptors, which the caller then owns; no bytes means the peer is gone.
    package static func receive(
        _ socket: CInt, upTo limit: Int
    ) throws(SyscallError) -> (bytes: [UInt8], descriptors: [CInt]) {
        var bytes = [UInt8](repeating: 0, count: limit)
        var descriptors = [CInt](repeating: -1, count: 64)
        var count: CInt = 64
        let length = try check("recvmsg") {
            count = 64
            return CLinux_receive_descriptors(socket, &bytes, limit, &descriptors, &count)
        }
        return (Array(bytes.prefix(Int(length))), Array(descriptors.prefix(Int(count))))
    }

    /// Release and version of the running kernel (uname(2)).
    ///
    /// Each ends with a zero byte.
    package static func kernelRelease() -> [UInt8] {
        var names = utsname()
        guard uname(&names) == 0 else { return [] }
        return withUnsafeBytes(of: names.release) { Array($0) } + withUnsafeBytes(of: names.version) { Array($0) }
    }

    /// Random bytes from the kernel (getrandom(2)).
    package static func randomBytes(_ count: Int) throws(SyscallError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        _ = try check("getrandom") { CLinux_getrandom(&bytes, count, 0) }
        return bytes
    }
}

/// The two ends of a pipe.
package struct Pipe: ~Copyable {
    /// The end that is read.
    package let reading: OwnedFileDescriptor
    /// The end that is written.
    package let writing: OwnedFileDescriptor

    /// Gives both ends away as numbers; the receiver closes them.
    package consuming func release() -> (reading: CInt, writing: CInt) {
        (reading.release(), writing.release())
    }

    /// Gives the reading end away and closes the other.
    package consuming func takeReading() -> OwnedFileDescriptor { reading }

    /// Gives the writing end away and closes the other.
    package consuming func takeWriting() -> OwnedFileDescriptor { writing }
}

/// Two connected sockets.
package struct SocketPair: ~Copyable {
    /// One end.
    package let first: OwnedFileDescriptor
    /// The other end.
    package let second: OwnedFileDescriptor

    /// Gives the first end away and closes the second.
    package consuming func takeFirst() -> OwnedFileDescriptor { first }
}

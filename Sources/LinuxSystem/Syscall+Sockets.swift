import CLinux
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// UNIX sockets (unix(7)); all are close-on-exec and non-blocking.
extension Syscall {
    /// A stream socket that listens at `path`, of mode 0600 from its first moment on; nothing may be there yet.
    package static func listen(at path: FilePath) throws(SyscallError) -> OwnedFileDescriptor {
        let (address, length) = try address(path.bytes)
        let socket = try unixSocket(SOCK_STREAM)
        let number = socket.number
        // The mode of a socket without a name is that with which its name is made.
        try changeMode(of: number, 0o600)
        _ = try check("bind", path.string) { with(address) { Glibc.bind(number, $0, length) } }
        _ = try check("listen", path.string) { Glibc.listen(number, 64) }
        return socket
    }

    /// The next connection that waits at a listening socket; nil when there is none.
    package static func accept(_ listener: CInt) throws(SyscallError) -> OwnedFileDescriptor? {
        do throws(SyscallError) {
            return OwnedFileDescriptor(adopting: try check("accept") { CLinux_accept(listener) })
        } catch  where error.errno == .resourceTemporarilyUnavailable || error.errno == .connectionAbort {
            return nil
        }
    }

    /// Connects to the stream socket at `path`; EAGAIN says that too many others wait there.
    package static func connect(to path: FilePath) throws(SyscallError) -> OwnedFileDescriptor {
        let (address, length) = try address(path.bytes)
        let socket = try unixSocket(SOCK_STREAM)
        let number = socket.number
        _ = try check("connect", path.string) { with(address) { Glibc.connect(number, $0, length) } }
        return socket
    }

    /// Sends one datagram to the socket of that name; an abstract name begins with a zero byte.
    package static func sendDatagram(_ bytes: [UInt8], to name: [UInt8]) throws(SyscallError) {
        let (address, length) = try address(name)
        let socket = try unixSocket(SOCK_DGRAM)
        let number = socket.number
        _ = try check("sendto") {
            with(address) { pointer in
                bytes.withUnsafeBytes { Glibc.sendto(number, $0.baseAddress, $0.count, 0, pointer, length) }
            }
        }
    }

    /// Makes a bound socket known to all (0666), or to a group (0660), of which `group` is the id.
    package static func share(socket path: FilePath, group: UInt32?) throws(SyscallError) {
        // The group before the mode: nobody else may connect meanwhile.
        if let group { try changeOwner(path, user: .max, group: group) }
        _ = try check("chmod", path.string) {
            path.withPlatformString { Glibc.chmod($0, group == nil ? 0o666 : 0o660) }
        }
    }

    /// The group ids of whoever connected, the supplementary ones included (SO_PEERCRED, and SO_PEERGROUPS of Linux 4.13).
    package static func peerGroups(_ socket: CInt) throws(SyscallError) -> [UInt32] {
        var process: Int32 = 0
        var user: uid_t = 0
        var group: gid_t = 0
        _ = try check("getsockopt SO_PEERCRED") { CLinux_peer_credentials(socket, &process, &user, &group) }
        // NGROUPS_MAX is 65536.
        var groups = [gid_t](repeating: 0, count: 65536)
        var length = socklen_t(groups.count * MemoryLayout<gid_t>.size)
        _ = try check("getsockopt SO_PEERGROUPS") {
            // The number is a macro that Swift may not see.
            Glibc.getsockopt(socket, SOL_SOCKET, 59, &groups, &length)
        }
        return [group] + groups.prefix(Int(length) / MemoryLayout<gid_t>.size)
    }

    private static func unixSocket(_ type: __socket_type) throws(SyscallError) -> OwnedFileDescriptor {
        let kind = CInt(type.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        return OwnedFileDescriptor(adopting: try check("socket") { Glibc.socket(AF_UNIX, kind, 0) })
    }

    private static func address(_ name: [UInt8]) throws(SyscallError) -> (sockaddr_un, socklen_t) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let fits = withUnsafeMutableBytes(of: &address.sun_path) { place in
            // One byte stays zero behind a path.
            guard !name.isEmpty, name.count < place.count else { return false }
            place.copyBytes(from: name)
            return true
        }
        guard fits else { throw SyscallError("name a socket", errno: .fileNameTooLong) }
        let header = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        return (address, socklen_t(header + name.count + (name.first == 0 ? 0 : 1)))
    }

    private static func with<Result>(
        _ address: sockaddr_un, _ body: (UnsafePointer<sockaddr>) -> Result
    ) -> Result {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
        }
    }
}

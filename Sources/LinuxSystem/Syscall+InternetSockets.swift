import CLinux
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// An Internet address and a port, as the kernel has them.
package struct SocketAddress: Sendable, Hashable {
    /// 4 bytes of IPv4 or 16 of IPv6.
    package var bytes: [UInt8]
    package var port: UInt16

    /// Names both; `bytes` are 4 or 16.
    package init(bytes: [UInt8], port: UInt16) {
        self.bytes = bytes
        self.port = port
    }

    /// `struct sockaddr_in` (ip(7)) or `struct sockaddr_in6` (ipv6(7)).
    fileprivate var structure: [UInt8] {
        let family = withUnsafeBytes(of: UInt16(bytes.count == 4 ? AF_INET : AF_INET6)) { Array($0) }
        let head = family + [UInt8(port >> 8), UInt8(truncatingIfNeeded: port)]
        let zeros = [UInt8](repeating: 0, count: 8)
        return bytes.count == 4 ? head + bytes + zeros : head + zeros.prefix(4) + bytes + zeros.prefix(4)
    }

    fileprivate init?(structure: [UInt8], length: Int) {
        guard length >= 16, structure.count >= 28 else { return nil }
        let family = structure.withUnsafeBytes { $0.loadUnaligned(as: UInt16.self) }
        port = UInt16(structure[2]) << 8 | UInt16(structure[3])
        switch Int32(family) {
        case AF_INET: bytes = Array(structure[4..<8])
        case AF_INET6: bytes = Array(structure[8..<24])
        default: return nil
        }
    }
}

/// Sockets of ip(7) and ipv6(7), all close-on-exec and non-blocking.
extension Syscall {
    /// socket(2): a stream of TCP, or datagrams of UDP.
    package static func internetSocket(version6: Bool, stream: Bool) throws(SyscallError) -> OwnedFileDescriptor {
        let kind = CInt((stream ? SOCK_STREAM : SOCK_DGRAM).rawValue) | O_CLOEXEC | O_NONBLOCK
        return OwnedFileDescriptor(
            adopting: try check("socket") { Glibc.socket(version6 ? AF_INET6 : AF_INET, kind, 0) })
    }

    /// setsockopt(2) with a number.
    package static func setOption(
        _ socket: CInt, _ level: CInt, _ name: CInt, _ value: CInt
    ) throws(SyscallError) {
        var value = value
        _ = try check("setsockopt") {
            Glibc.setsockopt(socket, level, name, &value, socklen_t(MemoryLayout<CInt>.size))
        }
    }

    /// TCP_NODELAY (tcp(7)).
    package static func sendAtOnce(_ socket: CInt) throws(SyscallError) {
        try setOption(socket, CInt(IPPROTO_TCP), TCP_NODELAY, 1)
    }

    /// SO_KEEPALIVE (socket(7)).
    package static func keepAlive(_ socket: CInt) throws(SyscallError) {
        try setOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1)
    }

    /// IPV6_V6ONLY (ipv6(7)): whether a socket of IPv6 leaves IPv4 to others.
    package static func keepToVersion6(_ socket: CInt, _ keeps: Bool) throws(SyscallError) {
        try setOption(socket, CInt(IPPROTO_IPV6), 26, keeps ? 1 : 0)
    }

    /// SO_LINGER of zero seconds (socket(7)): closing resets the connection.
    package static func resetOnClose(_ socket: CInt) {
        var value = linger(l_onoff: 1, l_linger: 0)
        // Without it the connection is closed in order, which says less.
        _ = Glibc.setsockopt(socket, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
    }

    /// bind(2).
    package static func bind(_ socket: CInt, _ address: SocketAddress) throws(SyscallError) {
        _ = try check("bind", "port \(address.port)") {
            withStructure(address) { Glibc.bind(socket, $0, $1) }
        }
    }

    /// listen(2).
    package static func listen(_ socket: CInt, backlog: CInt) throws(SyscallError) {
        _ = try check("listen") { Glibc.listen(socket, backlog) }
    }

    /// connect(2): whether it is connected already; it becomes writable when it is, or has failed.
    package static func connect(_ socket: CInt, _ address: SocketAddress) throws(SyscallError) -> Bool {
        if withStructure(address, { Glibc.connect(socket, $0, $1) }) == 0 { return true }
        let error = SyscallError.last("connect")
        // An interrupted connect(2) goes on by itself.
        if error.errno == .nowInProgress || error.errno == .interrupted { return false }
        throw error
    }

    /// SO_ERROR (socket(7)): why it could not connect; nil when it could.
    package static func connectionError(_ socket: CInt) throws(SyscallError) -> Errno? {
        var value: CInt = 0
        var length = socklen_t(MemoryLayout<CInt>.size)
        _ = try check("getsockopt") { Glibc.getsockopt(socket, SOL_SOCKET, SO_ERROR, &value, &length) }
        return value == 0 ? nil : Errno(rawValue: value)
    }

    /// getsockname(2): of an accepted socket the address that was connected to.
    package static func localAddress(_ socket: CInt) throws(SyscallError) -> SocketAddress {
        var structure = [UInt8](repeating: 0, count: 128)
        var length = socklen_t(structure.count)
        _ = try check("getsockname") {
            structure.withUnsafeMutableBytes { buffer in
                Glibc.getsockname(socket, buffer.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
            }
        }
        guard let address = SocketAddress(structure: structure, length: Int(length)) else {
            throw SyscallError("getsockname", errno: .addressFamilyNotSupported)
        }
        return address
    }

    /// shutdown(2), SHUT_WR; that the other end has gone already is no error.
    package static func endWriting(_ socket: CInt) { _ = Glibc.shutdown(socket, CInt(SHUT_WR)) }

    /// recv(2) into `buffer`: how many bytes, 0 at the end; nil when there are none yet.
    package static func receive(
        _ socket: CInt, into buffer: inout [UInt8], peek: Bool = false
    ) throws(SyscallError) -> Int? {
        let flags = CInt(MSG_DONTWAIT) | (peek ? CInt(MSG_PEEK) : 0)
        return try unlessWaiting { () throws(SyscallError) in
            try check("recv") {
                buffer.withUnsafeMutableBytes { Glibc.recv(socket, $0.baseAddress, $0.count, flags) }
            }
        }
    }

    /// send(2) without a signal: how many bytes were taken; nil when it takes none yet.
    package static func sendSome(_ socket: CInt, _ bytes: ArraySlice<UInt8>) throws(SyscallError) -> Int? {
        let flags = CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL)
        return try unlessWaiting { () throws(SyscallError) in
            try check("send") { bytes.withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, flags) } }
        }
    }

    /// splice(2), one end of which is a pipe: how many bytes, 0 at the end; nil when it would have to wait.
    package static func splice(_ from: CInt, _ to: CInt, upTo count: Int) throws(SyscallError) -> Int? {
        try unlessWaiting { () throws(SyscallError) in try check("splice") { CLinux_splice(from, to, count) } }
    }

    /// recvfrom(2): a datagram and its sender, through `buffer`; nil when there is none yet.
    package static func receiveDatagram(
        _ socket: CInt, into buffer: inout [UInt8]
    ) throws(SyscallError) -> (count: Int, sender: SocketAddress)? {
        var structure = [UInt8](repeating: 0, count: 128)
        var length = socklen_t(structure.count)
        let count = try unlessWaiting { () throws(SyscallError) in
            try check("recvfrom") {
                structure.withUnsafeMutableBytes { address in
                    Glibc.recvfrom(
                        socket, &buffer, buffer.count, CInt(MSG_DONTWAIT),
                        address.baseAddress?.assumingMemoryBound(to: sockaddr.self), &length)
                }
            }
        }
        guard let count else { return nil }
        guard let sender = SocketAddress(structure: structure, length: Int(length)) else { return nil }
        return (count, sender)
    }

    /// sendto(2) of one datagram; one that is lost is no error, as on any network.
    package static func sendDatagram(_ socket: CInt, _ bytes: [UInt8], to address: SocketAddress) {
        _ = withStructure(address) {
            Glibc.sendto(socket, bytes, bytes.count, CInt(MSG_DONTWAIT) | CInt(MSG_NOSIGNAL), $0, $1)
        }
    }

    private static func withStructure<Result>(
        _ address: SocketAddress, _ body: (UnsafePointer<sockaddr>?, socklen_t) -> Result
    ) -> Result {
        let structure = address.structure
        return structure.withUnsafeBytes {
            body($0.baseAddress?.assumingMemoryBound(to: sockaddr.self), socklen_t(structure.count))
        }
    }

    private static func unlessWaiting(_ body: () throws(SyscallError) -> Int) throws(SyscallError) -> Int? {
        do throws(SyscallError) {
            return try body()
        } catch {
            if error.errno == .resourceTemporarilyUnavailable { return nil }
            throw error
        }
    }

    /// The network namespace of a socket (socket(7), SIOCGSKNS).
    package static func networkNamespace(of socket: CInt) throws(SyscallError) -> OwnedFileDescriptor {
        OwnedFileDescriptor(adopting: try check("ioctl SIOCGSKNS") { CLinux_socket_namespace(socket) })
    }

    /// Makes a block of addresses this network namespace's own (rtnetlink(7), a route of type `local`).
    ///
    /// Whoever connects to one of them reaches what listens at every address here. `bytes` are 4 or 16.
    package static func addLocalRoute(_ bytes: [UInt8], prefix: UInt8) throws(SyscallError) {
        let socket = OwnedFileDescriptor(
            adopting: try check("socket", "netlink") {
                Glibc.socket(AF_NETLINK, CInt(SOCK_RAW.rawValue) | O_CLOEXEC, 0)
            })
        func raw(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
        // RTA_DST, and RTA_OIF with the number of the loopback device, which is the first of a namespace.
        let attributes =
            raw(UInt16(4 + bytes.count)) + raw(UInt16(1)) + bytes + raw(UInt16(8)) + raw(UInt16(4))
            + raw(UInt32(1))
        // struct rtmsg: RT_TABLE_LOCAL, RTPROT_STATIC, RT_SCOPE_HOST, RTN_LOCAL.
        let route: [UInt8] =
            [UInt8(bytes.count == 4 ? AF_INET : AF_INET6), prefix, 0, 0, 255, 4, 254, 2] + raw(UInt32(0))
        // struct nlmsghdr: RTM_NEWROUTE; NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE.
        let length = UInt32(16 + route.count + attributes.count)
        let header = raw(length) + raw(UInt16(24)) + raw(UInt16(0x405)) + raw(UInt32(1)) + raw(UInt32(0))
        let message = header + route + attributes
        _ = try check("send", "netlink") { Glibc.send(socket.number, message, message.count, 0) }
        var answer = [UInt8](repeating: 0, count: 1024)
        let count = try check("recv", "netlink") { Glibc.recv(socket.number, &answer, answer.count, 0) }
        // struct nlmsgerr: a negative errno, 0 for success.
        let error = count >= 20 ? answer.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 16, as: Int32.self) } : -EIO
        guard error == 0 else { throw SyscallError("add a route", errno: Errno(rawValue: -error)) }
    }

    /// Loads a filter of system calls into this process, which has no new privileges (seccomp(2)).
    package static func loadFilter(_ instructions: [UInt8]) throws(SyscallError) {
        _ = try check("seccomp") { CLinux_load_filter(instructions, UInt16(instructions.count / 8)) }
    }

    /// dup2(2): `there` becomes another number of the same open file, and is not closed on execution.
    @discardableResult
    package static func duplicate(_ descriptor: CInt, to there: CInt) throws(SyscallError) -> CInt {
        try check("dup2") { Glibc.dup2(descriptor, there) }
    }

    /// close_range(2): closes this number and all above it.
    package static func closeDescriptors(from first: UInt32) throws(SyscallError) {
        _ = try check("close_range") { CLinux_close_range(first, .max, 0) }
    }

    /// setrlimit(2): soft and hard.
    package static func setLimit(_ resource: Int32, _ value: UInt64) throws(SyscallError) {
        _ = try check("setrlimit") { CLinux_setrlimit(resource, value, value) }
    }
}

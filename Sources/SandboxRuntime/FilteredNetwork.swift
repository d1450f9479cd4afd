import Isolation
import LinuxSystem
import SandboxLaunch
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// A network namespace with nothing but a loopback device, and sockets in it that are listened at from outside.
///
/// Addresses that rules name, and addresses that stand for names, are the loopback's own there: who connects to one of
/// them at a port that a rule names reaches a socket of the proxy's, which learns where the connection was to go.
/// Nothing of ours runs inside.
enum FilteredNetwork {
    /// The file `/etc/resolv.conf` of sandboxes in such a network.
    static let resolverFile = "nameserver 127.0.0.1\n"

    private static let step = "make the filtered network"
    private static let backlog: CInt = 256

    /// Makes the namespace in a throw-away child; the caller owns the descriptors.
    ///
    /// The sockets are those of the proxy's port, of names, and of each further port that rules name.
    static func make(for rules: EgressRules) throws(LaunchError) -> (namespace: CInt, sockets: [CInt]) {
        let answer = try LaunchError.during(step) { () throws(SyscallError) in
            let pair = try Syscall.packetSocketPair()
            let (first, second) = (pair.first.number, pair.second.number)
            let child = try Syscall.fork()
            if child == 0 { serve(second, rules) }
            let process = try ProcessHandle(opening: child)
            // The child has an end of its own; without this one its death is seen.
            let ours = pair.takeFirst()
            let packet = try Syscall.receive(first, upTo: EgressMessage.limit)
            _ = try process.wait()
            _ = ours.number
            return packet
        }
        if case .failed(let call, let object, let errno)? = EgressMessage(answer.bytes) {
            throw LaunchError(
                step: step, SyscallError(call, object.isEmpty ? nil : object, errno: Errno(rawValue: errno)))
        }
        guard let namespace = answer.descriptors.first, answer.descriptors.count >= 3 else {
            throw LaunchError(step: step, reason: "the process that makes it ended without a word")
        }
        return (namespace, Array(answer.descriptors.dropFirst()))
    }

    private static func serve(_ socket: CInt, _ rules: EgressRules) -> Never {
        do throws(SyscallError) {
            try Syscall.unshare(.network)
            try Syscall.bringLoopbackUp()
            let hasVersion6 = (try? Syscall.internetSocket(version6: true, stream: true)) != nil
            for network in [EgressSockets.names] + rules.networks where network.address.isVersion4 || hasVersion6 {
                try Syscall.addLocalRoute(network.address.bytes, prefix: UInt8(network.prefix))
            }
            var sockets = [
                try listener(
                    EgressSockets.proxyPort, everywhere: rules.ports.contains(EgressSockets.proxyPort), hasVersion6)
            ]
            let namespace = try Syscall.networkNamespace(of: sockets[0]).release()
            let names = try Syscall.internetSocket(version6: false, stream: false)
            try Syscall.bind(names.number, SocketAddress(bytes: [127, 0, 0, 1], port: EgressSockets.namePort))
            sockets.append(names.release())
            for port in rules.ports where port != EgressSockets.proxyPort {
                sockets.append(try listener(port, everywhere: true, hasVersion6))
            }
            try Syscall.send(socket, EgressMessage.ready.bytes, descriptors: [namespace] + sockets)
        } catch {
            let message = EgressMessage.failed(
                call: error.call, object: error.object ?? "", errno: error.errno.rawValue)
            // Without the packet, the caller tells of the silence.
            try? Syscall.send(socket, message.bytes)
        }
        _exit(0)
    }

    /// A socket at the loopback's first address, or at every address of both kinds.
    private static func listener(
        _ port: UInt16, everywhere: Bool, _ hasVersion6: Bool
    ) throws(SyscallError) -> CInt {
        let isWide = everywhere && hasVersion6
        let socket = try Syscall.internetSocket(version6: isWide, stream: true)
        if isWide { try Syscall.keepToVersion6(socket.number, false) }
        let address: [UInt8] =
            everywhere ? [UInt8](repeating: 0, count: hasVersion6 ? 16 : 4) : [127, 0, 0, 1]
        try Syscall.bind(socket.number, SocketAddress(bytes: address, port: port))
        try Syscall.listen(socket.number, backlog: backlog)
        return socket.release()
    }
}

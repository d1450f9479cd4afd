import Isolation
import LinuxSystem

/// A sandbox whose network is the proxy's to decide on: its rules, and the sockets that were made in it.
final class ProxiedSandbox {
    let number: Int
    let rules: EgressRules
    /// Streams: the first is the proxy's own port, the others take plain connections.
    let listeners: [OwnedListener]
    let names: OwnedFileDescriptor
    var connections = 0
    var isPaused = false
    /// Names that were refused a look-up, each of which is told once.
    var refusedNames: Set<HostName> = []
    private var addresses: [HostName: IPAddress] = [:]
    private var named: [IPAddress: HostName] = [:]

    /// A socket that is listened at, and its number in the poller.
    final class OwnedListener {
        let socket: OwnedFileDescriptor
        let number: UInt64

        init(_ socket: consuming OwnedFileDescriptor, number: UInt64) {
            self.socket = socket
            self.number = number
        }
    }

    /// The most connections at once; further ones wait.
    static let connectionLimit = 256
    /// The most names that have an address.
    static let nameLimit = 4096

    init(number: Int, rules: EgressRules, listeners: [OwnedListener], names: consuming OwnedFileDescriptor) {
        self.number = number
        self.rules = rules
        self.listeners = listeners
        self.names = names
    }

    /// The address that stands for a name in the sandbox, always the same one; nil when there are too many.
    func address(of name: HostName) -> IPAddress? {
        if let address = addresses[name] { return address }
        guard addresses.count < Self.nameLimit else { return nil }
        let first = UInt32(truncatingIfNeeded: EgressSockets.names.address.bits)
        let address = IPAddress(version4: first + UInt32(addresses.count) + 1)
        addresses[name] = address
        named[address] = name
        return address
    }

    /// The name that an address stands for.
    func name(of address: IPAddress) -> HostName? { named[address] }
}

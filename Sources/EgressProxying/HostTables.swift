import Isolation
import LinuxSystem
import SystemPackage

/// What the host knows of names and of itself, read before the proxy is confined.
struct HostTables {
    /// Names of `/etc/hosts`.
    var names: [HostName: [IPAddress]]
    /// Name servers of `/etc/resolv.conf`.
    var servers: [SocketAddress]
    /// Addresses of this host.
    var own: Set<IPAddress>

    /// The most servers that are asked (resolv.conf(5), MAXNS).
    private static let serverLimit = 3

    /// Reads the host's files; what is not there knows nothing.
    static func read() -> HostTables {
        func text(_ path: FilePath) -> [UInt8] { (try? Syscall.readFile(path, limit: 16 << 20)) ?? [] }
        return HostTables(
            names: names(text("/etc/hosts")), servers: servers(text("/etc/resolv.conf")),
            own: own(text("/proc/net/fib_trie"), text("/proc/net/if_inet6")))
    }

    private static func lines(_ bytes: [UInt8]) -> [[Substring]] {
        String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).map { line in
            line.prefix { $0 != "#" && $0 != ";" }.split(whereSeparator: \.isWhitespace)
        }
    }

    /// hosts(5).
    static func names(_ bytes: [UInt8]) -> [HostName: [IPAddress]] {
        var names: [HostName: [IPAddress]] = [:]
        for words in lines(bytes) {
            guard let first = words.first, let address = IPAddress(first) else { continue }
            for word in words.dropFirst() {
                guard let name = try? HostName(word) else { continue }
                names[name, default: []].append(address)
            }
        }
        return names
    }

    /// resolv.conf(5); without a server there is one on this host.
    static func servers(_ bytes: [UInt8]) -> [SocketAddress] {
        let found = lines(bytes).filter { $0.first == "nameserver" }.compactMap { $0.dropFirst().first }.compactMap {
            IPAddress($0)
        }
        let servers = found.isEmpty ? [IPAddress(version4: 0x7F00_0001)] : Array(found.prefix(serverLimit))
        return servers.map { SocketAddress(bytes: $0.bytes, port: 53) }
    }

    /// The host's addresses: of its routing trie each line `|-- address` above `/32 host LOCAL`, and of IPv6 the first
    /// word of each line (proc(5)).
    static func own(_ trie: [UInt8], _ interfaces: [UInt8]) -> Set<IPAddress> {
        var own: Set<IPAddress> = []
        var last: IPAddress?
        for line in String(decoding: trie, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 2, words[words.count - 2] == "|--" { last = IPAddress(words[words.count - 1]) }
            if line.hasSuffix("/32 host LOCAL"), let last { own.insert(last) }
        }
        for words in lines(interfaces) {
            guard let first = words.first, first.utf8.count == 32, let bits = UInt128(first, radix: 16) else {
                continue
            }
            own.insert(IPAddress(version6: bits))
        }
        return own
    }
}

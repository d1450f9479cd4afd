/// The IPv4 networks that no sandbox with a way out reaches, and how an address is found in one.
package enum ClosedNetworks {
    /// This host, private, shared, link-local, test, multicast and reserved networks, as `ADDRESS/BITS`.
    package static let ranges = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
    ]

    /// The range that an address lies in; nil for an address of the public network.
    package static func range(of address: UInt32) -> String? {
        ranges.first { range in
            let parts = range.split(separator: "/")
            guard let first = ipv4(parts[0]), let bits = UInt32(parts[1]) else { return false }
            return (first ^ address) >> (32 - bits) == 0
        }
    }

    /// The number of an address that is written as four decimal parts; nil for anything else.
    package static func ipv4(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        return parts.reduce(Optional(UInt32(0))) { number, part in
            guard let number, part.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = UInt8(part),
                part == "0" || !part.hasPrefix("0")
            else { return nil }
            return number << 8 | UInt32(value)
        }
    }
}

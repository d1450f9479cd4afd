/// A block of addresses: those that begin with the same bits.
package struct IPNetwork: Sendable, Hashable {
    /// The first address.
    package let address: IPAddress
    /// How many leading bits are fixed.
    package let prefix: Int

    /// A block; nil where the prefix is longer than the address, or the address has bits beyond it.
    package init?(_ address: IPAddress, prefix: Int) {
        guard (0...address.width).contains(prefix) else { return nil }
        self.address = address
        self.prefix = prefix
        guard Self.first(of: address, prefix: prefix) == address.bits else { return nil }
    }

    /// The block of that size in which an address lies.
    package init(around address: IPAddress, prefix: Int) {
        let prefix = min(max(prefix, 0), address.width)
        let bits = Self.first(of: address, prefix: prefix)
        self.address =
            address.isVersion4 ? IPAddress(version4: UInt32(truncatingIfNeeded: bits)) : IPAddress(version6: bits)
        self.prefix = prefix
    }

    private static func first(of address: IPAddress, prefix: Int) -> UInt128 {
        let free = address.width - prefix
        return free >= 128 ? 0 : (address.bits >> UInt128(free)) << UInt128(free)
    }

    /// Whether an address lies in it.
    package func contains(_ other: IPAddress) -> Bool {
        other.isVersion4 == address.isVersion4 && Self.first(of: other, prefix: prefix) == address.bits
    }

    /// Whether all of another block lies in it.
    package func contains(_ other: IPNetwork) -> Bool { other.prefix >= prefix && contains(other.address) }

    /// The block of twice the size that consists of this one and `other`, where there is one.
    package func joined(with other: IPNetwork) -> IPNetwork? {
        guard prefix == other.prefix, prefix > 0, self != other else { return nil }
        let parent = IPNetwork(around: address, prefix: prefix - 1)
        return parent.contains(other) ? parent : nil
    }
}

extension IPNetwork: CustomStringConvertible {
    /// An address, or an address and a prefix; the address must have no bits beyond it.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(first) else { return nil }
        guard parts.count == 2 else {
            self.init(address, prefix: address.width)
            return
        }
        let digits = parts[1].utf8
        guard (1...3).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }),
            digits.count == 1 || digits.first != 48, let prefix = Int(parts[1])
        else { return nil }
        self.init(address, prefix: prefix)
    }

    /// As it is read.
    package var description: String { prefix == address.width ? "\(address)" : "\(address)/\(prefix)" }
}

// MARK: - Addresses that are not public

extension IPNetwork {
    /// Blocks of this host, of private, link-local, shared, test, benchmark, multicast and reserved addresses
    /// (the IANA special-purpose address registries), and of transition mechanisms that carry IPv4 addresses.
    package static let special: [IPNetwork] = [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    ].compactMap { IPNetwork($0) }

    /// Of IPv6 only this block is handed out to public networks.
    package static let global6 = IPNetwork(around: IPAddress(version6: 0x2 << 124), prefix: 3)

    /// Addresses of IPv4 hosts as translators show them to IPv6 hosts (RFC 6052).
    static let translated = IPNetwork(around: IPAddress(version6: 0x64_ff9b << 96), prefix: 96)

    /// Whether any of its addresses is one that is not public.
    package var touchesSpecial: Bool {
        if !address.isVersion4, !Self.global6.contains(self) { return true }
        return Self.special.contains { $0.contains(self) || contains($0) }
    }
}

extension IPAddress {
    /// The address of IPv4 that it stands for, where a translator would take it there.
    package var translated: IPAddress? {
        IPNetwork.translated.contains(self) ? IPAddress(version4: UInt32(truncatingIfNeeded: bits)) : nil
    }

    /// Whether it is an address of the public network; one that stands for an IPv4 address is what that is.
    package var isPublic: Bool {
        if let translated { return translated.isPublic }
        return !IPNetwork(around: self, prefix: width).touchesSpecial
    }
}

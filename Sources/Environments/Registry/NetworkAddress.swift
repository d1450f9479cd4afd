#if canImport(Glibc)
    import Glibc
#endif

/// An address of the network, and who can be behind it.
struct NetworkAddress: Hashable {
    /// From where an address can be reached.
    enum Reach: String, Hashable {
        /// From everywhere.
        case everywhere = "a public address"
        /// From a network of somebody's own.
        case inside = "an address of a private network"
        /// From the same cable, as the key servers of clouds.
        case link = "an address of the local link"
        /// From this machine.
        case machine = "an address of this machine"
        /// From nowhere in particular: broadcasts, reserved ranges.
        case nowhere = "no address of a server"
    }

    /// The address in its written form.
    let text: String
    /// From where it can be reached.
    let reach: Reach

    init?(_ text: String) {
        self.text = text
        var four = in_addr()
        var six = in6_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            reach = Self.reach(of: withUnsafeBytes(of: four) { Array($0) })
        } else if inet_pton(AF_INET6, text, &six) == 1 {
            reach = Self.reach(ofLong: withUnsafeBytes(of: six) { Array($0) })
        } else {
            return nil
        }
    }

    /// RFC 6890's ranges.
    private static func reach(of bytes: [UInt8]) -> Reach {
        switch (bytes[0], bytes[1]) {
        case (127, _), (0, _): .machine
        case (169, 254): .link
        case (10, _), (172, 16...31), (192, 168), (100, 64...127), (198, 18...19): .inside
        case (224..., _): .nowhere
        default: .everywhere
        }
    }

    private static func reach(ofLong bytes: [UInt8]) -> Reach {
        let zeros = bytes.prefix { $0 == 0 }.count
        if zeros == 16 || zeros == 15 && bytes[15] == 1 { return .machine }
        // Addresses of the older kind in newer clothes: mapped, compatible, NAT64 and 6to4.
        if zeros == 10 && bytes[10] == 0xFF && bytes[11] == 0xFF || zeros >= 12 {
            return reach(of: Array(bytes[12...]))
        }
        if bytes.starts(with: [0, 0x64, 0xFF, 0x9B]) { return reach(of: Array(bytes[12...])) }
        if bytes.starts(with: [0x20, 0x02]) { return reach(of: Array(bytes[2..<6])) }
        switch (bytes[0], bytes[1]) {
        case (0xFE, 0x80...0xBF): return .link
        case (0xFE, 0xC0...), (0xFC...0xFD, _): return .inside
        case (0xFF, _): return .nowhere
        default: return .everywhere
        }
    }
}

import SystemPackage

extension SeccompArea {
    /// Making sockets: families, types and protocols by equality.
    static let network = SeccompArea(
        groups: [
            SeccompGroup(
                "network", because: "other socket families than local, IPv4, IPv6 and routing reach beyond the sandbox",
                opening: .call),
            SeccompGroup(
                "network-protocols", because: "raw sockets and protocols other than TCP, UDP and ICMP are not needed",
                opening: .call),
            SeccompGroup(
                "tcp-ulp", because: "protocols layered onto TCP have been a way into the kernel", opening: .call),
        ],
        rules: [[socket, socketPair, socketOption]])

    private enum Family {
        static let local: UInt32 = 1
        static let inet: UInt32 = 2
        static let inet6: UInt32 = 10
        static let netlink: UInt32 = 16
    }

    /// Types, without the flags that share their argument (SOCK_TYPE_MASK).
    private enum Kind {
        static let mask: UInt32 = 0xF
        static let stream: UInt32 = 1
        static let datagram: UInt32 = 2
        static let raw: UInt32 = 3
        static let packets: UInt32 = 5
    }

    private enum Transport {
        static let icmp: UInt32 = 1
        static let tcp: UInt32 = 6
        static let udp: UInt32 = 17
        static let icmp6: UInt32 = 58
        static let multipath: UInt32 = 262
    }

    private static let anyLocal: SeccompRule.Case = .allow(
        .int(0, Family.local), .bits(1, mask: Kind.mask, Kind.stream, Kind.datagram, Kind.packets), .int(2, 0, 1))

    private static let otherFamily = SeccompRefusal(.addressFamilyNotSupported, .notify, group: "network")

    private static func otherProtocol(
        _ errno: Errno, _ reporting: SeccompRefusal.Reporting = .notify
    ) -> SeccompRefusal {
        SeccompRefusal(errno, reporting, group: "network-protocols")
    }

    private static let socket = SeccompRule(
        "socket",
        [
            anyLocal,
            .allow(
                .int(0, Family.inet, Family.inet6), .bits(1, mask: Kind.mask, Kind.stream), .int(2, 0, Transport.tcp)),
            .allow(
                .int(0, Family.inet, Family.inet6), .bits(1, mask: Kind.mask, Kind.datagram), .int(2, 0, Transport.udp)),
            .allow(.int(0, Family.inet), .bits(1, mask: Kind.mask, Kind.datagram), .int(2, Transport.icmp)),
            .allow(.int(0, Family.inet6), .bits(1, mask: Kind.mask, Kind.datagram), .int(2, Transport.icmp6)),
            // NETLINK_ROUTE alone: name lookups and lists of interfaces ask it.
            .allow(.int(0, Family.netlink), .bits(1, mask: Kind.mask, Kind.datagram, Kind.raw), .int(2, 0)),
            // Tried before plain TCP by run-times that prefer it.
            .refuse(
                otherProtocol(.protocolNotSupported, .silent), .int(0, Family.inet, Family.inet6),
                .int(2, Transport.multipath)),
            .refuse(
                otherProtocol(.notPermitted), .int(0, Family.inet, Family.inet6), .bits(1, mask: Kind.mask, Kind.raw)),
            .refuse(otherProtocol(.protocolNotSupported), .int(0, Family.local, Family.inet, Family.inet6)),
        ],
        otherwise: .refuse(otherFamily))

    private static let socketPair = SeccompRule("socketpair", [anyLocal], otherwise: .refuse(otherFamily))

    /// IPPROTO_TCP with TCP_ULP.
    private static let socketOption = SeccompRule(
        "setsockopt",
        [
            .refuse(
                SeccompRefusal(.protocolNotAvailable, .notify, group: "tcp-ulp"), .int(1, Transport.tcp), .int(2, 31))
        ],
        otherwise: .allow)
}

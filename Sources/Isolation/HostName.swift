/// The name of a host as DNS has it: lower-case ASCII labels, without the dot at the end.
package struct HostName: Sendable, Hashable, CustomStringConvertible {
    package let description: String

    /// Why a text is not the name of a host: a fragment that follows the text.
    package struct Fault: Error, Sendable, Hashable {
        package let reason: String
    }

    /// The longest name, in bytes (RFC 1035, 2.3.4).
    package static let limit = 253

    /// Brings a name into its one form.
    ///
    /// Refuses what some programs take for an address: names that end with a number.
    package init(_ text: some StringProtocol) throws(Fault) {
        var bytes = Array(text.utf8)
        if bytes.last == UInt8(ascii: ".") { bytes.removeLast() }
        guard !bytes.isEmpty else { throw Fault(reason: "is empty") }
        guard bytes.count <= Self.limit else { throw Fault(reason: "is longer than \(Self.limit) bytes") }
        guard bytes.allSatisfy({ $0 < 0x80 }) else {
            throw Fault(reason: "has letters beyond ASCII: write it as DNS has it, `xn--…`")
        }
        for index in bytes.indices where (65...90).contains(bytes[index]) { bytes[index] |= 0x20 }
        let labels = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for label in labels {
            guard !label.isEmpty else { throw Fault(reason: "has an empty label") }
            guard label.count <= 63 else { throw Fault(reason: "has a label longer than 63 bytes") }
            guard label.allSatisfy(Self.isNameByte) else {
                throw Fault(reason: "has characters other than letters, digits, `-`, `_` and dots")
            }
            guard label.first != UInt8(ascii: "-"), label.last != UInt8(ascii: "-") else {
                throw Fault(reason: "has a label that begins or ends with `-`")
            }
        }
        if let last = labels.last, Self.isNumber(last) {
            throw Fault(reason: "is neither a name nor an address in its plain form")
        }
        description = String(decoding: bytes, as: UTF8.self)
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (97...122).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }

    /// Whether inet_aton(3) may take a label for a part of an address.
    private static func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
        if label.allSatisfy({ (48...57).contains($0) }) { return true }
        guard label.starts(with: Array("0x".utf8)) else { return false }
        return label.dropFirst(2).allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// Whether it lies below another name, at any depth.
    package func isBelow(_ other: HostName) -> Bool {
        let (own, suffix) = (description.utf8, other.description.utf8)
        guard own.count > suffix.count + 1 else { return false }
        return own.suffix(suffix.count).elementsEqual(suffix) && own.dropLast(suffix.count).last == UInt8(ascii: ".")
    }
}

/// Where a connection is to go: a name or an address, and a port.
package struct EgressDestination: Sendable, Hashable, CustomStringConvertible {
    /// The two ways to say which host.
    package enum Host: Sendable, Hashable {
        case name(HostName)
        case address(IPAddress)
    }

    package var host: Host
    package var port: UInt16

    /// Names both.
    package init(_ host: Host, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads a host as URLs have it: a name, an IPv4 address, or an IPv6 address, in brackets or without.
    package static func host(_ text: some StringProtocol) throws(HostName.Fault) -> Host {
        var inner = text[...]
        let isBracketed = inner.hasPrefix("[") && inner.hasSuffix("]") && inner.utf8.count > 2
        if isBracketed { inner = inner.dropFirst().dropLast() }
        if let address = IPAddress(inner), !isBracketed || inner.contains(":") { return .address(address) }
        if isBracketed || inner.contains(":") { throw HostName.Fault(reason: "is no IPv6 address in its plain form") }
        return .name(try HostName(inner))
    }

    /// As it stands in a rule.
    package var description: String {
        switch host {
        case .name(let name): "\(name):\(port)"
        case .address(let address): address.isVersion4 ? "\(address):\(port)" : "[\(address)]:\(port)"
        }
    }
}

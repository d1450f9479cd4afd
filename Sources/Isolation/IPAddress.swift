/// An address of IPv4 or IPv6, in a form in which equal addresses are equal.
///
/// IPv4 addresses inside of IPv6 ones (RFC 4291, 2.5.5.2) are the IPv4 addresses themselves.
package struct IPAddress: Sendable, Hashable {
    /// The address as one number; of IPv4 only the lowest 32 bits.
    package let bits: UInt128
    package let isVersion4: Bool

    /// How many bits an address of this kind has.
    package var width: Int { isVersion4 ? 32 : 128 }

    /// An IPv4 address by its number.
    package init(version4 bits: UInt32) {
        self.bits = UInt128(bits)
        isVersion4 = true
    }

    /// An IPv6 address by its number, or the IPv4 address that is mapped into it.
    package init(version6 bits: UInt128) {
        isVersion4 = bits >> 32 == 0xFFFF
        self.bits = isVersion4 ? bits & 0xFFFF_FFFF : bits
    }

    /// An address as the kernel has it: 4 or 16 bytes; nil for any other number.
    package init?(bytes: some Collection<UInt8>) {
        let number = bytes.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
        switch bytes.count {
        case 4: self.init(version4: UInt32(number))
        case 16: self.init(version6: number)
        default: return nil
        }
    }

    /// 4 or 16 bytes, as the kernel has them.
    package var bytes: [UInt8] {
        stride(from: width - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: bits >> UInt128($0)) }
    }
}

// MARK: - Text

extension IPAddress: CustomStringConvertible {
    /// Reads the plain form of RFC 3986: four decimal numbers without leading zeros, or groups of hexadecimal digits.
    ///
    /// Other forms that some programs take for an address (`2130706433`, `0x7f.1`, `010.0.0.1`, `fe80::1%eth0`) are nil.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count <= 45 else { return nil }
        let bytes = Array(text.utf8)
        if bytes.contains(UInt8(ascii: ":")) {
            guard let bits = Self.version6(bytes) else { return nil }
            self.init(version6: bits)
        } else {
            guard let bits = Self.version4(bytes[...]) else { return nil }
            self.init(version4: bits)
        }
    }

    private static func version4(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var number: UInt32 = 0
            for digit in part {
                guard (48...57).contains(digit) else { return nil }
                number = number * 10 + UInt32(digit - 48)
            }
            guard number < 256 else { return nil }
            bits = bits << 8 | number
        }
        return bits
    }

    private static func version6(_ text: [UInt8]) -> UInt128? {
        let colon = UInt8(ascii: ":")
        guard let gap = (0..<(text.count - 1)).first(where: { text[$0] == colon && text[$0 + 1] == colon }) else {
            guard let groups = groups(text[...], isEnd: true), groups.count == 8 else { return nil }
            return number(groups)
        }
        guard let head = groups(text[..<gap], isEnd: false), let tail = groups(text[(gap + 2)...], isEnd: true),
            head.count + tail.count < 8
        else {
            return nil
        }
        return number(head + [UInt16](repeating: 0, count: 8 - head.count - tail.count) + tail)
    }

    /// Groups between single colons; the last one at the end may be an IPv4 address, which counts as two.
    private static func groups(_ text: ArraySlice<UInt8>, isEnd: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        var groups: [UInt16] = []
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() {
            if isEnd, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let bits = version4(part) else { return nil }
                groups += [UInt16(bits >> 16), UInt16(truncatingIfNeeded: bits)]
            } else {
                guard (1...4).contains(part.count) else { return nil }
                var number: UInt16 = 0
                for byte in part {
                    guard let digit = hexadecimal(byte) else { return nil }
                    number = number << 4 | digit
                }
                groups.append(number)
            }
        }
        return groups.count <= 8 ? groups : nil
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt16? {
        switch byte {
        case 48...57: UInt16(byte - 48)
        case 65...70: UInt16(byte - 55)
        case 97...102: UInt16(byte - 87)
        default: nil
        }
    }

    private static func number(_ groups: [UInt16]) -> UInt128 { groups.reduce(0) { $0 << 16 | UInt128($1) } }

    /// The plain form; of IPv6 that of RFC 5952.
    package var description: String {
        if isVersion4 { return bytes.map(String.init).joined(separator: ".") }
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits >> UInt128(112 - 16 * $0)) }
        var best = (start: 0, length: 1)
        for start in 0..<8 {
            let length = groups[start...].prefix { $0 == 0 }.count
            if length > best.length { best = (start, length) }
        }
        func text(_ groups: ArraySlice<UInt16>) -> String {
            groups.map { String($0, radix: 16) }.joined(separator: ":")
        }
        if best.length < 2 { return text(groups[...]) }
        return text(groups[..<best.start]) + "::" + text(groups[(best.start + best.length)...])
    }
}

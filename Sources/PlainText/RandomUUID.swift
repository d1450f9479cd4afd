/// The text form of a UUID of version 4: lower case, with hyphens.
package enum RandomUUID {
    /// Whether `text` is the canonical form of a UUID of version 4.
    package static func isValid(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard hasForm(text), bytes.count == 36 else { return false }
        // RFC 9562: the version is the first digit of the third group, the variant the top bits of the fourth.
        return bytes[14] == UInt8(ascii: "4") && "89ab".utf8.contains(bytes[19])
    }

    /// Whether `text` could be a UUID of any version in lower case.
    package static func hasForm(_ text: String) -> Bool {
        guard text.utf8.count == 36 else { return false }
        return text.utf8.enumerated().allSatisfy { offset, byte in
            // Each command asks this of every job.
            switch offset {
            case 8, 13, 18, 23: byte == UInt8(ascii: "-")
            default: isHexDigit(byte)
            }
        }
    }

    /// The text of these 128 bits, after version and variant are set in them.
    package static func text(high: UInt64, low: UInt64) -> String {
        let high = high & ~0xF000 | 0x4000
        let low = low & (UInt64.max >> 2) | 1 << 63
        let digits = hexDigits(high) + hexDigits(low)
        var text = ""
        for (offset, digit) in digits.enumerated() {
            if [8, 12, 16, 20].contains(offset) { text.append("-") }
            text.append(digit)
        }
        return text
    }

    /// A new one, of the kernel's random bits (getrandom(2)).
    package static func next() -> String {
        var generator = SystemRandomNumberGenerator()
        return text(high: generator.next(), low: generator.next())
    }

    /// The 128 bits of a valid text.
    package static func bits(of text: String) -> (high: UInt64, low: UInt64) {
        let digits = text.filter { $0 != "-" }
        return (UInt64(digits.prefix(16), radix: 16) ?? 0, UInt64(digits.suffix(16), radix: 16) ?? 0)
    }

    static func isHexDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }

    private static func hexDigits(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

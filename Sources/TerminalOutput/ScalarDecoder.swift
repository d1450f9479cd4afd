/// Turns bytes into characters one by one, whatever the bytes are (The Unicode Standard, table 3-7).
struct ScalarDecoder: Sendable {
    /// What a byte led to.
    enum Step {
        /// The character goes on.
        case incomplete
        /// A character is complete.
        case scalar(Unicode.Scalar)
        /// The bytes before were no character; this byte has to be given again.
        case invalidBefore
        /// This byte cannot begin a character.
        case invalid
    }

    private var value: UInt32 = 0
    private var missing = 0
    private var allowed: ClosedRange<UInt8> = 0x80...0xBF

    /// Whether some bytes of a character are there and some are missing.
    var isInside: Bool { missing > 0 }

    mutating func feed(_ byte: UInt8) -> Step {
        guard missing > 0 else { return begin(byte) }
        guard allowed.contains(byte) else {
            missing = 0
            return .invalidBefore
        }
        value = value << 6 | UInt32(byte & 0x3F)
        allowed = 0x80...0xBF
        missing -= 1
        if missing > 0 { return .incomplete }
        return Unicode.Scalar(value).map(Step.scalar) ?? .invalid
    }

    private mutating func begin(_ byte: UInt8) -> Step {
        allowed =
            switch byte {
            case 0xE0: 0xA0...0xBF
            case 0xED: 0x80...0x9F
            case 0xF0: 0x90...0xBF
            case 0xF4: 0x80...0x8F
            default: 0x80...0xBF
            }
        switch byte {
        case 0..<0x80:
            return .scalar(Unicode.Scalar(byte))
        case 0xC2...0xDF:
            (value, missing) = (UInt32(byte & 0x1F), 1)
        case 0xE0...0xEF:
            (value, missing) = (UInt32(byte & 0x0F), 2)
        case 0xF0...0xF4:
            (value, missing) = (UInt32(byte & 0x07), 3)
        default:
            return .invalid
        }
        return .incomplete
    }
}

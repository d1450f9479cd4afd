/// Identifiers as texts of 36 characters.
enum UUIDText {
    /// Whether `text` is a UUID in lower case, of whatever version.
    static func isValid(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 36
            && bytes.enumerated().allSatisfy { index, byte in
                switch index {
                case 8, 13, 18, 23: byte == Ascii.minus
                default: byte.isDigit || ("a"..."f").contains(Unicode.Scalar(byte))
                }
            }
    }

    /// An identifier that is the same for the same `name`, in the form of a version 4 UUID.
    static func derived(from name: String) -> String {
        let digits = [0xcbf2_9ce4_8422_2325, 0x8422_2325_cbf2_9ce4].flatMap { (seed: UInt64) in
            let hash = name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x0000_0100_0000_01b3 }
            let digits = Array(String(hash, radix: 16))
            return Array(repeating: "0", count: 16 - digits.count) + digits
        }
        let groups = [digits[0..<8], digits[8..<12], ["4"] + digits[13..<16], ["8"] + digits[17..<20], digits[20..<32]]
        return groups.map { String($0) }.joined(separator: "-")
    }
}

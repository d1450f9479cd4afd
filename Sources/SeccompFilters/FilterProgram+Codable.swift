import Isolation

extension FilterProgram: Codable {
    private enum CodingKeys: String, CodingKey {
        case architecture
        case filter
        case policy
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let architecture = try values.decode(SystemCallArchitecture.self, forKey: .architecture)
        let text = try values.decode(String.self, forKey: .filter)
        let policy = try values.decode(SeccompPolicy.self, forKey: .policy)
        guard let bytes = Self.bytes(hexadecimal: text), let simulator = try? FilterSimulator(bytes: bytes) else {
            throw DecodingError.dataCorruptedError(
                forKey: .filter, in: values, debugDescription: "the filter is not a program that the kernel takes")
        }
        self.init(
            architecture: architecture, bytes: bytes, needsListener: simulator.verdicts.contains(.notify),
            answers: RefusalTable(policy: policy, architecture: architecture))
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(architecture, forKey: .architecture)
        try values.encode(hexadecimal, forKey: .filter)
        try values.encode(answers.policy, forKey: .policy)
    }

    /// The bytes as lower-case hexadecimal digits.
    package var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xF)]] }, as: UTF8.self)
    }

    private static func bytes(hexadecimal text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count.isMultiple(of: 2), digits.count <= 2 * greatestLength * FilterInstruction.size else {
            return nil
        }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = nibble(digits[index]), let low = nibble(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 0x30...0x39: digit - 0x30
        case 0x61...0x66: digit - 0x61 + 10
        default: nil
        }
    }
}

import PlainText

/// The identity of a run: a UUID of version 4 in lower case.
package struct RunID: Sendable, Hashable, CustomStringConvertible {
    /// The 36 characters.
    package let description: String

    /// The identity with this text; nil unless it is a UUID of version 4 in lower case.
    package init?(_ text: String) {
        guard RandomUUID.isValid(text) else { return nil }
        description = text
    }

    /// The identity of the run of `job` with that number.
    ///
    /// It follows from the random bits of the job, so that a run has the same identity in every index that is ever
    /// rebuilt, also before anything of it exists on disk. The identities of a job's runs differ in all their parts.
    package init(job: JobID, number: Int) {
        let bits = RandomUUID.bits(of: job.description)
        let step = UInt64(bitPattern: Int64(number)) &+ 1
        let high = Self.mixed(bits.high &+ step &* 0x9E37_79B9_7F4A_7C15)
        let low = Self.mixed(bits.low ^ Self.mixed(high &+ step))
        description = RandomUUID.text(high: high, low: low)
    }

    /// Spreads every bit over all others, without losing any (the finaliser of SplitMix64).
    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

extension RunID: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = RunID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a UUID of version 4")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

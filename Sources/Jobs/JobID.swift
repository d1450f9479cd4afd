import PlainText

/// The identity of a job: a UUID of version 4 in lower case.
package struct JobID: Sendable, Hashable, CustomStringConvertible {
    /// The 36 characters.
    package let description: String

    /// The identity with this text; nil unless it is a UUID of version 4 in lower case.
    package init?(_ text: String) {
        guard RandomUUID.isValid(text) else { return nil }
        description = text
    }

    private init(unchecked text: String) {
        description = text
    }

    /// A new identity.
    package static func random() -> JobID {
        var generator = SystemRandomNumberGenerator()
        return random(using: &generator)
    }

    /// A new identity from the numbers of `generator`.
    package static func random(using generator: inout some RandomNumberGenerator) -> JobID {
        JobID(unchecked: RandomUUID.text(high: generator.next(), low: generator.next()))
    }
}

extension JobID: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = JobID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a UUID of version 4")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}

/// Whose word a value of a policy is.
package enum PolicyLayer: String, Sendable, Hashable, Encodable, CaseIterable {
    /// The program's own.
    case builtIn = "built-in"
    /// A document of the system's administrator.
    case system
    /// A document of the store.
    case store
    /// A document that lies elsewhere and was named by its path.
    case file
    /// What the administrator lets no policy exceed.
    case ceiling
}

/// One effective value of a policy, and where it comes from.
package struct PolicyValue: Sendable, Hashable, Encodable {
    /// The key as documents write it, with points between the levels.
    package var key: String
    package var value: String
    package var layer: PolicyLayer
    /// The policy that says so: a built-in one, or a document, by its name.
    package var policy: String
    /// Where it says so; nil for what is built in.
    package var place: PolicyPlace?

    private enum CodingKeys: String, CodingKey {
        case key, value, layer, policy, file, line, column
    }

    package func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(key, forKey: .key)
        try values.encode(value, forKey: .value)
        try values.encode(layer, forKey: .layer)
        try values.encode(policy, forKey: .policy)
        try values.encodeIfPresent(place?.file, forKey: .file)
        try values.encodeIfPresent(place?.line, forKey: .line)
        try values.encodeIfPresent(place?.column, forKey: .column)
    }
}

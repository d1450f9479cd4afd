import Isolation

/// The JSON Schema of policy documents (draft 2020-12), made of ``PolicyKey``.
///
/// A document that the reader accepts is valid by it. The reader refuses more: contradictions, what has no effect, and
/// names of policies that there are not.
package enum PolicySchema {
    /// A value of a JSON document.
    package indirect enum Value: Sendable, Hashable, Encodable {
        case text(String)
        case number(Double)
        case integer(Int)
        case boolean(Bool)
        case list([Value])
        case object([String: Value])

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let value): try container.encode(value)
            case .number(let value): try container.encode(value)
            case .integer(let value): try container.encode(value)
            case .boolean(let value): try container.encode(value)
            case .list(let value): try container.encode(value)
            case .object(let value): try container.encode(value)
            }
        }
    }

    /// The schema.
    package static let document: Value = {
        guard case .object(var top) = map(below: "", short: nil) else { return .object([:]) }
        top["$schema"] = .text("https://json-schema.org/draft/2020-12/schema")
        top["title"] = .text("A policy of Cloche: what a sandbox may do")
        return .object(top)
    }()

    private static func map(below path: String, short: String?) -> Value {
        let prefix = path.isEmpty ? "" : path + "."
        var properties: [String: Value] = [:]
        for key in PolicyKey.all where key.path.hasPrefix(prefix) {
            let name = String(key.path.dropFirst(prefix.count))
            if !name.isEmpty, !name.contains(".") { properties[name] = value(of: key) }
        }
        var fields: [String: Value] = [
            "type": .text("object"), "properties": .object(properties), "additionalProperties": .boolean(false),
        ]
        guard let short, let value = properties[short] else { return .object(fields) }
        // In the long form an empty map says nothing.
        fields["minProperties"] = .integer(1)
        return .object(["anyOf": .list([value, .object(fields)])])
    }

    private static func value(of key: PolicyKey) -> Value {
        let form: Value =
            switch key.form {
            case .words(let words): .object(["enum": .list(words.map { .text($0) })])
            case .policyName: .object(["type": .text("string"), "pattern": .text("^[A-Za-z0-9_-]{1,64}$")])
            case .users:
                .object([
                    "type": .text("array"),
                    "items": .object(["type": .text("string"), "pattern": .text(PolicyUsers.pattern)]),
                    "uniqueItems": .boolean(true), "maxItems": .integer(PolicyUsers.limit),
                ])
            case .limit(let name): .object(["anyOf": .list([.object(["const": .text("unlimited")])] + limit(name))])
            case .calls(let groups): calls(groups: groups, all: groups || key.path == "seccomp.only")
            case .endpoints:
                .object([
                    "type": .text("array"), "items": .object(["type": .text("string")]), "uniqueItems": .boolean(true),
                    "maxItems": .integer(EgressRules.limit),
                ])
            case .devices:
                .object([
                    "anyOf": .list([
                        .object(["const": .text("none")]),
                        .object([
                            "type": .text("array"), "uniqueItems": .boolean(true),
                            "items": .object([
                                "enum": .list(DeviceAccess.Family.allCases.map { .text($0.rawValue) })
                            ]),
                        ]),
                    ])
                ])
            case .map(let short): map(below: key.path, short: short)
            }
        guard case .object(var fields) = form else { return form }
        fields["description"] = .text("\(key.meaning); default: \(key.standard)")
        return .object(fields)
    }

    private static func limit(_ name: LimitName) -> [Value] {
        func text(_ pattern: String) -> Value {
            .object(["type": .text("string"), "pattern": .text("^\(pattern)$")])
        }
        func number(_ type: String, _ least: Double, _ most: Double) -> Value {
            .object(["type": .text(type), "minimum": .number(least), "maximum": .number(most)])
        }
        switch name {
        case .memory, .scratch, .project, .output:
            return [text("[0-9]+(\\.[0-9]{1,6})? *([kKmMgGtT]([iI]?[bB])?|[bB])")]
        case .pids: return [number("integer", 2, 4_194_304), text("[0-9]+")]
        case .openFiles: return [number("integer", 16, 1_073_741_824), text("[0-9]+")]
        case .cpus: return [number("number", 0.01, 8192), text("[0-9]+(\\.[0-9]+)?")]
        case .wallTime, .cpuTime:
            let part = "[0-9]{1,15}(\\.[0-9]{1,3})?"
            return [
                number("number", 1, 315_360_000),
                text("(\(part)|(\(part)d)?(\(part)h)?(\(part)m)?(\(part)s)?)"),
            ]
        }
    }

    private static func calls(groups: Bool, all: Bool) -> Value {
        let names = Set(SystemCallArchitecture.allCases.flatMap { SystemCallTable.table(for: $0).names })
        let words =
            (groups ? SeccompNames.groups : []) + names.subtracting(all ? [] : SeccompPolicy.indispensable).sorted()
        return .object([
            "type": .text("array"), "items": .object(["enum": .list(words.map { .text($0) })]),
            "uniqueItems": .boolean(true), "maxItems": .integer(1000),
        ])
    }
}

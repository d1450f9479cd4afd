import FoundationEssentials
import GRDB
import Isolation

/// A row that does not hold what its column promises.
struct MalformedRow: Error, CustomStringConvertible {
    /// The column.
    let column: String

    /// What is wrong, for a message about the file.
    var description: String { "column `\(column)` holds an unknown value" }
}

extension Row {
    /// The value of a column that always has one.
    func value<Value: DatabaseValueConvertible>(_ column: String) throws -> Value {
        try decode(Value.self, forColumn: column)
    }

    /// The value of a column that may have none.
    func optional<Value: DatabaseValueConvertible>(_ column: String) throws -> Value? {
        try decode(Value?.self, forColumn: column)
    }

    /// The value that `make` makes of a column's text.
    func parsed<Value>(_ column: String, _ make: (String) -> Value?) throws -> Value {
        guard let value = make(try value(column)) else { throw MalformedRow(column: column) }
        return value
    }

    /// The instant in a column of milliseconds.
    func timestamp(_ column: String) throws -> Timestamp? {
        try (optional(column) as Int64?).map(Timestamp.init(milliseconds:))
    }

    /// The value in a column of JSON.
    func json<Value: Decodable>(_ column: String) throws -> Value? {
        guard let text: String = try optional(column) else { return nil }
        return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
    }
}

/// The text of a value in a column of JSON.
func jsonText(_ value: (some Encodable)?) throws -> String? {
    guard let value else { return nil }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

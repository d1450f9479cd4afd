/// Values as bytes, one after the other, for programs of the same build alone: there are no names, and no version.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func write(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: Int64(truncatingIfNeeded: value).littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

    mutating func write(_ content: [UInt8]) {
        write(content.count)
        bytes.append(contentsOf: content)
    }

    mutating func write(_ text: String) {
        let count = text.utf8.count
        write(count)
        bytes.append(contentsOf: text.utf8)
    }

    mutating func write<Value>(_ value: Value?, _ one: (inout ByteWriter, Value) -> Void) {
        write(value != nil)
        if let value { one(&self, value) }
    }

    mutating func write<Value>(_ values: [Value], _ one: (inout ByteWriter, Value) -> Void) {
        write(values.count)
        for value in values { one(&self, value) }
    }
}

/// Reads what a `ByteWriter` wrote.
struct ByteReader {
    /// The bytes are not what was written.
    struct Damage: Error {}

    private let bytes: [UInt8]
    private var next: Int

    init(_ bytes: [UInt8], from start: Int = 0) {
        self.bytes = bytes
        next = start
    }

    var isAtEnd: Bool { next == bytes.count }

    mutating func number<Value: FixedWidthInteger>(_ type: Value.Type = Value.self) throws(Damage) -> Value {
        guard bytes.count - next >= 8 else { throw Damage() }
        let start = next
        next += 8
        let value = bytes.withUnsafeBytes {
            Int64(littleEndian: $0.loadUnaligned(fromByteOffset: start, as: Int64.self))
        }
        guard let number = Value(exactly: value) ?? (Value.self == UInt64.self ? Value(truncatingIfNeeded: value) : nil)
        else { throw Damage() }
        return number
    }

    mutating func bool() throws(Damage) -> Bool {
        guard next < bytes.count, bytes[next] < 2 else { throw Damage() }
        next += 1
        return bytes[next - 1] == 1
    }

    mutating func blob() throws(Damage) -> [UInt8] { Array(try slice()) }

    mutating func text() throws(Damage) -> String {
        guard let text = String(validating: try slice(), as: UTF8.self) else { throw Damage() }
        return text
    }

    mutating func optional<Value>(_ one: (inout ByteReader) throws(Damage) -> Value) throws(Damage) -> Value? {
        try bool() ? try one(&self) : nil
    }

    mutating func array<Value>(_ one: (inout ByteReader) throws(Damage) -> Value) throws(Damage) -> [Value] {
        let count = try number(Int.self)
        // Every value takes a byte at least.
        guard count >= 0, count <= bytes.count - next else { throw Damage() }
        var values: [Value] = []
        values.reserveCapacity(count)
        for _ in 0..<count { values.append(try one(&self)) }
        return values
    }

    private mutating func slice() throws(Damage) -> ArraySlice<UInt8> {
        let count = try number(Int.self)
        guard count >= 0, count <= bytes.count - next else { throw Damage() }
        next += count
        return bytes[(next - count)..<next]
    }
}

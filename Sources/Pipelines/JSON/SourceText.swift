/// A place in a text file, counted as editors do.
package struct TextPosition: Sendable, Hashable, CustomStringConvertible {
    /// The line, from 1.
    package let line: Int
    /// The column in characters (Unicode scalars), from 1.
    package let column: Int

    /// The place as `line:column`.
    package var description: String { "\(line):\(column)" }
}

/// The bytes of a document with the beginnings of its lines, so that an offset can be told as a line and a column.
struct SourceText: Sendable {
    let file: String
    let bytes: [UInt8]
    /// Ascending offsets; a document is searched for line breaks only as far as it was read.
    let lineStarts: [UInt32]

    /// The place of the byte at `offset`.
    func position(at offset: Int) -> TextPosition {
        var low = 0
        var high = lineStarts.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if Int(lineStarts[middle]) <= offset { low = middle } else { high = middle }
        }
        let start = Int(lineStarts[low])
        var column = 1
        for byte in bytes[start..<min(max(offset, start), bytes.count)] where byte & 0xC0 != 0x80 { column += 1 }
        return TextPosition(line: low + 1, column: column)
    }
}

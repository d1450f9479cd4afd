/// Says at the beginning of an answer of HTTP/1 that the connection ends with it, which not every host says by itself.
///
/// A program that is not told would send its next request on a connection that is about to be closed.
struct ResponseMarker: Equatable {
    private var bytes: [UInt8] = []

    /// The field that is put before all others.
    static let field = Array("Connection: close\r\n".utf8)
    private static let limit = 65536

    /// Takes what has arrived; gives everything so far, with the field, when it is clear where that belongs.
    ///
    /// What does not begin like an answer is given as it is.
    mutating func take(_ arrived: some Sequence<UInt8>) -> [UInt8]? {
        bytes += arrived
        var start = 0
        while let end = bytes[start...].firstIndex(of: 0x0A) {
            let line = bytes[start..<end]
            guard line.starts(with: Array("HTTP/1.".utf8)), line.count >= 12 else { return bytes }
            guard line[start + 9] == UInt8(ascii: "1") else {
                return Array(bytes[...end]) + Self.field + bytes[(end + 1)...]
            }
            // An answer before the answer, such as `100 Continue`, ends with an empty line.
            guard let next = Self.end(of: bytes, from: end) else { break }
            start = next
        }
        return bytes.count > Self.limit ? bytes : nil
    }

    /// What has arrived when nothing more will.
    var rest: [UInt8] { bytes }

    private static func end(of bytes: [UInt8], from lineEnd: Int) -> Int? {
        var index = lineEnd
        while let next = bytes[(index + 1)...].firstIndex(of: 0x0A) {
            if bytes[(index + 1)..<next].allSatisfy({ $0 == 0x0D }) { return next + 1 }
            index = next
        }
        return nil
    }
}

/// A name of any bytes as it may be shown: text stays, control characters, invalid UTF-8 and characters that turn the
/// direction of text become `\xNN`, by the rule of `printable`.
package func displayName(_ bytes: some Collection<UInt8>) -> String {
    if bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x5C }) {
        return String(decoding: bytes, as: UTF8.self)
    }
    var shown = ""
    var rest = Array(bytes)[...]
    var last: Unicode.Scalar = " "
    while !rest.isEmpty {
        let (scalar, length) = firstScalar(of: rest)
        if let scalar, scalar != "\\", scalar.isSeen(after: last) {
            shown.unicodeScalars.append(scalar)
            last = scalar
        } else {
            for byte in rest.prefix(length) { shown += "\\x" + hexadecimal([byte]) }
            last = "x"
        }
        rest = rest.dropFirst(length)
    }
    return shown
}

/// The bytes as lower-case hexadecimal digits.
package func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
    String(decoding: hexadecimalBytes(bytes), as: UTF8.self)
}

/// The bytes as ASCII of lower-case hexadecimal digits.
package func hexadecimalBytes(_ bytes: some Collection<UInt8>) -> [UInt8] {
    var digits: [UInt8] = []
    digits.reserveCapacity(bytes.count * 2)
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] { digits.append(nibble < 10 ? 0x30 + nibble : 0x57 + nibble) }
    }
    return digits
}

private func firstScalar(of bytes: ArraySlice<UInt8>) -> (Unicode.Scalar?, length: Int) {
    var decoder = UTF8()
    var iterator = bytes.prefix(4).makeIterator()
    guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return (nil, 1) }
    return (scalar, UTF8.width(scalar))
}

/// A name of any bytes as it may be shown: text stays, control characters, invalid UTF-8 and characters that turn the
/// direction of text become `\xNN`.
package func displayName(_ bytes: some Collection<UInt8>) -> String {
    if bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F && $0 != 0x5C }) {
        return String(decoding: bytes, as: UTF8.self)
    }
    var shown = ""
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
        let (scalar, length) = firstScalar(of: rest)
        if let scalar, !isHidden(scalar) {
            shown.unicodeScalars.append(scalar)
        } else {
            for byte in rest.prefix(length) { shown += "\\x" + hexadecimal([byte]) }
        }
        rest = rest.dropFirst(length)
    }
    return shown
}

/// The bytes as lower-case hexadecimal digits.
func hexadecimal(_ bytes: some Collection<UInt8>) -> String {
    String(decoding: hexadecimalBytes(bytes), as: UTF8.self)
}

/// The bytes as ASCII of lower-case hexadecimal digits.
func hexadecimalBytes(_ bytes: some Collection<UInt8>) -> [UInt8] {
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

private func isHidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x00...0x1F, 0x5C, 0x7F...0x9F, 0x061C, 0x200B...0x200F, 0x2028...0x202E, 0x2060...0x206F, 0xFEFF,
        0xFFF9...0xFFFB:
        true
    default: false
    }
}

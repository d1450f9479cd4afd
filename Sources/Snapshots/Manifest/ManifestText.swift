import LinuxSystem
import PlainText

/// The text form of manifest entries; ``Manifest`` describes it.
enum ManifestText {
    static let header = Array("cloche-manifest 1\n".utf8)

    /// Appends the lines of an entry.
    static func append(_ entry: ManifestEntry, to text: inout [UInt8]) {
        switch entry.kind {
        case .directory:
            text += "d ".utf8
            append(mode: entry.mode, to: &text)
            append(entry.modified, to: &text)
        case .file(let size, let digest):
            text += "f ".utf8
            append(mode: entry.mode, to: &text)
            append(entry.modified, to: &text)
            append(decimal: size, to: &text)
            text.append(space)
            if size > ContentDigest.wholeLimit { text += "blocks:".utf8 }
            digest.appendHexadecimal(to: &text)
            text.append(space)
        case .symbolicLink(let target):
            text += "l ".utf8
            append(entry.modified, to: &text)
            append(escaped: target, to: &text)
            text.append(space)
        case .hardLink(let first):
            text += "h ".utf8
            append(escaped: first, to: &text)
            text.append(space)
        }
        append(escaped: entry.path, to: &text)
        text.append(newline)
        for attribute in entry.attributes {
            text += "x ".utf8
            append(escaped: attribute.name, to: &text)
            text += " 0x".utf8
            text += hexadecimalBytes(attribute.value)
            text.append(newline)
        }
    }

    /// Reads a line that begins an entry; nil when it is none.
    static func entry(line: ArraySlice<UInt8>) -> ManifestEntry? {
        let fields = line.split(separator: space, omittingEmptySubsequences: false)
        guard let path = fields.last.flatMap(unescaped) else { return nil }
        switch (fields.first.map(Array.init), fields.count) {
        case (Array("d".utf8), 4):
            guard let mode = mode(fields[1]), let time = time(fields[2]) else { return nil }
            return ManifestEntry(path: path, kind: .directory, mode: mode, modified: time)
        case (Array("f".utf8), 6):
            guard let mode = mode(fields[1]), let time = time(fields[2]), let size = decimal(fields[3]), size >= 0,
                let digest = digest(fields[4], size: size)
            else { return nil }
            return ManifestEntry(path: path, kind: .file(size: size, digest: digest), mode: mode, modified: time)
        case (Array("l".utf8), 4):
            guard let time = time(fields[1]), let target = unescaped(fields[2]) else { return nil }
            return ManifestEntry(path: path, kind: .symbolicLink(target: target), mode: 0, modified: time)
        case (Array("h".utf8), 3):
            guard let first = unescaped(fields[1]) else { return nil }
            return ManifestEntry(
                path: path, kind: .hardLink(first: first), mode: 0, modified: FileTime(seconds: 0, nanoseconds: 0))
        default:
            return nil
        }
    }

    /// Reads a line with an extended attribute; nil when it is none.
    static func attribute(line: ArraySlice<UInt8>) -> ExtendedAttribute? {
        let fields = line.split(separator: space, omittingEmptySubsequences: false)
        guard fields.count == 3, fields[0].elementsEqual("x".utf8), fields[2].starts(with: "0x".utf8),
            let name = unescaped(fields[1]), let value = bytes(hexadecimal: fields[2].dropFirst(2))
        else { return nil }
        return ExtendedAttribute(name: name, value: value)
    }

    private static let space = UInt8(ascii: " ")
    private static let newline = UInt8(ascii: "\n")
    private static let backslash = UInt8(ascii: "\\")

    // MARK: Writing

    private static func append(escaped bytes: [UInt8], to text: inout [UInt8]) {
        for byte in bytes {
            if byte > 0x20 && byte < 0x7F && byte != backslash {
                text.append(byte)
            } else {
                text += "\\x".utf8
                text += hexadecimalBytes(CollectionOfOne(byte))
            }
        }
    }

    private static func append(mode: UInt32, to text: inout [UInt8]) {
        for shift in [9, 6, 3, 0] as [UInt32] { text.append(0x30 + UInt8(truncatingIfNeeded: mode >> shift & 7)) }
        text.append(space)
    }

    private static func append(_ time: FileTime, to text: inout [UInt8]) {
        append(decimal: time.seconds, to: &text)
        text.append(UInt8(ascii: "."))
        var divisor: Int64 = 100_000_000
        while divisor > 0 {
            text.append(0x30 + UInt8(truncatingIfNeeded: time.nanoseconds / divisor % 10))
            divisor /= 10
        }
        text.append(space)
    }

    private static func append(decimal number: Int64, to text: inout [UInt8]) {
        if number < 0 { text.append(UInt8(ascii: "-")) }
        let start = text.count
        var rest = number.magnitude
        repeat {
            text.append(0x30 + UInt8(truncatingIfNeeded: rest % 10))
            rest /= 10
        } while rest > 0
        text[start...].reverse()
    }

    // MARK: Reading

    private static func unescaped(_ field: ArraySlice<UInt8>) -> [UInt8]? {
        guard !field.isEmpty else { return nil }
        guard field.contains(backslash) else { return Array(field) }
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            if byte == backslash {
                guard rest.popFirst() == UInt8(ascii: "x"), let value = self.bytes(hexadecimal: rest.prefix(2)),
                    value.count == 1
                else { return nil }
                bytes += value
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    private static func mode(_ field: ArraySlice<UInt8>) -> UInt32? {
        guard field.count == 4, field.allSatisfy({ (0x30...0x37).contains($0) }) else { return nil }
        return field.reduce(0) { $0 << 3 | UInt32($1 - 0x30) }
    }

    private static func time(_ field: ArraySlice<UInt8>) -> FileTime? {
        let parts = field.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].count == 9, let seconds = decimal(parts[0]), let rest = decimal(parts[1]),
            rest >= 0
        else { return nil }
        return FileTime(seconds: seconds, nanoseconds: rest)
    }

    private static func decimal(_ field: ArraySlice<UInt8>) -> Int64? {
        let isNegative = field.first == UInt8(ascii: "-")
        let digits = isNegative ? field.dropFirst() : field
        guard !digits.isEmpty, digits.count <= 19, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let magnitude = digits.reduce(UInt64(0)) { $0 * 10 + UInt64($1 - 0x30) }
        return isNegative ? Int64(exactly: magnitude).map { -$0 } : Int64(exactly: magnitude)
    }

    private static func digest(_ field: ArraySlice<UInt8>, size: Int64) -> ContentDigest? {
        let prefix = size > ContentDigest.wholeLimit ? Array("blocks:".utf8) : []
        guard field.starts(with: prefix), let bytes = bytes(hexadecimal: field.dropFirst(prefix.count)),
            bytes.count == 32
        else { return nil }
        return ContentDigest(bytes: bytes)
    }

    private static func bytes(hexadecimal digits: ArraySlice<UInt8>) -> [UInt8]? {
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 2)
        var high: UInt8?
        for digit in digits {
            let value: UInt8
            switch digit {
            case 0x30...0x39: value = digit - 0x30
            case 0x61...0x66: value = digit - 0x57
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }
}

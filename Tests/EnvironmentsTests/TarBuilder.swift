/// Writes tar archives entry by entry, hostile ones too.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    /// Adds an entry; `numbers` are put into the header as they are.
    mutating func add(
        _ name: String, type: Character = "0", content: [UInt8] = [], target: String = "", mode: Int = 0o644,
        user: Int = 0, size: Int? = nil, pax: [(String, String)] = []
    ) {
        if !pax.isEmpty {
            let records = pax.flatMap { Self.record($0.0, $0.1) }
            header("pax", "x", records.count, target: "", mode: 0o644, user: 0)
            append(records)
        }
        header(name, type, size ?? content.count, target: target, mode: mode, user: user)
        append(content)
    }

    mutating func directory(_ name: String, mode: Int = 0o755) { add(name, type: "5", mode: mode) }
    mutating func file(_ name: String, _ text: String = "x", mode: Int = 0o644) {
        add(name, content: Array(text.utf8), mode: mode)
    }
    mutating func link(_ name: String, to target: String) { add(name, type: "2", target: target) }

    /// Adds bytes as they are.
    mutating func raw(_ more: [UInt8]) { bytes += more }

    /// The archive with its end.
    var archive: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    private static func record(_ name: String, _ value: String) -> [UInt8] {
        let rest = " \(name)=\(value)\n"
        var length = rest.utf8.count + 1
        while "\(length)".utf8.count + rest.utf8.count != length { length += 1 }
        return Array("\(length)\(rest)".utf8)
    }

    mutating func append(_ content: [UInt8]) {
        bytes += content
        bytes += [UInt8](repeating: 0, count: (512 - content.count % 512) % 512)
    }

    private mutating func header(
        _ name: String, _ type: Character, _ size: Int, target: String, mode: Int, user: Int
    ) {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: some Sequence<UInt8>, at start: Int) {
            for (index, byte) in text.enumerated() where start + index < 512 { block[start + index] = byte }
        }
        func octal(_ value: Int, _ width: Int) -> [UInt8] {
            let digits = String(value, radix: 8)
            return Array((String(repeating: "0", count: max(0, width - 1 - digits.count)) + digits).utf8)
        }
        put(name.utf8.prefix(100), at: 0)
        put(octal(mode, 8), at: 100)
        put(octal(user, 8), at: 108)
        put(octal(user, 8), at: 116)
        put(octal(size, 12), at: 124)
        put(octal(1_700_000_000, 12), at: 136)
        put(String(type).utf8, at: 156)
        put(target.utf8.prefix(100), at: 157)
        put("ustar\u{0}00".utf8, at: 257)
        put([UInt8](repeating: 0x20, count: 8), at: 148)
        let sum = block.reduce(0) { $0 + Int($1) }
        put(octal(sum, 7) + [0, 0x20], at: 148)
        bytes += block
    }
}

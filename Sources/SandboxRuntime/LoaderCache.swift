/// The table of libraries that the dynamic loader of a host has: `/etc/ld.so.cache` (ldconfig(8)), by the names that
/// programs ask for.
struct LoaderCache {
    /// A library of this machine's own kind.
    struct Entry: Hashable {
        /// What programs ask for, such as `libcuda.so.1`.
        var name: String
        var path: String
    }

    private static let magic = Array("glibc-ld.so.cache1.1".utf8)
    private static let old = Array("ld.so-1.7.0\0".utf8)
    private static let headerSize = 48, entrySize = 24, oldEntrySize = 12
    /// The most entries and the largest file that are read.
    private static let mostEntries = 1 << 16
    static let sizeLimit = 16 << 20
    /// FLAG_ELF_LIBC6 with FLAG_X8664_LIB64 or FLAG_AARCH64_LIB64 (Glibc, `ldconfig.h`).
    private static let kind: UInt32 = {
        #if arch(arm64)
            0x0A03
        #else
            0x0303
        #endif
    }()

    let entries: [Entry]

    /// Reads the bytes of the file; nil for what is none.
    init?(_ bytes: [UInt8]) {
        func number(_ offset: Int) -> UInt32? {
            guard offset >= 0, offset + 4 <= bytes.count else { return nil }
            return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
        }
        var start = 0
        // A table for older loaders may come first.
        if bytes.starts(with: Self.old), let count = number(12) {
            guard count < Self.mostEntries else { return nil }
            start = (16 + Int(count) * Self.oldEntrySize + 7) & ~7
        }
        guard start < bytes.count, bytes[start...].starts(with: Self.magic), let count = number(start + 20),
            count < Self.mostEntries
        else { return nil }
        func text(_ offset: UInt32?) -> String? {
            guard let offset, start + Int(offset) < bytes.count else { return nil }
            let text = bytes[(start + Int(offset))...].prefix(4096).prefix { $0 != 0 }
            return text.count < 4096 ? String(decoding: text, as: UTF8.self) : nil
        }
        var entries: [Entry] = []
        for index in 0..<Int(count) {
            let place = start + Self.headerSize + index * Self.entrySize
            guard let flags = number(place) else { return nil }
            guard flags == Self.kind, let name = text(number(place + 4)), let path = text(number(place + 8)) else {
                continue
            }
            entries.append(Entry(name: name, path: path))
        }
        self.entries = entries
    }
}

/// A compression that archives come in, and the program of the host that undoes it.
package enum Compression: String, Sendable, Hashable, CaseIterable {
    case gzip, xz, zstd, bzip2

    /// What its name is for people, and the Debian package with its program.
    package var package: String { self == .xz ? "xz-utils" : rawValue }

    /// The program and its arguments: from standard input to standard output.
    package var arguments: [String] {
        switch self {
        case .gzip: ["/usr/bin/gzip", "-dc"]
        case .xz: ["/usr/bin/xz", "-dc"]
        // Images may be written with a window of up to two gigabytes.
        case .zstd: ["/usr/bin/zstd", "-dc", "--long=31"]
        case .bzip2: ["/usr/bin/bzip2", "-dc"]
        }
    }

    /// How many bytes tell the compression.
    static let magicLength = 6

    /// The compression that a file begins with; nil where it begins with none of these.
    init?(magic bytes: [UInt8]) {
        let known: [(Compression, [UInt8])] = [
            (.gzip, [0x1F, 0x8B]), (.xz, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]), (.zstd, [0x28, 0xB5, 0x2F, 0xFD]),
            (.bzip2, [0x42, 0x5A, 0x68]),
        ]
        guard let found = known.first(where: { bytes.starts(with: $0.1) }) else { return nil }
        self = found.0
    }
}

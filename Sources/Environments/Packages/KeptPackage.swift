/// A file that is kept for the next build: an archive of Debian's, or what pip keeps of a server's answer.
struct KeptPackage: Sendable, Hashable {
    /// Its SHA-256 in lower-case hexadecimal digits.
    let digest: String
    /// Its size in bytes.
    let size: Int64
    /// When a build last used it, in seconds since 1970.
    var used: Int64
    /// Where a build finds it: below the root of an archive, such as `pool/main/h/hello/hello_2.10-3_amd64.deb`, or where
    /// pip looks for it (`PipForm`).
    let path: String

    init?(digest: Substring, size: Substring, used: Int64, path: Substring) {
        guard let size = Int64(size), size > 0, Self.isDigest(digest), Self.isPath(path) else { return nil }
        self.digest = String(digest)
        self.size = size
        self.used = used
        self.path = String(path)
    }

    /// The packages of an index: digest, size, time of the last use and path, one a line; what is none is left out.
    static func parse(index: [UInt8]) -> [KeptPackage] {
        String(decoding: index, as: UTF8.self).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            guard fields.count == 4, let used = Int64(fields[2]) else { return nil }
            return KeptPackage(digest: fields[0], size: fields[1], used: used, path: fields[3])
        }
    }

    /// The line of an index.
    var line: String { "\(digest) \(size) \(used) \(path)\n" }

    private static func isDigest(_ text: Substring) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }

    /// Paths become names of files below a directory of ours.
    private static func isPath(_ text: Substring) -> Bool {
        guard text.utf8.count <= 1024, text.hasSuffix(".deb") else { return PipForm.isPath(text) }
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count <= 16
            && parts.allSatisfy { part in
                !part.isEmpty && part != "." && part != ".." && part.utf8.count < 256
                    && part.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            }
    }
}

/// What the signed metadata of a suite names: digest, size and path, one package a line.
struct KnownPackages {
    private let text: [UInt8]

    init(_ text: [UInt8]) { self.text = text }

    /// The packages of these digests, by digest; of several of one digest the first.
    func packages(of digests: Set<String>, used: Int64) -> [String: KeptPackage] {
        var found: [String: KeptPackage] = [:]
        let wanted = Set(digests.map { Array($0.utf8) })
        for line in text.split(separator: 0x0A) where line.count > 65 && wanted.contains(Array(line.prefix(64))) {
            let fields = String(decoding: line, as: UTF8.self).split(separator: " ")
            guard fields.count == 3, found[String(fields[0])] == nil else { continue }
            found[String(fields[0])] = KeptPackage(digest: fields[0], size: fields[1], used: used, path: fields[2])
        }
        return found
    }
}

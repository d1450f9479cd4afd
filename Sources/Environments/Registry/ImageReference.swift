/// The name of an image in a registry: a host, a repository, and a tag or a digest.
///
/// The grammar is that of the OCI distribution specification, so that nothing in a name can become another part of a
/// request. A name without a host is one of Docker Hub's.
package struct ImageReference: Sendable, Hashable, CustomStringConvertible {
    /// How such names begin.
    package static let prefix = "docker://"
    /// Where Docker Hub answers.
    static let dockerHub = "registry-1.docker.io"

    /// The host that is asked, with its port where one is given.
    package let host: String
    /// The repository on that host.
    package let repository: String
    /// The tag; without a meaning where there is a digest.
    package let tag: String?
    /// The digest of the manifest that is meant.
    package let digest: String?

    /// What names the manifest for the registry.
    var selector: String { digest ?? tag ?? "latest" }

    /// The name in full.
    package var description: String {
        Self.prefix + host + "/" + repository + (digest.map { "@" + $0 } ?? ":" + (tag ?? "latest"))
    }

    /// The same repository, with the manifest of a digest.
    package func pinned(to digest: String) -> ImageReference {
        ImageReference(host: host, repository: repository, tag: nil, digest: digest)
    }

    /// Whether a text begins as such a name does.
    package static func isMeant(by text: String) -> Bool { text.utf8.starts(with: prefix.utf8) }

    /// Reads a name that may begin with `docker://`; nil where it is none.
    package init?(_ text: String) {
        var bytes = Array(text.utf8)[...]
        if bytes.starts(with: Self.prefix.utf8) { bytes = bytes.dropFirst(Self.prefix.utf8.count) }
        guard bytes.count <= 512 else { return nil }
        var digest: String?
        if let at = bytes.firstIndex(of: UInt8(ascii: "@")) {
            guard let found = ImageDigest(String(decoding: bytes[(at + 1)...], as: UTF8.self)) else { return nil }
            digest = found.text
            bytes = bytes[..<at]
        }
        var tag: String?
        let last = bytes.lastIndex(of: UInt8(ascii: "/")) ?? bytes.startIndex
        if let colon = bytes[last...].firstIndex(of: UInt8(ascii: ":")) {
            guard Self.isTag(bytes[(colon + 1)...]) else { return nil }
            tag = String(decoding: bytes[(colon + 1)...], as: UTF8.self)
            bytes = bytes[..<colon]
        }
        var parts = bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        var host = Self.dockerHub
        if parts.count > 1, let first = parts.first, Self.isHost(first) {
            host = String(decoding: first, as: UTF8.self)
            parts.removeFirst()
        }
        if ["docker.io", "index.docker.io"].contains(host) { host = Self.dockerHub }
        if host == Self.dockerHub, parts.count == 1 { parts.insert(ArraySlice("library".utf8), at: 0) }
        guard WebAddress("https://" + host) != nil, !parts.isEmpty, parts.allSatisfy(Self.isComponent) else {
            return nil
        }
        let repository = parts.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        guard repository.utf8.count <= 255 else { return nil }
        self.init(host: host, repository: repository, tag: tag, digest: digest)
    }

    private init(host: String, repository: String, tag: String?, digest: String?) {
        self.host = host
        self.repository = repository
        self.tag = tag
        self.digest = digest
    }

    /// A first part with a dot, a port, or the name of this machine is a host.
    private static func isHost(_ part: ArraySlice<UInt8>) -> Bool {
        part.contains(UInt8(ascii: ".")) || part.contains(UInt8(ascii: ":")) || part.elementsEqual("localhost".utf8)
    }

    private static func isTag(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, bytes.count <= 128, isLetterOrDigit(first) || first == 0x5F else { return false }
        return bytes.allSatisfy { isLetterOrDigit($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    /// Lower-case letters and digits; between them dots, underscores and dashes.
    private static func isComponent(_ bytes: ArraySlice<UInt8>) -> Bool {
        func isWord(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) }
        guard let first = bytes.first, let last = bytes.last, isWord(first), isWord(last) else { return false }
        var before: UInt8 = 0
        for byte in bytes {
            guard isWord(byte) || [0x2D, 0x2E, 0x5F].contains(byte) else { return false }
            // Two dots would be a step upwards.
            if byte == 0x2E, before == 0x2E { return false }
            before = byte
        }
        return true
    }
}

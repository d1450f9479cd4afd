import LinuxSystem

/// Where the files of an image lie in a tar archive: that of an OCI layout, or what `docker save` writes.
struct ArchiveIndex {
    /// A file of the archive.
    struct Place {
        var offset: Int64, size: Int64
    }

    /// The most entries that such an archive may have.
    private static let limit = 10_000

    private(set) var files: [[UInt8]: Place] = [:]
    /// Names that stand for others: older programs wrote equal layers once, and links to them.
    private var links: [[UInt8]: [UInt8]] = [:]
    /// Whether every name so far may be one of an image's archive.
    private(set) var isImage = true

    /// Reads the index of an open archive up to the first name that no image's archive has.
    init(_ source: ByteSource) throws(ArchiveError) {
        var reader = TarReader(source)
        while isImage, let entry = try reader.next() {
            let parts = entry.name.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual([0x2E]) }
            let name = Array(parts.joined(separator: [UInt8(ascii: "/")]))
            guard Self.isImageName(name), files.count + links.count < Self.limit else {
                isImage = false
                return
            }
            switch entry.kind {
            case .file where entry.regions == nil:
                files[name] = Place(offset: reader.position, size: entry.size)
            case .symbolicLink, .hardLink: links[name] = Self.resolve(entry, name)
            case .directory: break
            default: isImage = false
            }
        }
        isImage = isImage && (self["index.json"] != nil || self["manifest.json"] != nil)
    }

    /// The place of a file by its name.
    subscript(name: String) -> Place? {
        let name = Array(name.utf8)
        return files[name] ?? links[name].flatMap { files[$0] }
    }

    /// What a link in an archive names, from the archive's root; it is only looked up, never followed on a disk.
    private static func resolve(_ entry: TarEntry, _ name: [UInt8]) -> [UInt8] {
        var parts: [ArraySlice<UInt8>] = []
        if entry.kind == .symbolicLink { parts = name.split(separator: UInt8(ascii: "/")).dropLast() }
        for part in entry.target.split(separator: UInt8(ascii: "/")) {
            if part.elementsEqual("..".utf8) { _ = parts.popLast() } else { parts.append(part) }
        }
        return Array(parts.joined(separator: [UInt8(ascii: "/")]))
    }

    /// Whether a name is one that such archives have: documents at the top, and files named by digests.
    private static func isImageName(_ name: [UInt8]) -> Bool {
        let text = String(decoding: name, as: UTF8.self)
        if ["", "oci-layout", "index.json", "manifest.json", "repositories", "blobs"].contains(text) { return true }
        if text.hasPrefix("blobs/") { return true }
        let first = text.prefix { $0 != "/" && $0 != "." }
        let rest = text.dropFirst(first.count)
        guard first.utf8.count == 64, first.utf8.allSatisfy({ isHexadecimal($0) }) else { return false }
        return ["", "/", "/layer.tar", "/json", "/VERSION", ".json", ".tar"].contains(rest)
    }
}

func isHexadecimal(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte) }

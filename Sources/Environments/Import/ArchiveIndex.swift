import LinuxSystem

/// Where the files of an image lie in a tar archive: that of an OCI layout, or what `docker save` and others write.
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
    /// Whether it is a root directory's: it has what no image's archive has, and was not read further.
    private(set) var isTree = false
    private var hasOnlyImageNames = true

    /// Whether its names alone tell that it is an image's; the document in `manifest.json` may tell it as well.
    var isImage: Bool {
        if isTree { return false }
        let isNamed = self["index.json"] != nil || self["manifest.json"] != nil
        if self["oci-layout"] != nil { return isNamed || files.keys.contains { $0.starts(with: Array("blobs/".utf8)) } }
        return hasOnlyImageNames && isNamed
    }

    /// Reads the index of an open archive up to the first entry that no image's archive has.
    init(_ source: ByteSource) throws(ArchiveError) {
        var reader = TarReader(source)
        while !isTree, let entry = try reader.next() {
            let parts = entry.name.split(separator: UInt8(ascii: "/")).filter { !$0.elementsEqual([0x2E]) }
            let name = Array(parts.joined(separator: [UInt8(ascii: "/")]))
            isTree = parts.first.map { Self.rootNames.contains(String(decoding: $0, as: UTF8.self)) } ?? false
            guard !isTree, files.count + links.count < Self.limit else {
                isTree = true
                return
            }
            if !Self.isImageName(name) { hasOnlyImageNames = false }
            switch entry.kind {
            case .file where entry.regions == nil:
                files[name] = Place(offset: reader.position, size: entry.size)
            case .symbolicLink, .hardLink: links[name] = Self.resolve(entry, name)
            case .directory: break
            default: isTree = true
            }
        }
    }

    /// Names at the top of root directories (hier(7)), which no image's archive has there.
    private static let rootNames: Set = [
        "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "media", "mnt", "opt", "proc", "root",
        "run", "sbin", "srv", "sys", "tmp", "usr", "var",
    ]

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

    /// Whether a name is one that `docker save` gives: documents at the top, and files named by digests.
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

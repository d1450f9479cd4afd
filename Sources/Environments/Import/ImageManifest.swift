import PlainText
import Snapshots

/// An image whose documents were read and verified: what its layers are, and what it says of itself.
struct ImageManifest {
    /// A layer: its file, what its bytes must be, and what they must be without their compression.
    struct Layer {
        var file: String
        var digest: ImageDigest?
        var size: Int64?
        var content: ImageDigest
    }

    let kind: String
    /// The digest that identifies the image.
    let digest: String
    let layers: [Layer]
    let configuration: ImageDocument.Configuration

    /// Whether `manifest.json` is a list of images, as `docker save`, kaniko and crane write it.
    static func isNamed(in files: ImageFiles) -> Bool {
        guard let bytes = try? files.document("manifest.json") else { return false }
        return (try? ImageDocument.decode([ImageDocument.DockerImage].self, bytes, "manifest.json"))?.isEmpty == false
    }

    /// Reads the documents of an image; `tag` chooses one where there are several.
    static func read(_ files: ImageFiles, tag: String?) throws(ImportError) -> ImageManifest {
        // Newer archives of Docker are layouts too; their index has the digests.
        if files.has("oci-layout"), files.has("index.json") { return try layout(files, tag: tag) }
        guard files.has("manifest.json") else {
            throw ImportError(
                .invalid, "read the image: it has neither an `index.json` nor a `manifest.json`, which name its parts",
                hint: ImageDocument.incomplete)
        }
        return try docker(files, tag: tag)
    }

    private static func layout(_ files: ImageFiles, tag: String?) throws(ImportError) -> ImageManifest {
        let bytes = try files.document("index.json")
        var index = try ImageDocument.decode(ImageDocument.Index.self, bytes, "index.json")
        if let tag {
            index.manifests = try index.manifests.chosen(tag)
        } else if Set(index.manifests.filter(\.isImage).compactMap(\.reference)).count > 1 {
            throw several(index.manifests.compactMap(\.reference))
        }
        var descriptor = try index.manifests.forThisHost()
        // An image for several machines is an index of its own; deeper ones have no meaning.
        if descriptor.isIndex {
            let bytes = try files.document(descriptor)
            descriptor = try ImageDocument.decode(ImageDocument.Index.self, bytes, descriptor.digest).manifests
                .forThisHost()
        }
        let manifest = try ImageDocument.decode(
            ImageDocument.Manifest.self, try files.document(descriptor), descriptor.digest)
        let configuration = try ImageDocument.decode(
            ImageDocument.Configuration.self, try files.document(manifest.config), manifest.config.digest)
        let contents = try contents(of: configuration, count: manifest.layers.count)
        var layers: [Layer] = []
        for (layer, content) in zip(manifest.layers, contents) {
            let digest = try layer.verifiable()
            layers.append(Layer(file: digest.path, digest: digest, size: layer.size, content: content))
        }
        return ImageManifest(
            kind: "oci-layout", digest: descriptor.digest, layers: layers, configuration: configuration)
    }

    private static func docker(_ files: ImageFiles, tag: String?) throws(ImportError) -> ImageManifest {
        let bytes = try files.document("manifest.json")
        var images = try ImageDocument.decode([ImageDocument.DockerImage].self, bytes, "manifest.json")
        let names = images.flatMap { $0.RepoTags ?? [] }
        if let tag {
            images = images.filter { $0.RepoTags?.contains { $0 == tag || $0.hasSuffix(":" + tag) } ?? false }
            guard !images.isEmpty else { throw unknown(tag, names) }
        }
        guard images.count == 1, let image = images.first else { throw several(names) }
        let document = try files.document(image.Config)
        // Most have the digest for a name: `<digest>.json`, `sha256:<digest>`, or as in a layout.
        let name = image.Config.split(separator: "/").last?.prefix { $0 != "." } ?? ""
        var digest = StreamDigest()
        digest.add(document)
        let named = ImageDigest(name.hasPrefix("sha256:") ? String(name) : "sha256:" + name)
        guard named == nil || named?.hexadecimal == digest.hexadecimal else {
            throw ImportError(
                .invalid, "verify `\(printable(image.Config, limit: 120))`: its digest is sha256:\(digest.hexadecimal)",
                hint: "the image is damaged, or was changed: save it again")
        }
        let configuration = try ImageDocument.decode(
            ImageDocument.Configuration.self, document, printable(image.Config, limit: 120))
        let contents = try contents(of: configuration, count: image.Layers.count)
        let layers = zip(image.Layers, contents).map { Layer(file: $0, digest: nil, size: nil, content: $1) }
        return ImageManifest(
            kind: "docker-archive", digest: "sha256:" + digest.hexadecimal, layers: layers,
            configuration: configuration)
    }

    /// The digests of the layers' content, when the image is one for this host.
    private static func contents(
        of configuration: ImageDocument.Configuration, count: Int
    ) throws(ImportError) -> [ImageDigest] {
        let system = configuration.os ?? "linux"
        let architecture = configuration.architecture ?? ImageDocument.hostArchitecture
        guard system == "linux", architecture == ImageDocument.hostArchitecture else {
            throw foreign("\(printable(system, limit: 120))/\(printable(architecture, limit: 120))")
        }
        let contents = configuration.rootfs.diff_ids.compactMap(ImageDigest.init)
        guard contents.count == count, configuration.rootfs.diff_ids.count == count else {
            throw ImportError(
                .invalid,
                "read the image: the number of its layers is \(count), and that of their digests "
                    + "\(configuration.rootfs.diff_ids.count)", hint: ImageDocument.incomplete)
        }
        guard count <= ImageDocument.layerLimit else {
            throw ImportError(.invalid, "read the image: it has \(count) layers, more than any image may have")
        }
        return contents
    }

    static func foreign(_ platform: String) -> ImportError {
        ImportError(
            .invalid, "use the image: it is for \(platform), and this host is linux/\(ImageDocument.hostArchitecture)",
            hint: "copy it for this platform, as with `skopeo copy --override-arch \(ImageDocument.hostArchitecture)`")
    }

    private static func several(_ names: [String]) -> ImportError {
        names.isEmpty
            ? ImportError(.invalid, "read the image: there is not exactly one image in it", hint: oneImage)
            : ImportError(
                .ambiguous, "choose an image: there are several",
                hint: "name one with `--tag`: "
                    + names.prefix(10).map { printable($0, limit: 120) }.joined(separator: ", "))
    }

    fileprivate static let oneImage = "save or copy one image with a tag, as with `docker save NAME:TAG`"

    fileprivate static func unknown(_ tag: String, _ names: [String]) -> ImportError {
        ImportError(
            .notFound, "find the image `\(printable(tag, limit: 120))`: there is none of that tag",
            hint: names.isEmpty
                ? "its images have no tags; leave out `--tag`"
                : "there are " + names.prefix(10).map { printable($0, limit: 120) }.joined(separator: ", "))
    }
}

extension [ImageDocument.Descriptor] {
    /// Those of a tag.
    fileprivate func chosen(_ tag: String) throws(ImportError) -> [ImageDocument.Descriptor] {
        let found = filter { $0.reference == tag || $0.reference?.hasSuffix(":" + tag) == true }
        guard !found.isEmpty else { throw ImageManifest.unknown(tag, compactMap(\.reference)) }
        return found
    }

    /// The one for this host, or the only one.
    func forThisHost() throws(ImportError) -> ImageDocument.Descriptor {
        guard count <= ImageDocument.imageLimit else {
            throw ImportError(.invalid, "read the image: its index has \(count) images")
        }
        let images = filter(\.isImage)
        if images.count == 1 { return images[0] }
        let fitting = images.filter {
            $0.platform?.os == "linux" && $0.platform?.architecture == ImageDocument.hostArchitecture
        }
        if let first = fitting.first { return first }
        let platforms = images.compactMap { image in
            image.platform.map {
                "\(printable($0.os ?? "?", limit: 120))/\(printable($0.architecture ?? "?", limit: 120))"
            }
        }
        guard !platforms.isEmpty else {
            throw ImportError(
                .invalid, "read the image: there is not exactly one image in it", hint: ImageManifest.oneImage)
        }
        throw ImageManifest.foreign(Set(platforms).sorted().joined(separator: ", "))
    }
}

extension ImageDocument.Descriptor {
    /// The digest, where it is one that can be verified.
    func verifiable() throws(ImportError) -> ImageDigest {
        guard let digest = ImageDigest(digest) else {
            throw ImportError(
                .invalid, "verify `\(printable(digest, limit: 120))`: it is no SHA-256 digest",
                hint: "copy the image with a program that uses sha256, as nearly all do")
        }
        return digest
    }
}

extension ImageFiles {
    /// The document that a descriptor names, verified.
    fileprivate func document(_ descriptor: ImageDocument.Descriptor) throws(ImportError) -> [UInt8] {
        let digest = try descriptor.verifiable()
        return try document(digest.path, digest: digest, size: descriptor.size)
    }
}

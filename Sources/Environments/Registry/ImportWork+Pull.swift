import FoundationEssentials
import LinuxSystem

extension ImportWork {
    /// The record of an image that a registry has; nil where the one in force is the same.
    ///
    /// Its pieces are fetched into a directory that a pull which is cut off leaves to the next one, and unpacked from
    /// there like any other layout.
    func pull(_ reference: ImageReference, _ client: RegistryClient) throws(BuildError) -> BuildRecord? {
        begin(.ask(reference.host))
        let pull = ImagePull(client: client)
        if let known = current?.image, known.kind == Self.registryKind, known.source == reference.description,
            let digest = try pull.digest(), digest.text == known.list ?? known.digest
        {
            return nil
        }
        let image = try pull.find()
        say("\(reference): \(image.named.text)")
        let origin = origin(Self.registryKind, image.manifest.text)
        if let current, current.inputs == draft(origin).inputs { return nil }
        try refuse(image)
        let directory = try builder.stored { () throws(StoreError) in
            try builder.store.download(image.manifest, isCancelled: isCancelled) { self.report(.waiting) }
        }
        guard let directory else { throw .cancelled }
        try fetch(image, pull, into: directory)
        let record: BuildRecord?
        do throws(BuildError) {
            record = try self.image(ImageFiles(layout: directory.root), from: image)
        } catch {
            // What was found wrong is not gone on with.
            if case .image = error { try? directory.remove() }
            throw error
        }
        // What is left of it is found again by its age.
        try? directory.remove()
        return record
    }

    private func fetch(
        _ image: FoundImage, _ pull: ImagePull, into directory: DownloadDirectory
    ) throws(BuildError) {
        let configuration = try pull.document(image.document.config, "fetch the configuration")
        let layers = image.document.layers
        stages = stage + 2 * layers.count + 2
        for (index, layer) in layers.enumerated() {
            let name = "layer \(index + 1) of \(layers.count)"
            begin(.download(name))
            try pull.blob(layer, "fetch \(name)", into: directory) { done in
                self.report(.progress(done: done, of: layer.size))
            }
        }
        try executing { () throws in
            try directory.write("blobs/sha256/" + image.manifest.hexadecimal, image.bytes)
            if let digest = ImageDigest(image.document.config.digest) {
                try directory.write(digest.path, configuration)
            }
            try directory.write("oci-layout", Array("{\"imageLayoutVersion\": \"1.0.0\"}".utf8))
            let manifest = Descriptor(
                mediaType: image.mediaType, digest: image.manifest.text, size: Int64(image.bytes.count))
            try directory.write("index.json", Array(try JSONEncoder().encode(["manifests": [manifest]])))
        }
    }

    /// What cannot be unpacked is not fetched either.
    private func refuse(_ image: FoundImage) throws(BuildError) {
        let layers = image.document.layers
        guard layers.count <= ImageDocument.layerLimit else {
            throw .image(ImportError(.invalid, "read the image: it has \(layers.count) layers, more than any may have"))
        }
        var sum: Int64 = 0
        for layer in layers {
            let (next, overflow) = sum.addingReportingOverflow(layer.size)
            guard layer.size >= 0, !overflow, next <= request.limits.bytes else {
                throw .image(
                    ImportError(
                        .tooLarge, "fetch the image: its layers have more than \(request.limits.bytes) bytes",
                        hint: "if that is right, allow more with `--max-size SIZE`"))
            }
            sum = next
        }
        say("\(layers.count) \(layers.count == 1 ? "layer" : "layers"), \(sum) bytes")
    }

    private struct Descriptor: Encodable {
        var mediaType: String, digest: String, size: Int64
    }

    static let registryKind = "registry"
}

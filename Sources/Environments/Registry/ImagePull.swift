import FoundationEssentials
import LinuxSystem
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The image that a name in a registry means for this host, before its layers are fetched.
struct FoundImage {
    /// What names it in the registry: the digest of its manifest, or of the list that the manifest was chosen from.
    var named: ImageDigest
    /// The digest of the manifest.
    var manifest: ImageDigest
    /// The manifest as it came, and what is used of it.
    var bytes: [UInt8]
    var document: ImageDocument.Manifest
    var mediaType: String
}

/// Asks a registry for an image, piece by piece; every piece is verified.
struct ImagePull {
    /// The types of documents, as registries call them.
    private static let manifests = [
        "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json",
    ]
    private static let lists = [
        "application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json",
    ]
    private static let documentSeconds = 300
    /// How much a broken connection has to have brought to be taken up again at once.
    private static let worthwhile: Int64 = 64 << 10

    let client: RegistryClient
    private var reference: ImageReference { client.reference }

    /// The digest that the name means now; nil where the registry does not tell without sending the document.
    func digest() throws(BuildError) -> ImageDigest? {
        let what = "look for `\(reference)`"
        let question = RegistryClient.Question(
            what: what, path: "manifests/" + reference.selector, accept: Self.manifests + Self.lists, wantsHead: true,
            limit: 0, timeLimit: Self.documentSeconds)
        do {
            let head = try client.ask(question) { _, _ in }
            return head["docker-content-digest"].flatMap(ImageDigest.init)
        } catch is RegistryRefusal {
            // The refusal of the document itself says why.
            return nil
        } catch {
            throw client.described(error, what)
        }
    }

    /// Finds the image of a name for this host.
    func find() throws(BuildError) -> FoundImage {
        let what = "look for `\(reference)`"
        let expected = reference.digest.flatMap(ImageDigest.init)
        var (bytes, digest) = try document("manifests/" + reference.selector, what, expected, nil)
        let named = digest
        var content = try read(bytes, what)
        if let list = content.manifests {
            let chosen: ImageDocument.Descriptor
            do throws(ImportError) {
                chosen = try list.forThisHost()
                digest = try chosen.verifiable()
            } catch {
                throw .image(error)
            }
            (bytes, _) = try document("manifests/" + digest.text, "read `\(digest.text)`", digest, chosen.size)
            content = try read(bytes, what)
        }
        guard let configuration = content.config, let layers = content.layers else {
            throw .image(
                ImportError(
                    .invalid, "\(what): it is neither an image nor a list of images for several machines",
                    hint: content.manifests == nil ? nil : "a list in a list has no meaning"))
        }
        return FoundImage(
            named: named, manifest: digest, bytes: bytes,
            document: ImageDocument.Manifest(config: configuration, layers: layers),
            mediaType: content.mediaType ?? Self.manifests[0])
    }

    /// Fetches a document that the manifest names.
    func document(_ descriptor: ImageDocument.Descriptor, _ what: String) throws(BuildError) -> [UInt8] {
        let digest: ImageDigest
        do throws(ImportError) { digest = try descriptor.verifiable() } catch { throw .image(error) }
        return try document("blobs/" + digest.text, what, digest, descriptor.size).bytes
    }

    private struct Content: Decodable {
        var schemaVersion: Int?
        var mediaType: String?
        var manifests: [ImageDocument.Descriptor]?
        var config: ImageDocument.Descriptor?
        var layers: [ImageDocument.Descriptor]?
    }

    private func read(_ bytes: [UInt8], _ what: String) throws(BuildError) -> Content {
        do throws(ImportError) {
            let content = try ImageDocument.decode(Content.self, bytes, "\(reference)")
            guard content.schemaVersion != 1 else {
                throw ImportError(
                    .invalid, "\(what): its manifest is of the first version, without digests of what layers hold",
                    hint: "the image has to be pushed again by a newer program")
            }
            // One that is both would be another image to another program.
            guard content.manifests == nil || content.config == nil && content.layers == nil else {
                throw ImportError(.invalid, "\(what): it says that it is an image and a list of images at once")
            }
            return content
        } catch {
            throw .image(error)
        }
    }

    private func document(
        _ path: String, _ what: String, _ expected: ImageDigest?, _ size: Int64?
    ) throws(BuildError) -> (bytes: [UInt8], digest: ImageDigest) {
        let limit = Int64(ImageDocument.limit)
        guard size.map({ (0...limit).contains($0) }) ?? true else {
            throw .image(
                ImportError(.invalid, "\(what): it has \(size ?? 0) bytes, more than a document of images has"))
        }
        let question = RegistryClient.Question(
            what: what, path: path, accept: path.hasPrefix("manifests/") ? Self.manifests + Self.lists : [],
            limit: size ?? limit, timeLimit: Self.documentSeconds)
        do {
            let bytes = try client.patiently {
                var bytes: [UInt8] = []
                _ = try client.ask(question) { bytes += $1 }
                return bytes
            }
            var stream = StreamDigest()
            stream.add(bytes)
            guard let found = ImageDigest("sha256:" + stream.hexadecimal) else { throw WebFailure(cause: .malformed) }
            if let expected, found != expected {
                throw ImportError(
                    .invalid, "\(what): what came has the digest \(found.text), and was to have \(expected.text)",
                    hint: "the registry is broken, or hostile")
            }
            return (bytes, found)
        } catch {
            throw client.described(error, what)
        }
    }
}

// MARK: - Layers

extension ImagePull {
    /// Fetches a blob into a directory; what an earlier pull left of it is gone on with.
    func blob(
        _ descriptor: ImageDocument.Descriptor, _ what: String, into directory: DownloadDirectory,
        progress: @escaping (Int64) -> Void
    ) throws(BuildError) {
        do {
            let digest = try descriptor.verifiable()
            if directory.has(digest, size: descriptor.size) { return progress(descriptor.size) }
            var part = BlobPart(try directory.part(digest), size: descriptor.size, progress: progress)
            try part.resume()
            var isWhole = part.length == 0
            while true {
                try fetch(&part, digest, what)
                if part.digest == digest.hexadecimal { break }
                let found = part.digest
                try part.restart()
                // What was there before may have been something else: all of it is asked for once.
                guard !isWhole else {
                    throw ImportError(
                        .invalid, "\(what): what came has the digest sha256:\(found), and was to have \(digest.text)",
                        hint: "the registry is broken, or hostile")
                }
                isWhole = true
            }
            try directory.finish(digest)
        } catch {
            throw client.described(error, what)
        }
    }

    /// Fetches what is missing; a connection that breaks is taken up again for as long as it brings something.
    private func fetch(_ part: inout BlobPart, _ digest: ImageDigest, _ what: String) throws {
        while part.length < part.size {
            let before = part.length
            do {
                try ask(for: &part, digest, what)
                guard part.length == part.size else {
                    throw ImportError(
                        .invalid, "\(what): it ends after \(part.length) of \(part.size) bytes",
                        hint: "the registry is broken, or hostile")
                }
            } catch let failure as WebFailure where failure.isPassing && part.length - before >= Self.worthwhile {}
        }
    }

    private func ask(for part: inout BlobPart, _ digest: ImageDigest, _ what: String) throws {
        do {
            try client.patiently { try askOnce(for: &part, digest, what) }
        } catch let refusal as RegistryRefusal where refusal.status == 416 && part.length > 0 {
            try part.restart()
            try client.patiently { try askOnce(for: &part, digest, what) }
        }
    }

    private func askOnce(for part: inout BlobPart, _ digest: ImageDigest, _ what: String) throws {
        let question = RegistryClient.Question(
            what: what, path: "blobs/" + digest.text, offset: part.length, limit: part.size)
        var isFirst = true
        _ = try client.ask(question) { head, bytes in
            if isFirst { try part.begin(head) }
            isFirst = false
            try part.add(bytes)
        }
    }
}

/// A blob that grows.
private struct BlobPart {
    private let file: OpenedFile
    let size: Int64
    private let progress: (Int64) -> Void
    private(set) var length: Int64 = 0
    private var stream = StreamDigest()

    init(_ file: OpenedFile, size: Int64, progress: @escaping (Int64) -> Void) {
        self.file = file
        self.size = size
        self.progress = progress
    }

    var digest: String { stream.hexadecimal }

    /// Takes up what is there.
    mutating func resume() throws {
        _ = try Syscall.seek(file.number, to: 0)
        while case let bytes = try Syscall.read(file.number, upTo: 256 << 10), !bytes.isEmpty {
            length += Int64(bytes.count)
            guard length <= size else { return try restart() }
            stream.add(bytes)
        }
    }

    /// Throws away what is there.
    mutating func restart() throws {
        try Syscall.truncate(file.number, to: 0)
        _ = try Syscall.seek(file.number, to: 0)
        length = 0
        stream = StreamDigest()
    }

    /// An answer begins: the rest that was asked for, or all of it.
    mutating func begin(_ head: ResponseHead) throws {
        let isRest = head.status == 206 && head["content-range"]?.hasPrefix("bytes \(length)-") == true
        if length > 0, !isRest { try restart() }
    }

    mutating func add(_ bytes: [UInt8]) throws {
        guard length + Int64(bytes.count) <= size else { throw WebFailure(cause: .tooLong) }
        try Syscall.writeAll(file.number, bytes)
        stream.add(bytes)
        length += Int64(bytes.count)
        progress(length)
    }
}

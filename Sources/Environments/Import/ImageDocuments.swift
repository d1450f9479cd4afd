import FoundationEssentials
import PlainText

/// A digest of an image's documents: SHA-256 in its written form.
struct ImageDigest: Hashable {
    /// The 64 lower-case hexadecimal digits.
    let hexadecimal: String

    init?(_ text: String) {
        let prefix = "sha256:"
        guard text.hasPrefix(prefix), text.utf8.count == prefix.utf8.count + 64,
            text.utf8.dropFirst(prefix.utf8.count).allSatisfy(isHexadecimal)
        else { return nil }
        hexadecimal = String(text.dropFirst(prefix.count))
    }

    var text: String { "sha256:" + hexadecimal }
    /// Its file in an OCI layout.
    var path: String { "blobs/sha256/" + hexadecimal }
}

/// The documents of images (OCI image specification; Docker's `manifest.json`), with the keys that are used.
enum ImageDocument {
    /// What to do about an image that lacks something.
    static let incomplete = "see whether the image is whole; copy or save it again"
    /// The largest document that is read, in bytes.
    static let limit = 4 << 20
    /// The most layers of an image, and the most images of an index.
    static let layerLimit = 512, imageLimit = 1024

    struct Descriptor: Decodable {
        var mediaType: String?
        var digest: String
        var size: Int64
        var platform: Platform?
        var annotations: [String: String]?

        var reference: String? { annotations?["org.opencontainers.image.ref.name"] }
        var isIndex: Bool {
            mediaType == "application/vnd.oci.image.index.v1+json"
                || mediaType == "application/vnd.docker.distribution.manifest.list.v2+json"
        }
        /// Signatures and lists of what went into an image lie beside it, under a platform of no machine.
        var isImage: Bool { platform?.os != "unknown" }
    }

    struct Platform: Decodable {
        var architecture: String?
        var os: String?
    }

    struct Index: Decodable {
        var manifests: [Descriptor]
    }

    struct Manifest: Decodable {
        var config: Descriptor
        var layers: [Descriptor]
    }

    struct DockerImage: Decodable {
        var Config: String
        var RepoTags: [String]?
        var Layers: [String]
    }

    struct Configuration: Decodable {
        struct Defaults: Decodable {
            var Env: [String]?
            var User: String?
            var WorkingDir: String?
            var Entrypoint: [String]?
            var Cmd: [String]?
        }

        struct RootFileSystem: Decodable {
            var diff_ids: [String]
        }

        var architecture: String?
        var os: String?
        var config: Defaults?
        var rootfs: RootFileSystem
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ name: String
    ) throws(ImportError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch DecodingError.keyNotFound(let key, _) {
            throw ImportError(
                .invalid, "read the image: `\(name)` has no `\(printable(key.stringValue, limit: 120))`",
                hint: incomplete)
        } catch {
            throw ImportError(
                .invalid, "read the image: `\(name)` is not the document that it should be", hint: incomplete)
        }
    }

    /// The architecture of this host in the words of images.
    static var hostArchitecture: String {
        #if arch(x86_64)
            "amd64"
        #elseif arch(arm64)
            "arm64"
        #else
            "unknown"
        #endif
    }
}

/// Where an imported environment came from: part of its record.
package struct ImageOrigin: Sendable, Hashable, Codable {
    /// What the source was: `directory`, `tar`, `oci-layout`, `docker-archive` or `registry`.
    package var kind: String
    /// Where it was.
    package var source: String
    /// What identifies it: the digest of the image's manifest or configuration, or of the archive's files.
    package var digest: String
    /// What names it in its registry, where that is not the digest above: the digest of a list for several machines.
    package var list: String?
    /// The names by which projects may ask for it beside its own, as `base_image`.
    package var replaces: [String] = []
    /// What the image would run, and as whom; steps run their own files, as the user 1000.
    package var user: String?, workingDirectory: String?
    package var entrypoint: [String] = [], command: [String] = []
    /// What the system in it calls itself, and the suite of a Debian one.
    package var system: String?, suite: String?

    /// The name in its registry that means this image for ever.
    package var pin: String? {
        guard kind == "registry" else { return nil }
        return ImageReference(source)?.pinned(to: list ?? digest).description
    }

    package enum CodingKeys: String, CodingKey {
        case kind, source, digest, list, replaces, user, entrypoint, command, system, suite
        case workingDirectory = "working_directory"
    }

    init(kind: String, source: String, digest: String) {
        self.kind = kind
        self.source = source
        self.digest = digest
    }
}

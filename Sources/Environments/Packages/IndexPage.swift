import FoundationEssentials
import PlainText

/// A project's page of a package index: its files with the SHA-256 that the index promises (PEP 503, 658, 691).
struct IndexPage {
    /// Digests by the addresses of files, with percent signs resolved.
    private(set) var digests: [String: String] = [:]
    private let base: String

    /// What an index is asked for.
    static let accepted = "application/vnd.pypi.simple.v1+json, text/html;q=0.1"
    /// The longest page, in bytes.
    static let limit: Int64 = 64 << 20

    /// Reads the answer that came from `address`; what is not understood promises nothing.
    init(_ body: [UInt8], type: String, address: String) {
        base = address
        if type.lowercased().contains("json") { read(json: body) } else { read(page: body) }
    }

    /// The digest that the page promises for an address.
    subscript(address: String) -> String? { digests[Self.canonical(address)] }

    private mutating func read(json body: [UInt8]) {
        guard let page = try? JSONDecoder().decode(Page.self, from: Data(body)) else { return }
        for file in page.files {
            promise(file.hashes["sha256"], for: file.url)
            promise(file.metadata, for: file.url + ".metadata")
        }
    }

    private mutating func read(page body: [UInt8]) {
        let text = String(decoding: body, as: UTF8.self)
        for part in text.split(separator: "<a ", omittingEmptySubsequences: false).dropFirst() {
            let tag = part.prefix { $0 != ">" }
            guard let link = Self.value("href", in: tag) else { continue }
            let parts = link.split(separator: "#", maxSplits: 1)
            guard let address = parts.first.map({ String($0) }) else { continue }
            if parts.count == 2 { promise(Self.digest(String(parts[1])), for: address) }
            for name in ["data-core-metadata", "data-dist-info-metadata"] {
                promise(Self.value(name, in: tag).flatMap(Self.digest), for: address + ".metadata")
            }
        }
    }

    private mutating func promise(_ digest: String?, for reference: String) {
        guard let digest, digest.utf8.count == 64, let address = Self.resolve(reference, at: base) else { return }
        digests[Self.canonical(address)] = digest.lowercased()
    }

    /// pip writes the same address with other percent signs than its page.
    private static func canonical(_ address: String) -> String { withoutPercentSigns(address) }

    private static func value(_ name: String, in tag: Substring) -> String? {
        guard let start = tag.firstRange(of: name + "=")?.upperBound, let quote = tag[start...].first,
            quote == "\"" || quote == "'"
        else { return nil }
        return String(tag[tag.index(after: start)...].prefix { $0 != quote }).replacing("&amp;", with: "&")
    }

    private static func digest(_ text: String) -> String? {
        text.hasPrefix("sha256=") ? String(text.dropFirst(7).prefix { $0 != "&" }) : nil
    }

    /// An address that is written relative to another one.
    static func resolve(_ reference: String, at base: String) -> String? {
        let reference = reference.prefix { $0 != "#" }
        if reference.contains("://") { return String(reference) }
        guard let scheme = base.firstRange(of: "://") else { return nil }
        if reference.hasPrefix("//") { return base[..<scheme.lowerBound] + ":" + reference }
        let end = base[scheme.upperBound...].firstIndex(of: "/") ?? base.endIndex
        var path = reference.hasPrefix("/") ? [] : base[end...].split(separator: "/", omittingEmptySubsequences: false)
        if !path.isEmpty { path.removeLast() }
        for part in reference.split(separator: "/", omittingEmptySubsequences: false) where part != "." {
            if part != ".." { path.append(part) } else if path.count > 1 { path.removeLast() }
        }
        let text = path.joined(separator: "/")
        return base[..<end] + (text.hasPrefix("/") ? text : "/" + text)
    }
}

/// Text in which what is written with percent signs stands for itself.
func withoutPercentSigns(_ text: String) -> String {
    guard text.utf8.contains(0x25) else { return text }
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        let digits = bytes[index...].dropFirst().prefix(2)
        if bytes[index] == 0x25, digits.count == 2, digits.allSatisfy({ isHexadecimal($0 | 0x20) }),
            let byte = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
        {
            result.append(byte)
            index += 3
        } else {
            result.append(bytes[index])
            index += 1
        }
    }
    return String(decoding: result, as: UTF8.self)
}

/// The form of PEP 691.
private struct Page: Decodable {
    struct File: Decodable {
        let url: String
        let hashes: [String: String]
        /// The digest of the metadata beside the file; `true` and `false` promise none.
        let metadata: String?

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            url = try container.decode(String.self, forKey: .url)
            // What has another form than the specification's promises nothing, and the other files are read.
            hashes = (try? container.decode([String: String].self, forKey: .hashes)) ?? [:]
            let digests =
                (try? container.decode([String: String].self, forKey: .metadata))
                ?? (try? container.decode([String: String].self, forKey: .earlierMetadata))
            metadata = digests?["sha256"]
        }

        private enum Key: String, CodingKey {
            case url, hashes
            case metadata = "core-metadata"
            case earlierMetadata = "data-dist-info-metadata"
        }
    }

    let files: [File]
}

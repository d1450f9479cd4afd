package import SystemPackage

/// An archive of Debian packages as apt's source files name it.
package struct ArchiveSource: Sendable, Hashable {
    /// Where it is; credentials may be part of it.
    package var locations: [String]
    /// Its suites, such as `bookworm-updates`.
    package var suites: [String]
    /// Its components, such as `main`.
    package var components: [String]
    /// What else apt is told, by the field's name in lower case: the signing key, trust and validity.
    package var options: [String: String]

    /// Makes a source.
    package init(locations: [String], suites: [String], components: [String], options: [String: String] = [:]) {
        self.locations = locations
        self.suites = suites
        self.components = components
        self.options = options
    }

    /// The file with its signing keys, when the source names a file.
    package var keyFile: FilePath? {
        guard let value = options["signed-by"], value.hasPrefix("/"), !value.contains("\n") else { return nil }
        return FilePath(value)
    }

    /// The stanza in the format of a `.sources` file.
    package var stanza: String {
        var lines = [
            "Types: deb", "URIs: " + locations.joined(separator: " "), "Suites: " + suites.joined(separator: " "),
            "Components: " + components.joined(separator: " "),
        ]
        for (name, value) in options.sorted(by: { $0.key < $1.key }) { lines.append("\(name): \(value)") }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ArchiveSource {
    /// The fields that are passed on; others belong to the host.
    private static let passedOn: Set<String> = [
        "signed-by", "trusted", "check-valid-until", "valid-until-min", "valid-until-max", "check-date",
    ]

    /// Reads a file in one-line format (sources.list(5)); what is not a binary archive is left out.
    package static func parse(list text: String) -> [ArchiveSource] {
        text.split(whereSeparator: \.isNewline).compactMap { line in
            var line = line.prefix { $0 != "#" }
            var options: [String: String] = [:]
            if let open = line.firstIndex(of: "["), let close = line[open...].firstIndex(of: "]") {
                for option in words(line[line.index(after: open)..<close]) {
                    let parts = option.split(separator: "=", maxSplits: 1)
                    if parts.count == 2 { options[parts[0].lowercased()] = String(parts[1]) }
                }
                line = line[..<open] + line[line.index(after: close)...]
            }
            let fields = words(line)
            guard fields.count >= 4, fields[0] == "deb" else { return nil }
            return ArchiveSource(
                locations: [fields[1]], suites: [fields[2]], components: Array(fields[3...]),
                options: options.filter { passedOn.contains($0.key) })
        }
    }

    /// Reads a file in deb822 format; disabled stanzas and source packages are left out.
    package static func parse(deb822 text: String) -> [ArchiveSource] {
        var stanzas: [[String: String]] = [[:]]
        var field: String?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("#") { continue }
            if line.allSatisfy(\.isWhitespace) {
                stanzas.append([:])
                field = nil
            } else if line.first?.isWhitespace == true {
                if let field { stanzas[stanzas.count - 1][field, default: ""] += "\n" + line }
            } else if let colon = line.firstIndex(of: ":") {
                let name = line[..<colon].lowercased()
                stanzas[stanzas.count - 1][name] = trimmed(line[line.index(after: colon)...])
                field = name
            }
        }
        return stanzas.compactMap { stanza in
            guard words(stanza["types"] ?? "").contains("deb") else { return nil }
            guard !["no", "false", "0", "off"].contains((stanza["enabled"] ?? "yes").lowercased()) else { return nil }
            let source = ArchiveSource(
                locations: words(stanza["uris"] ?? ""), suites: words(stanza["suites"] ?? ""),
                components: words(stanza["components"] ?? ""), options: stanza.filter { passedOn.contains($0.key) })
            return source.locations.isEmpty || source.suites.isEmpty ? nil : source
        }
    }
}

extension ArchiveSource {
    /// The sources that carry a recipe's suite: its own archive, its updates and its security updates.
    ///
    /// Sources of other makers are left out where Debian's own keys tell them apart. Where no source carries the suite,
    /// those of `hostSuite`, the suite that the host itself runs, are taken for it.
    package static func select(
        _ sources: [ArchiveSource], suite: String, components: [String], hostSuite: String?
    ) -> [ArchiveSource] {
        let direct = matching(sources, suite: suite, components: components)
        if direct.contains(where: { $0.suites.contains(suite) }) { return direct }
        guard let hostSuite, hostSuite != suite else { return [] }
        return matching(sources, suite: hostSuite, components: components).map { source in
            var source = source
            source.suites = source.suites.map { suite + $0.dropFirst(hostSuite.count) }
            return source
        }
    }

    private static func matching(
        _ sources: [ArchiveSource], suite: String, components: [String]
    ) -> [ArchiveSource] {
        let wanted = [suite, suite + "-updates", suite + "-security", suite + "/updates"]
        let found = sources.compactMap { source -> ArchiveSource? in
            var source = source
            source.locations = source.locations.filter { $0.hasPrefix("http://") || $0.hasPrefix("https://") }
            source.suites = source.suites.filter(wanted.contains)
            source.components = source.components.filter(components.contains)
            let usable = !source.locations.isEmpty && !source.suites.isEmpty && !source.components.isEmpty
            return usable ? source : nil
        }
        let debian = found.filter { source in
            source.keyFile?.lastComponent.map { $0.string.hasPrefix("debian-archive") } ?? true
        }
        return debian.isEmpty ? found : debian
    }
}

/// The pieces of a text between white space.
func words(_ text: some StringProtocol) -> [String] {
    text.split { $0.isWhitespace }.map { String($0) }
}

/// A text without the white space at its ends.
func trimmed(_ text: some StringProtocol) -> String {
    var part = Substring(text).drop(while: \.isWhitespace)
    while part.last?.isWhitespace == true { part.removeLast() }
    return String(part)
}

import LinuxSystem

extension Manifest {
    /// What is wrong with a text that should be a manifest.
    package struct ParseError: Error, Sendable, Hashable, CustomStringConvertible {
        /// The line, from 1.
        package let line: Int
        /// What is wrong with it.
        package let cause: String

        /// One line of both.
        package var description: String { "line \(line): \(cause)" }
    }

    /// Reads a manifest, and accepts none but the canonical text of a possible tree.
    package init(parsing bytes: [UInt8]) throws(ParseError) {
        guard bytes.count <= Self.sizeLimit else { throw ParseError(line: 1, cause: "it is too large") }
        guard bytes.starts(with: ManifestText.header) else { throw ParseError(line: 1, cause: "unknown header") }
        guard bytes.last == UInt8(ascii: "\n") else { throw ParseError(line: 1, cause: "the end is missing") }
        var hasHardLinks = false
        Self.forEachLine(bytes) { (line) throws(Never) in if line.first == UInt8(ascii: "h") { hasHardLinks = true } }
        // Names of files count where something refers to them only: they are most of a large tree.
        var check = ManifestCheck(hasHardLinks: hasHardLinks)
        try Self.forEachLine(bytes) { (line) throws(ParseError) in try check.accept(line) }
        try check.finish()
        self.init(canonical: bytes)
    }

    /// Passes every line behind the header, without its end.
    static func forEachLine<Failure>(
        _ bytes: [UInt8], _ body: (ArraySlice<UInt8>) throws(Failure) -> Void
    ) throws(Failure) {
        var start = ManifestText.header.count
        while start < bytes.count, let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) {
            try body(bytes[start..<end])
            start = end + 1
        }
    }
}

/// Checks the lines of a manifest one after the other.
private struct ManifestCheck {
    private let hasHardLinks: Bool
    private var line = 1
    private var previous: ManifestEntry?
    private var previousAttribute: [UInt8]?
    private var directories: Set<[UInt8]> = []
    private var files: Set<[UInt8]> = []

    init(hasHardLinks: Bool) { self.hasHardLinks = hasHardLinks }

    private func failure(_ cause: String) -> Manifest.ParseError { Manifest.ParseError(line: line, cause: cause) }

    mutating func accept(_ text: ArraySlice<UInt8>) throws(Manifest.ParseError) {
        line += 1
        if text.first == UInt8(ascii: "x") { return try acceptAttribute(text) }
        guard let entry = ManifestText.entry(line: text) else { throw failure("not an entry") }
        var canonical: [UInt8] = []
        ManifestText.append(entry, to: &canonical)
        guard canonical.dropLast().elementsEqual(text) else { throw failure("not in canonical form") }
        guard entry.mode <= 0o7777, entry.modified.nanoseconds < 1_000_000_000 else { throw failure("out of range") }
        try acceptPath(entry)
        switch entry.kind {
        case .directory: directories.insert(entry.path)
        case .file: if hasHardLinks { files.insert(entry.path) }
        case .symbolicLink: break
        case .hardLink(let first):
            guard files.contains(first) else { throw failure("the first name of the file is not above") }
        }
        previous = entry
        previousAttribute = nil
    }

    private func acceptPath(_ entry: ManifestEntry) throws(Manifest.ParseError) {
        guard let previous else {
            guard entry.path.elementsEqual(".".utf8), entry.kind == .directory else {
                throw failure("the tree's own directory is missing")
            }
            return
        }
        guard previous.path.elementsEqual(".".utf8) || previous.path.lexicographicallyPrecedes(entry.path) else {
            throw failure("not in order")
        }
        let components = entry.path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let isPath = components.allSatisfy {
            !$0.isEmpty && $0.count <= 255 && !$0.contains(0) && !$0.elementsEqual(".".utf8)
                && !$0.elementsEqual("..".utf8)
        }
        guard isPath else { throw failure("not a path inside the tree") }
        if let name = components.last, components.count > 1 {
            guard directories.contains(Array(entry.path.dropLast(name.count + 1))) else {
                throw failure("its directory is not above")
            }
        }
    }

    private mutating func acceptAttribute(_ text: ArraySlice<UInt8>) throws(Manifest.ParseError) {
        guard let attribute = ManifestText.attribute(line: text) else { throw failure("not an attribute") }
        switch previous?.kind {
        case .directory, .file: break
        default: throw failure("an attribute of what has none")
        }
        if let name = previousAttribute, !name.lexicographicallyPrecedes(attribute.name) {
            throw failure("not in order")
        }
        var canonical: [UInt8] = []
        ManifestText.append(
            ManifestEntry(
                path: [0x2E], kind: .directory, mode: 0, modified: .init(seconds: 0, nanoseconds: 0),
                attributes: [attribute]), to: &canonical)
        guard canonical.dropLast().reversed().starts(with: text.reversed()) else {
            throw failure("not in canonical form")
        }
        previousAttribute = attribute.name
    }

    func finish() throws(Manifest.ParseError) {
        guard previous != nil else { throw failure("the tree's own directory is missing") }
    }
}

/// What the log of a build's pip says that it has used.
///
/// A build can write there what it likes: the log says what to ask an index for, and nothing of it is believed.
struct PipLog {
    /// A file that pip has used, where it found it, and how it keeps what servers answer.
    struct Use: Hashable {
        let address: String
        /// The page of the index that named it.
        let page: String
        let form: PipForm
    }

    /// Where it is in the tree of a build; logs do not stay there.
    static let path = "/var/log/cloche-pip.log"
    /// How much of it is read, and how many files count.
    static let limit = 32 << 20, countLimit = 4096

    /// The files, each once, in the order of their addresses.
    let uses: [Use]

    init(_ text: [UInt8]) {
        // Each line begins with a time, and is indented.
        let lines = text.split(separator: 0x0A).lazy.filter { $0.count < 4096 }
            .map { $0.dropFirst(24).drop { $0 == 0x20 } }
        let names = Self.names(lines)
        var form = PipForm.joined
        var uses: Set<Use> = []
        for line in lines {
            if let release = Self.word(after: Self.releaseMark, in: line) { form = PipForm(release: release[...]) }
            guard let link = Self.word(after: Self.linkMark, in: line),
                let page = Self.word(after: Self.pageMark, in: line.dropFirst(Self.linkMark.count + link.utf8.count))
            else { continue }
            let address = Self.bare(link)
            let name = Self.name(of: address)
            for (used, suffix) in [(name, ""), (name + Self.metadataSuffix, Self.metadataSuffix)]
            where names.contains(used) && uses.count < Self.countLimit {
                uses.insert(
                    Use(address: address + suffix, page: Self.bare(String(page.prefix { $0 != ")" })), form: form))
            }
        }
        self.uses = uses.sorted { ($0.address, $0.page) < ($1.address, $1.page) }
    }

    private static let metadataSuffix = ".metadata"

    private static let useMarks = [Array("Downloading ".utf8), Array("Using cached ".utf8)]
    private static let releaseMark = Array("Using pip ".utf8), linkMark = Array("Found link ".utf8)
    private static let pageMark = Array(" (from ".utf8)

    /// The names of files that were fetched, or that pip had; of other servers than PyPI's it writes the whole address.
    private static func names(_ lines: some Sequence<ArraySlice<UInt8>>) -> Set<String> {
        var names: Set<String> = []
        for line in lines where names.count < countLimit {
            for case let used? in useMarks.map({ word(after: $0, in: line) }) { names.insert(name(of: used)) }
        }
        return names
    }

    private static func name(of address: String) -> String {
        withoutPercentSigns(String(address.split(separator: "/").last ?? ""))
    }

    private static func word(after mark: [UInt8], in line: ArraySlice<UInt8>) -> String? {
        guard line.starts(with: mark) else { return nil }
        let word = line.dropFirst(mark.count).prefix { $0 != 0x20 }
        return word.isEmpty ? nil : String(decoding: word, as: UTF8.self)
    }

    /// An address without what belongs to no request for it: a fragment, the name of a user.
    private static func bare(_ address: String) -> String {
        let text = address.prefix { $0 != "#" }
        guard let scheme = text.firstRange(of: "://") else { return String(text) }
        let authority = text[scheme.upperBound...].prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return String(text) }
        return String(text[..<scheme.upperBound] + text[text.index(after: at)...])
    }
}

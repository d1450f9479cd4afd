import PlainText

/// The names that a repository tracks, read from its index file.
///
/// The file comes with the project, so it may be hostile: every length is checked, and what the names take is bounded.
struct GitIndex: Sendable {
    /// What is wrong with an index file.
    enum Failure: Error, Hashable {
        /// It does not follow the format, at this byte.
        case malformed(offset: Int)
        /// Its version is none of 2, 3 and 4.
        case unknownVersion(UInt32)
        /// Its names take more than the bound.
        case tooLarge
    }

    private static let nameLimit = 65_536
    private static let namesLimit = 256 << 20

    /// All names in ascending order, one after the other, and where each begins.
    private var names: [UInt8] = []
    private var starts: [Int] = []
    /// The hexadecimal name of the shared file that a split index adds to.
    private(set) var sharedIndex: [UInt8]?

    /// An index without names.
    init() {}

    /// Reads the content of an index file of version 2, 3 or 4, with object names of SHA-1 or SHA-256.
    init(bytes: [UInt8]) throws(Failure) {
        do throws(Failure) {
            try self.init(bytes: bytes, objectNameLength: 20)
        } catch .malformed {
            // The file does not say which hash it uses; names and extensions only line up for the right one.
            try self.init(bytes: bytes, objectNameLength: 32)
        }
    }

    private init(bytes: [UInt8], objectNameLength: Int) throws(Failure) {
        var reader = IndexReader(bytes: bytes, objectNameLength: objectNameLength)
        try reader.readHeader()
        var previous: [UInt8] = []
        var hasEmptyNames = false
        for _ in 0..<reader.count {
            let name = try reader.readName(after: previous, limit: Self.nameLimit)
            // A split index holds entries without a name in place of those that it replaces in the shared file.
            if name.isEmpty {
                hasEmptyNames = true
                continue
            }
            switch Self.order(name[...], previous[...]) {
            case .orderedDescending: append(name)
            // Stages of a merge conflict share a name.
            case .orderedSame: break
            case .orderedAscending where hasEmptyNames: append(name)
            case .orderedAscending: throw .malformed(offset: reader.offset)
            }
            previous = name
            if names.count > Self.namesLimit { throw .tooLarge }
        }
        sharedIndex = try reader.readExtensions()
        if hasEmptyNames && sharedIndex == nil { throw .malformed(offset: reader.offset) }
        if sharedIndex != nil { sort() }
    }

    /// How many names there are.
    var count: Int { starts.count }

    /// Adds the names of the shared file of a split index.
    ///
    /// Names that were removed since the shared file was written stay: a file too many is kept, none is lost.
    mutating func formUnion(_ other: GitIndex) {
        for index in other.starts.indices { append(Array(other.name(index))) }
        sort()
    }

    /// Whether this very path is tracked.
    func contains(_ path: some Collection<UInt8>) -> Bool {
        let place = firstIndex(notBefore: path)
        return place < starts.count && name(place).elementsEqual(path)
    }

    /// Whether anything below this directory is tracked.
    func hasNames(below directory: some Collection<UInt8>) -> Bool {
        let prefix = Array(directory) + [UInt8(ascii: "/")]
        let place = firstIndex(notBefore: prefix)
        return place < starts.count && name(place).starts(with: prefix)
    }

    /// The names below a directory, as that directory has them.
    func below(_ directory: [UInt8]) -> GitIndex {
        let prefix = directory + [UInt8(ascii: "/")]
        var inner = GitIndex()
        for index in firstIndex(notBefore: prefix)..<starts.count {
            let name = name(index)
            guard name.starts(with: prefix) else { break }
            inner.append(Array(name.dropFirst(prefix.count)))
        }
        return inner
    }

    private func firstIndex(notBefore path: some Collection<UInt8>) -> Int {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = (low + high) / 2
            if name(middle).lexicographicallyPrecedes(path) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func name(_ index: Int) -> ArraySlice<UInt8> {
        names[starts[index]..<(index + 1 < starts.count ? starts[index + 1] : names.count)]
    }

    private mutating func append(_ name: [UInt8]) {
        starts.append(names.count)
        names += name
    }

    private mutating func sort() {
        let sorted = starts.indices.map { Array(name($0)) }.sorted { $0.lexicographicallyPrecedes($1) }
        (names, starts) = ([], [])
        for name in sorted { append(name) }
    }

    private enum Order {
        case orderedAscending
        case orderedSame
        case orderedDescending
    }

    private static func order(_ name: ArraySlice<UInt8>, _ previous: ArraySlice<UInt8>) -> Order {
        if name == previous { return .orderedSame }
        return previous.lexicographicallyPrecedes(name) ? .orderedDescending : .orderedAscending
    }
}

/// Walks over the bytes of an index file; its layout is described in git's `Documentation/gitformat-index`.
private struct IndexReader {
    let bytes: [UInt8]
    let objectNameLength: Int
    private(set) var offset = 0
    private(set) var count = 0
    private var version: UInt32 = 0

    init(bytes: [UInt8], objectNameLength: Int) {
        self.bytes = bytes
        self.objectNameLength = objectNameLength
    }

    /// Everything but the checksum at the end.
    private var end: Int { bytes.count - objectNameLength }

    private mutating func take(_ length: Int) throws(GitIndex.Failure) -> ArraySlice<UInt8> {
        guard length >= 0, length <= end - offset else { throw .malformed(offset: offset) }
        defer { offset += length }
        return bytes[offset..<(offset + length)]
    }

    private mutating func takeNumber() throws(GitIndex.Failure) -> UInt32 {
        try take(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    mutating func readHeader() throws(GitIndex.Failure) {
        guard try take(4).elementsEqual("DIRC".utf8) else { throw .malformed(offset: 0) }
        version = try takeNumber()
        guard (2...4).contains(version) else { throw .unknownVersion(version) }
        count = Int(try takeNumber())
    }

    /// Reads one entry and returns its name.
    mutating func readName(after previous: [UInt8], limit: Int) throws(GitIndex.Failure) -> [UInt8] {
        let start = offset
        // Times, device, inode, mode, owner and size are ten numbers.
        _ = try take(40 + objectNameLength)
        let flags = try take(2)
        let isExtended = (flags.first ?? 0) & 0x40 != 0
        if isExtended {
            guard version >= 3 else { throw .malformed(offset: start) }
            _ = try take(2)
        }
        let name = version == 4 ? try readDelta(previous) : try readPadded(start: start)
        guard name.count <= limit, name.first != UInt8(ascii: "/") else { throw .malformed(offset: start) }
        return name
    }

    private mutating func readPadded(start: Int) throws(GitIndex.Failure) -> [UInt8] {
        guard let terminator = bytes[offset..<max(offset, end)].firstIndex(of: 0) else {
            throw .malformed(offset: offset)
        }
        let name = Array(try take(terminator - offset))
        // One to eight NULs bring the entry to a multiple of eight.
        let padding = try take(8 - (offset - start) % 8)
        guard padding.allSatisfy({ $0 == 0 }) else { throw .malformed(offset: offset) }
        return name
    }

    private mutating func readDelta(_ previous: [UInt8]) throws(GitIndex.Failure) -> [UInt8] {
        // How many bytes of the previous name go: seven bits a byte, each continuation adding one.
        var removed = 0
        var byte = try take(1).first ?? 0
        removed = Int(byte & 0x7F)
        while byte & 0x80 != 0 {
            byte = try take(1).first ?? 0
            removed = (removed + 1) << 7 | Int(byte & 0x7F)
            guard removed <= previous.count else { throw .malformed(offset: offset) }
        }
        guard removed <= previous.count,
            let terminator = bytes[offset..<max(offset, end)].firstIndex(of: 0)
        else { throw .malformed(offset: offset) }
        let name = previous.dropLast(removed) + (try take(terminator - offset))
        _ = try take(1)
        return Array(name)
    }

    /// Reads to the end, and returns the name of the shared file if there is one.
    mutating func readExtensions() throws(GitIndex.Failure) -> [UInt8]? {
        var shared: [UInt8]?
        while offset < end {
            let signature = try take(4)
            let content = try take(Int(try takeNumber()))
            if signature.elementsEqual("link".utf8), content.count >= objectNameLength {
                shared = hexadecimalBytes(content.prefix(objectNameLength))
            }
        }
        return shared
    }
}

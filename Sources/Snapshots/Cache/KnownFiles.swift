import LinuxSystem
import Synchronization

/// What is known of a surveyed project before any of its files is opened: contents that caches prove, and stored files
/// that could be shared.
///
/// A stored file is shared by a hard link between trees of the same store, never with the project: the two would change
/// together. All that a link shares has to be equal: content, mode, owner, times and attributes.
final class KnownFiles: Sendable {
    /// A stored file: which cache tells of it, and its place there.
    struct StoredFile: Sendable, Hashable {
        let source: Int
        let entry: Int
    }

    /// A snapshot whose files can be shared.
    struct Source: Sendable {
        let cache: StatCache
        /// Its open layers, the top one first; none when it is no longer there.
        let trees: [HeldDescriptor]
    }

    /// The project's own cache comes first, if it has one.
    let sources: [Source]
    private let matches: [Int32]
    private let isOwn: Bool
    private let byContent: [Content: [StoredFile]]
    private let plausible: Set<Shape>
    /// Stored files that already stand for a file of the new tree, by inode: a second use would make two files one.
    private let used = Mutex<Set<UInt64>>([])

    /// What can be compared before a file is read.
    private struct Shape: Hashable {
        let size: Int64
        let modified: FileTime
        let mode: UInt32

        init(_ stamp: FileStamp) {
            size = stamp.size
            modified = stamp.modified
            mode = stamp.storedMode
        }
    }

    private struct Content: Hashable {
        let shape: Shape
        let digest: ContentDigest
        let attributes: [ExtendedAttribute]
    }

    /// Compares a survey with caches.
    ///
    /// - Parameters:
    ///   - own: The project's own cache; only what it says of the project's inodes is believed unread.
    ///   - others: Loaded when files are left that `own` does not prove.
    init(survey: TreeSurvey, own: Source?, others: () -> [Source]) {
        let matches = own?.cache.matches(survey) ?? []
        self.matches = matches
        isOwn = own != nil
        var sources = own.map { [$0] } ?? []
        var byContent: [Content: [StoredFile]] = [:]
        var plausible: Set<Shape> = []
        if own == nil || matches.contains(-1) {
            sources += others()
            var wanted: Set<Shape> = []
            // Where nothing is stored there is nothing to look for, and a million shapes take more room than the files.
            if sources.contains(where: { !$0.trees.isEmpty }) {
                for (index, file) in survey.files.enumerated() where own == nil || matches[index] < 0 {
                    wanted.insert(Shape(file.stamp))
                }
            }
            for (index, source) in sources.enumerated() where !source.trees.isEmpty {
                for entry in 0..<source.cache.count {
                    let shape = Shape(source.cache.stamp(entry))
                    guard wanted.contains(shape) else { continue }
                    let stored = source.cache[entry]
                    plausible.insert(shape)
                    let content = Content(shape: shape, digest: stored.digest, attributes: stored.attributes)
                    byContent[content, default: []].append(StoredFile(source: index, entry: entry))
                }
            }
        }
        self.sources = sources
        self.byContent = byContent
        self.plausible = plausible
    }

    /// Nothing is known.
    static func none(_ survey: TreeSurvey) -> KnownFiles { KnownFiles(survey: survey, own: nil, others: { [] }) }

    /// Whether the project's own cache proves, or makes likely, every file: then reading the few that are not proved
    /// tells the identity sooner than a copy does.
    func foresees(_ survey: TreeSurvey) -> Bool {
        isOwn
            && survey.files.enumerated().allSatisfy { matches[$0.offset] >= 0 || isPlausible($0.element.stamp) }
    }

    /// Whether the project's own cache says all there is to say of it, and of this snapshot.
    func isProof(of snapshot: SnapshotIdentity) -> Bool {
        isOwn && !matches.contains(-1) && sources[0].cache.snapshot == snapshot
    }

    /// The snapshot that holds the surveyed tree, when the project's own cache proves that nothing has changed.
    func unchanged(_ survey: TreeSurvey) -> SnapshotIdentity? {
        guard isOwn, let cache = sources.first?.cache, cache.isUnchanged(survey, matches: matches) else { return nil }
        return cache.snapshot
    }

    /// What was said of the files of an unchanged tree when they were read.
    func notes(_ survey: TreeSurvey) -> CaptureNotes {
        var notes = survey.notes
        guard let cache = own?.cache else { return notes }
        for (index, file) in survey.files.enumerated() where matches[index] >= 0 {
            cache.drops(Int(matches[index])).note(file.stamp, in: &notes) { survey.path(ofFile: index) }
        }
        return notes
    }

    /// The project's own cache; nil when it has none.
    var own: Source? { isOwn ? sources[0] : nil }

    /// How many files the project's own cache does not prove.
    var unprovenCount: Int { matches.count { $0 < 0 } }

    /// How many bytes of a survey would be stored anew, at most.
    func newBytes(_ survey: TreeSurvey) -> Int64 {
        guard let own, !own.trees.isEmpty else { return survey.storedBytes }
        var bytes: Int64 = 0
        for (index, file) in survey.files.enumerated() where matches[index] < 0 {
            bytes = bytes.addingReportingOverflow(file.stamp.size).partialValue
        }
        return min(bytes, survey.storedBytes)
    }

    /// The stored file that a cache proves to hold the content of a surveyed file.
    func match(_ file: Int) -> StoredFile? {
        guard isOwn, matches[file] >= 0 else { return nil }
        return StoredFile(source: 0, entry: Int(matches[file]))
    }

    /// What a cache says of a stored file.
    func entry(_ stored: StoredFile) -> StatCache.Entry { sources[stored.source].cache[stored.entry] }

    /// Whether a stored file could have the content of a file in this state, so that reading before copying may pay.
    func isPlausible(_ stamp: FileStamp) -> Bool { plausible.contains(Shape(stamp)) }

    /// Stored files that have this content, and all else that a link would share.
    func holding(_ stamp: FileStamp, digest: ContentDigest, attributes: [ExtendedAttribute]) -> [StoredFile] {
        byContent[Content(shape: Shape(stamp), digest: digest, attributes: attributes)] ?? []
    }

    /// Takes a stored file for one file of the new tree; false when it is taken.
    func claim(inode: UInt64) -> Bool { used.withLock { $0.insert(inode).inserted } }

    /// Frees all stored files again: the new tree that they were taken for is gone.
    func releaseClaims() { used.withLock { $0.removeAll() } }
}

import Dispatch
import LinuxSystem
import Synchronization

/// The walk that surveys a tree, on two threads where there is enough to do for them.
///
/// It reads directories and the status of their entries, opens no file, and keeps two descriptors a thread open at most.
final class TreeWalk: Sendable {
    /// What the walk takes and how far it goes.
    struct Options: Sendable {
        /// Rules of a project; nil takes everything.
        var rules: IgnoreRules?
        /// Tells which directories are stores, and never entered; nil enters all.
        var stores: StoreRecognition?
        /// Whether setuid, setgid, sticky and foreign attributes are dropped, as a capture does.
        var isCapture = true
        /// Whether devices 0/0 are collected instead of noted.
        var collectsWhiteouts = false
        /// Directories whose names need not be read again, as soon as they are loaded.
        var known: StatCacheLoading?
        /// Tells which directories will not have to be read by the next capture; nil where none follows.
        var clock: SettledClock?
        /// The most entries.
        var entryLimit = 10_000_000
        /// The longest path, in bytes.
        var pathLimit = 65_536
    }

    private static let threads = 2
    /// As many directories wait before another thread is worth starting.
    private static let worthwhile = 16
    /// How long a thread without work waits for the other to find some, in nanoseconds.
    private static let patience: Int64 = 30_000

    /// A directory that was found and not yet read.
    private struct Pending {
        let directory: Int
        let path: [UInt8]
        /// When it was modified, as the directory above told.
        let seen: FileTime?
        let scope: IgnoreScope?
    }

    private struct State {
        var survey = TreeSurvey()
        var groups: [TreeSurvey.FileKey: Int32] = [:]
        var patternCount = 0
        var pending: [Pending] = []
        /// Directories that are just being read.
        var active = 0
        var failure: SnapshotError?
    }

    private enum Task {
        case read(Pending)
        case wait
        case end
    }

    private let root: CInt
    private let options: Options
    private let monitor: CaptureMonitor
    private let state = Mutex(State())

    /// Prepares a walk below an open directory.
    init(root: CInt, options: Options, monitor: CaptureMonitor) {
        self.root = root
        self.options = options
        self.monitor = monitor
    }

    /// Walks the whole tree.
    func run() throws(SnapshotError) -> TreeSurvey {
        state.withLock { state in
            state.survey.directories.append(TreeSurvey.Directory(parent: -1, nameStart: 0, pathLength: 0))
            state.pending.append(Pending(directory: 0, path: [], seen: nil, scope: options.rules?.root))
        }
        work(until: Self.worthwhile)
        if state.withLock({ !$0.pending.isEmpty }) {
            DispatchQueue.concurrentPerform(iterations: Self.threads) { _ in work(until: .max) }
        }
        let (survey, failure) = state.withLock { state in
            Self.dropSingleGroups(&state.survey)
            defer { state.survey = TreeSurvey() }
            return (state.survey, state.failure)
        }
        if let failure { throw failure }
        return survey
    }

    /// Reads directories until none is left, or so many wait.
    private func work(until limit: Int) {
        var reader = DirectoryReader(root: root, options: options, monitor: monitor)
        while true {
            switch state.withLock({ Self.next(&$0, limit: limit) }) {
            case .end: return
            case .wait: Syscall.sleep(nanoseconds: Self.patience)
            case .read(let next):
                do throws(SnapshotError) {
                    let content = try reader.read(next.path, seen: next.seen, scope: next.scope)
                    try absorb(content, next)
                } catch {
                    state.withLock { $0.failure = $0.failure ?? error }
                }
            }
        }
    }

    private static func next(_ state: inout State, limit: Int) -> Task {
        guard state.failure == nil, state.pending.count < limit else { return .end }
        guard let next = state.pending.popLast() else { return state.active > 0 ? .wait : .end }
        state.active += 1
        return .read(next)
    }

    private func absorb(_ content: DirectoryContent?, _ place: Pending) throws(SnapshotError) {
        let failure = state.withLock { state -> SnapshotError? in
            state.active -= 1
            guard let content else {
                state.survey.notes.add(.mountPoint, place.path)
                return nil
            }
            state.patternCount += content.patternCount
            guard state.patternCount <= IgnoreRules.patternLimit else {
                return SnapshotError(place.path, .tooMany("ignore patterns", limit: IgnoreRules.patternLimit))
            }
            guard state.survey.entryCount + content.items.count <= options.entryLimit else {
                return SnapshotError(place.path, .tooMany("entries", limit: options.entryLimit))
            }
            Self.add(content, at: place, to: &state)
            return nil
        }
        if let failure { throw failure }
    }

    /// Gives the entries of a directory their places in the survey.
    private static func add(_ content: DirectoryContent, at place: Pending, to state: inout State) {
        let directory = place.directory
        state.survey.directories[directory].names = content.names
        state.survey.directories[directory].mode = content.mode
        state.survey.directories[directory].modified = content.modified
        state.survey.directories[directory].attributes = content.attributes
        state.survey.directories[directory].changed = content.changed
        state.survey.directories[directory].key = content.key
        state.survey.directories[directory].isSettled = content.isSettled
        state.survey.notes.add(content.notes)
        let base = place.path.isEmpty ? [] : place.path + [UInt8(ascii: "/")]
        var entries: [TreeSurvey.Entry] = []
        entries.reserveCapacity(content.items.count)
        for item in content.items {
            let path = { base + content.names[item.start..<(item.start + item.count)] }
            let (kind, index): (TreeSurvey.EntryKind, Int)
            switch item.kind {
            case .directory(let scope):
                (kind, index) = (.directory, state.survey.directories.count)
                var node = TreeSurvey.Directory(
                    parent: Int32(directory), nameStart: Int32(item.start), pathLength: Int32(base.count + item.count))
                // Kept for directories that the walk cannot enter; the others get the status of their listing.
                node.mode = item.status.permissions & 0o777
                node.modified = item.status.modified
                node.key = .init(device: item.status.device, inode: item.status.inode)
                state.survey.directories.append(node)
                state.pending.append(
                    Pending(directory: index, path: path(), seen: item.status.modified, scope: scope))
            case .file:
                (kind, index) = (.file, state.survey.files.count)
                addFile(item, directory: directory, to: &state, path: path)
            case .link(let target):
                (kind, index) = (.link, state.survey.links.count)
                state.survey.links.append(
                    TreeSurvey.Link(
                        directory: Int32(directory), nameStart: Int32(item.start), target: target,
                        modified: item.status.modified))
            case .whiteout:
                state.survey.whiteouts.append((Int32(directory), Int32(item.start)))
                continue
            }
            entries.append(
                TreeSurvey.Entry(
                    nameStart: Int32(item.start), nameCount: Int16(item.count), kind: kind, index: Int32(index)))
        }
        state.survey.directories[directory].entries = entries
    }

    private static func addFile(
        _ item: DirectoryContent.Item, directory: Int, to state: inout State, path: () -> [UInt8]
    ) {
        let status = item.status
        let index = Int32(state.survey.files.count)
        var group: Int32 = -1
        if status.links > 1 {
            let key = TreeSurvey.FileKey(device: status.device, inode: status.inode)
            if let known = state.groups[key] {
                group = known
                state.survey.groups[Int(known)].files.append(index)
            } else {
                group = Int32(state.survey.groups.count)
                state.groups[key] = group
                state.survey.groups.append(
                    TreeSurvey.Group(device: status.device, inode: status.inode, files: [index]))
            }
        }
        if group < 0 || state.survey.groups[Int(group)].files.count == 1 {
            state.survey.bytes = state.survey.bytes.addingReportingOverflow(status.size).partialValue
            // Small files have whole blocks, and compressed ones fewer than a copy elsewhere would have.
            let stored = min(status.size, status.allocated)
            state.survey.storedBytes = state.survey.storedBytes.addingReportingOverflow(stored).partialValue
            state.survey.largest.add(size: stored, path: path)
        }
        state.survey.files.append(
            TreeSurvey.File(
                directory: Int32(directory), nameStart: Int32(item.start), group: group, stamp: FileStamp(status)))
    }

    /// A file whose other names lie outside the tree is an ordinary file here.
    private static func dropSingleGroups(_ survey: inout TreeSurvey) {
        for group in survey.groups where group.files.count == 1 {
            for file in group.files { survey.files[Int(file)].group = -1 }
        }
    }
}

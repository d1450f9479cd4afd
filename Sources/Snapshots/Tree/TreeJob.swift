import Dispatch
import LinuxSystem
import Synchronization

/// Reads all files of a surveyed tree with two workers, and copies them when there is a destination.
final class TreeJob: Sendable {
    /// Two threads hash and copy at the speed of two cores; more would only compete with running pipelines.
    private static let workers = 2
    /// Files that a worker takes at once: neighbours, so that it opens a directory once.
    private static let share = 32

    let survey: TreeSurvey
    /// The open directory that is read.
    let source: CInt
    /// The open directory that is filled; nil to read only.
    let destination: CInt?
    /// Who owns what is written; nil leaves it to the caller of the process.
    let owner: FileOwner?
    let monitor: CaptureMonitor
    /// Whether the source is a project, of which only what may be stored counts, and not a stored tree.
    let isCapture: Bool
    /// What need not be read, or not be stored again.
    let known: KnownFiles
    /// The tree that the destination is a layer over; nil when the destination is a tree by itself.
    ///
    /// Files that a cache proves are not placed then: whether the tree below has them is found later.
    let below: BaseTree?
    /// Told of what is written; nil where nobody waits for the disk.
    let behind: WriteBehind?

    init(
        survey: TreeSurvey, source: CInt, destination: CInt?, owner: FileOwner?, monitor: CaptureMonitor,
        isCapture: Bool, known: KnownFiles? = nil, below: BaseTree? = nil,
        behind: WriteBehind? = nil
    ) {
        self.survey = survey
        self.source = source
        self.destination = destination
        self.owner = owner
        self.monitor = monitor
        self.isCapture = isCapture
        self.known = known ?? .none(survey)
        self.below = below
        self.behind = behind
    }

    /// What was found in the files.
    ///
    /// What a cache proves of a file is not said again: of a million files that would be a third of the memory.
    struct Result: Sendable {
        /// Which files of a share have a record here, by bit; file `n` is in share `n / 32`.
        fileprivate var isRecorded: [UInt32]
        /// The records of each share.
        fileprivate var shares: [[FileRecord]]
        fileprivate let known: KnownFiles
        var notes = CaptureNotes()
        /// For files that are further names: the file that has the content.
        fileprivate(set) var firstNames: [Int32: Int32] = [:]

        fileprivate init(shares count: Int, known: KnownFiles) {
            isRecorded = Array(repeating: 0, count: count)
            shares = Array(repeating: [], count: count)
            self.known = known
        }

        fileprivate(set) subscript(file: Int) -> FileRecord {
            get {
                guard let place = place(of: file) else {
                    return known.match(file).map { known.entry($0).record } ?? .absent
                }
                return shares[file / TreeJob.share][place]
            }
            set {
                guard let place = place(of: file) else { preconditionFailure("only what was read is changed") }
                shares[file / TreeJob.share][place] = newValue
            }
        }

        /// Where the record of a file is in those of its share.
        private func place(of file: Int) -> Int? {
            let (recorded, bit) = (isRecorded[file / TreeJob.share], UInt32(1) << UInt32(file % TreeJob.share))
            return recorded & bit == 0 ? nil : (recorded & (bit - 1)).nonzeroBitCount
        }
    }

    /// What the workers of one run share.
    private final class Board: Sendable {
        struct State {
            var next = 0
            var result: Result
            var failure: SnapshotError?
        }

        let state: Mutex<State>
        private let count: Int

        init(count: Int, known: KnownFiles) {
            self.count = count
            state = Mutex(State(result: Result(shares: count, known: known)))
        }

        /// The next share to work on; nil when all are taken or one has failed.
        func take() -> Int? {
            state.withLock { state in
                guard state.failure == nil, state.next < count else { return nil }
                defer { state.next += 1 }
                return state.next
            }
        }
    }

    /// Reads everything; blocks until it is done.
    func run() throws(SnapshotError) -> Result {
        let count = (survey.files.count + Self.share - 1) / Self.share
        let board = Board(count: count, known: known)
        if count > 1 {
            DispatchQueue.concurrentPerform(iterations: Self.workers) { _ in self.work(board) }
        } else {
            work(board)
        }
        behind?.finish()
        var (result, failure) = board.state.withLock { ($0.result, $0.failure) }
        if let failure { throw failure }
        try linkGroups(&result)
        return result
    }

    private func work(_ board: Board) {
        var worker: FileWorker
        do throws(SnapshotError) {
            worker = try FileWorker(job: self)
        } catch {
            return board.state.withLock { $0.failure = $0.failure ?? error }
        }
        while let share = board.take() {
            do throws(SnapshotError) {
                let (isRecorded, records) = try records(ofShare: share, worker: &worker)
                board.state.withLock { state in
                    state.result.isRecorded[share] = isRecorded
                    state.result.shares[share] = records
                }
            } catch {
                monitor.stop()
                board.state.withLock { $0.failure = $0.failure ?? error }
            }
        }
        let notes = worker.notes
        board.state.withLock { $0.result.notes.add(notes) }
    }

    private func records(
        ofShare share: Int, worker: inout FileWorker
    ) throws(SnapshotError) -> (isRecorded: UInt32, [FileRecord]) {
        var records: [FileRecord] = []
        var isRecorded: UInt32 = 0
        let first = share * Self.share
        for file in first..<min(first + Self.share, survey.files.count) {
            // Files with several names follow when all others are done.
            let isSeveral = survey.files[file].group >= 0
            if !isSeveral, try worker.takeKnown(file) { continue }
            if records.isEmpty { records.reserveCapacity(Self.share) }
            records.append(isSeveral ? .absent : try worker.process(file))
            isRecorded |= 1 << UInt32(file - first)
        }
        return (isRecorded, records)
    }

    /// Reads each file with several names once, and makes the further names.
    private func linkGroups(_ result: inout Result) throws(SnapshotError) {
        var worker = try FileWorker(job: self)
        for group in survey.groups where group.files.count > 1 {
            let named = group.files.map { (file: Int($0), path: survey.path(ofFile: Int($0))) }
            var first: Int?
            for (file, _) in named.sorted(by: { $0.path.lexicographicallyPrecedes($1.path) }) {
                if let first, try worker.link(file, to: first, group: group) {
                    result[file].state = .furtherName
                    result.firstNames[Int32(file)] = Int32(first)
                    continue
                }
                // Also a file that replaced one of the names since the survey.
                if try worker.takeKnown(file), let stored = known.match(file) {
                    result[file] = known.entry(stored).record
                } else {
                    result[file] = try worker.process(file)
                }
                if result[file].state == .content { first = first ?? file }
            }
        }
        result.notes.add(worker.notes)
    }
}

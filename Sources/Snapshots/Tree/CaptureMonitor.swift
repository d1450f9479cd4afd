import Synchronization

/// How far a capture or a verification is.
package struct CaptureProgress: Sendable, Hashable {
    /// Files done, and files altogether; before it is known how many, about how many were found, and none altogether.
    package let files: Int, totalFiles: Int
    /// Bytes done, and bytes altogether; holes count.
    ///
    /// Before it is known how many there are altogether, those of the files that were found.
    package let bytes: Int64, totalBytes: Int64
    /// What is being worked on, relative to the tree.
    package let path: [UInt8]
}

/// Whether work goes on after a report.
package enum CaptureContinuation: Sendable {
    /// Go on.
    case proceed
    /// Stop as soon as possible; the work ends with ``SnapshotError/Reason/stopped`` and leaves nothing behind.
    case stop
}

/// Counts what is done, reports it at most twenty times a second, and tells the workers when to stop.
final class CaptureMonitor: Sendable {
    private struct State {
        var files = 0
        var bytes: Int64 = 0
        var totalFiles = 0
        var totalBytes: Int64 = 0
        var foundFiles = 0
        var foundBytes: Int64 = 0
        var lastReport: ContinuousClock.Instant?
        var isStopped = false
    }

    private let state = Mutex(State())
    private let report: @Sendable (CaptureProgress) -> CaptureContinuation
    private static let interval = Duration.milliseconds(50)

    /// Reports to `report`, on the thread that made the progress, one call at a time.
    init(report: @escaping @Sendable (CaptureProgress) -> CaptureContinuation) { self.report = report }

    /// Sets the totals once they are known.
    func expect(files: Int, bytes: Int64) {
        state.withLock {
            $0.totalFiles = files
            $0.totalBytes = bytes
        }
    }

    /// Makes every worker stop at its next step: one of them has failed.
    func stop() { state.withLock { $0.isStopped = true } }

    /// Counts progress on `path`, and fails when the work has to stop.
    func advance(files: Int = 0, bytes: Int64 = 0, path: () -> [UInt8]) throws(SnapshotError) {
        try change(path) { state in
            state.files += files
            state.bytes += bytes
        }
    }

    /// Counts what a walk has found at `path`, and fails when the work has to stop.
    func find(files: Int, bytes: Int64, path: () -> [UInt8]) throws(SnapshotError) {
        try change(path) { state in
            state.foundFiles += files
            state.foundBytes = state.foundBytes.addingReportingOverflow(bytes).partialValue
        }
    }

    private func change(_ path: () -> [UInt8], _ count: (inout State) -> Void) throws(SnapshotError) {
        let isStopped = state.withLock { state in
            count(&state)
            guard !state.isStopped else { return true }
            let now = ContinuousClock.now
            if let last = state.lastReport, now - last < Self.interval { return false }
            state.lastReport = now
            let isWalk = state.totalFiles == 0
            let progress = CaptureProgress(
                files: isWalk ? state.foundFiles : state.files, totalFiles: state.totalFiles,
                bytes: isWalk ? state.foundBytes : state.bytes, totalBytes: state.totalBytes, path: path())
            if case .stop = report(progress) { state.isStopped = true }
            return state.isStopped
        }
        if isStopped { throw SnapshotError([], .stopped) }
    }
}

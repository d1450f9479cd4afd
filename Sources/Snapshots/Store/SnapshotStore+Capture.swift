import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension SnapshotStore {
    /// Takes a snapshot.
    ///
    /// - Parameters:
    ///   - request: What to take, and how.
    ///   - confirm: Asked before anything is copied when the project is larger than the request's bound.
    ///   - progress: Told at most twenty times a second how far the work is, on any thread, one call at a time.
    /// - Throws: On any failure, and when a closure stops the work, the store is as it was before.
    package func capture(
        _ request: CaptureRequest,
        confirm: (CaptureSize) -> CaptureContinuation = { _ in .proceed },
        progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation = { _ in .proceed }
    ) throws(SnapshotError) -> CaptureReport {
        let monitor = CaptureMonitor(report: progress)
        let staging = try openStaging()
        let work = try CaptureWork(request, staging: staging, monitor: monitor)
        let size = CaptureSize(
            bytes: work.survey.bytes, entries: work.survey.entryCount, largest: work.survey.largest.items)
        if let bound = request.confirmAbove, work.survey.bytes > bound, case .stop = confirm(size) {
            throw SnapshotError([], .stopped)
        }
        // Twice only if a removal takes away what was just found or published.
        for _ in 0..<3 {
            let known = work.knownFiles(self)
            if let identity = known.unchanged(work.survey), let stored = try existing(identity, request: request) {
                return CaptureReport(
                    snapshot: stored.snapshot, lease: stored.lease, isNew: false, notes: known.notes(work.survey).all,
                    remarks: work.remarks, size: size)
            }
            guard let (stored, result) = try store(work, known, request: request, staging: staging) else { continue }
            work.remember(result, as: stored.snapshot.identity, known: known)
            return CaptureReport(
                snapshot: stored.snapshot, lease: stored.lease, isNew: stored.isNew, notes: result.notes.all,
                remarks: work.remarks, size: size)
        }
        throw SnapshotError([], .changing)
    }

    /// The manifest that a snapshot of a project would have; nothing is stored.
    package func manifest(
        ofProject request: CaptureRequest,
        progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation = { _ in .proceed }
    ) throws(SnapshotError) -> Manifest {
        let work = try CaptureWork(
            request, staging: try openStaging(), monitor: CaptureMonitor(report: progress))
        return try work.manifest(work.knownFiles(self))
    }

    /// A snapshot that is there, and stays.
    private struct Stored {
        let snapshot: Snapshot
        let lease: SnapshotLease
        let isNew: Bool
    }

    /// Finds or stores what was surveyed; nil when it was removed at the same moment.
    private func store(
        _ work: CaptureWork, _ known: KnownFiles, request: CaptureRequest, staging: StagingArea
    ) throws(SnapshotError) -> (Stored, TreeCapture.Result)? {
        if known.foresees(work.survey) {
            let result = try work.foresee(known)
            if let stored = try existing(result.identity, request: request) { return (stored, result) }
        }
        let place: StagingArea.Directory
        do throws(SyscallError) { place = try staging.make() } catch { throw .writing(directory.bytes, error) }
        do throws(SnapshotError) {
            let result = try work.copy(known, to: place.descriptor.number)
            guard let stored = try publish(result, request: request, place: place, staging: staging) else { return nil }
            return (stored, result)
        } catch {
            // The cause of the failure matters more than that of a failed clean-up; the next capture repeats that.
            try? staging.remove(place)
            throw error
        }
    }

    private func openStaging() throws(SnapshotError) -> StagingArea {
        do throws(SyscallError) {
            let staging = try StagingArea(snapshots: directory)
            try staging.removeStale()
            return staging
        } catch {
            throw .writing(directory.bytes, error)
        }
    }

    /// The snapshot of that identity, if there is a sound one.
    private func existing(
        _ identity: SnapshotIdentity, request: CaptureRequest
    ) throws(SnapshotError) -> Stored? {
        guard let lease = try? lease(identity), let known = try? snapshot(identity) else { return nil }
        if request.durability == .immediate { try settle(identity) }
        return Stored(snapshot: known, lease: lease, isNew: false)
    }

    private func publish(
        _ result: TreeCapture.Result, request: CaptureRequest, place: StagingArea.Directory, staging: StagingArea
    ) throws(SnapshotError) -> Stored? {
        let identity = result.identity
        let record = SnapshotRecord(
            created: Syscall.wallClock().seconds, source: request.source, counts: result.counts, notes: result.notes)
        for isLastAttempt in [false, true] {
            if let stored = try existing(identity, request: request) {
                try storing(identity) { () throws(SyscallError) in try staging.remove(place) }
                return stored
            }
            let isPublished = try storing(identity) { () throws(SyscallError) in
                if !isLastAttempt {
                    try complete(place, identity: identity, record: record, durability: request.durability)
                }
                return try staging.publish(place, as: TerminatedName(identity.description.utf8))
            }
            if isPublished {
                let published = try storing(identity) { () throws(SyscallError) -> SnapshotLease? in
                    try lease(identity, published: place)
                }
                guard let lease = published else { return nil }
                return Stored(snapshot: snapshot(identity, record: record), lease: lease, isNew: true)
            }
            // Either another capture was faster, or what is there is damaged and makes room.
            if (try? snapshot(identity)) == nil { try remove(identity) }
        }
        throw SnapshotError(identity.description.utf8, .changing)
    }

    private func storing<Value>(
        _ identity: SnapshotIdentity, _ body: () throws(SyscallError) -> Value
    ) throws(SnapshotError) -> Value {
        do throws(SyscallError) {
            return try body()
        } catch {
            throw .writing(identity.description.utf8, error)
        }
    }

    private func complete(
        _ place: StagingArea.Directory, identity: SnapshotIdentity, record: SnapshotRecord, durability: Durability
    ) throws(SyscallError) {
        let number = place.descriptor.number
        try Syscall.writeFile(Self.recordName, at: number, record.json(identity: identity), mode: 0o600)
        switch durability {
        // The rename may reach the disk before the files do, so they go first, all at once.
        case .immediate: try Syscall.syncFileSystem(of: number)
        case .deferred: try Syscall.writeFile(Self.unsettledName, at: number, try Self.bootIdentity(), mode: 0o600)
        }
    }
}

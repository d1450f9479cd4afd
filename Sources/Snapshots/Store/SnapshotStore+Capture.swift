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
    ///   - confirm: Asked before anything is copied when more than the request's bound would be stored.
    ///   - progress: Told at most twenty times a second how far the work is, on any thread, one call at a time.
    /// - Throws: On any failure, and when a closure stops the work, the store is as it was before.
    package func capture(
        _ request: CaptureRequest,
        confirm: (CaptureSize) -> CaptureContinuation = { _ in .proceed },
        progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation = { _ in .proceed }
    ) throws(SnapshotError) -> CaptureReport {
        let monitor = CaptureMonitor(report: progress)
        let staging = try openStaging()
        let work = try CaptureWork(request, staging: staging, stores: stores, monitor: monitor)
        let size = CaptureSize(
            bytes: work.survey.storedBytes, entries: work.survey.entryCount, largest: work.survey.largest.items)
        var isConfirmed = false
        func ask(_ bytes: Int64) throws(SnapshotError) {
            guard !isConfirmed, let bound = request.confirmAbove, bytes > bound else { return }
            if case .stop = confirm(size) { throw SnapshotError([], .stopped) }
            isConfirmed = true
        }
        // Twice only if a removal takes away what was just found or published.
        for attempt in 0..<3 {
            let known = work.knownFiles(self)
            if let identity = known.unchanged(work.survey), let stored = try existing(identity, request: request) {
                return CaptureReport(
                    snapshot: stored.snapshot, lease: stored.lease, isNew: false, notes: known.notes(work.survey).all,
                    remarks: work.remarks, size: size)
            }
            let base = attempt == 0 ? work.base(known, self) : nil
            guard
                let (stored, result) = try store(
                    work, known, on: base, request: request, staging: staging, ask: ask)
            else { continue }
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
            request, staging: try openStaging(), stores: stores, monitor: CaptureMonitor(report: progress))
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
        _ work: CaptureWork, _ known: KnownFiles, on base: LayerBase?, request: CaptureRequest, staging: StagingArea,
        ask: (_ bytes: Int64) throws(SnapshotError) -> Void
    ) throws(SnapshotError) -> (Stored, TreeCapture.Result)? {
        if known.foresees(work.survey) {
            let result = try work.foresee(known)
            if let stored = try existing(result.identity, request: request) { return (stored, result) }
        }
        try ask(known.newBytes(work.survey))
        if let base, let found = try storeLayer(work, known, on: base, request: request, staging: staging) {
            return found
        }
        return try staged(staging) { (place) throws(SnapshotError) in
            let result = try work.copy(known, to: place.descriptor.number)
            return try publish(result, on: nil, request: request, place: place, staging: staging).map { ($0, result) }
        }
    }

    /// Stores what was surveyed as a layer; nil when a whole tree is better.
    private func storeLayer(
        _ work: CaptureWork, _ known: KnownFiles, on base: LayerBase, request: CaptureRequest, staging: StagingArea
    ) throws(SnapshotError) -> (Stored, TreeCapture.Result)? {
        defer { base.lease.end() }
        return try staged(staging) { (place) throws(SnapshotError) in
            guard let result = try work.layer(known, on: base, to: place.descriptor.number),
                let stored = try publish(
                    result, on: base.identity, request: request, place: place, staging: staging)
            else {
                // What cannot be removed now is left to the next capture.
                try? staging.remove(place)
                known.releaseClaims()
                return nil
            }
            return (stored, result)
        }
    }

    /// Works in a fresh staging directory, which is removed when that fails.
    private func staged<Value>(
        _ staging: StagingArea, _ body: (StagingArea.Directory) throws(SnapshotError) -> Value
    ) throws(SnapshotError) -> Value {
        let place: StagingArea.Directory
        do throws(SyscallError) { place = try staging.make() } catch { throw .writing(directory.bytes, error) }
        do throws(SnapshotError) {
            return try body(place)
        } catch {
            // The cause of the failure matters more than that of a failed clean-up; the next capture repeats that.
            try? staging.remove(place)
            throw error
        }
    }

    private var stores: StoreRecognition { StoreRecognition(store: directory.removingLastComponent()) }

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
        guard let lease = try? lease(identity) else { return nil }
        revive(identity)
        guard let known = try? snapshot(identity) else { return nil }
        if request.durability == .immediate { try settle(identity) }
        return Stored(snapshot: known, lease: lease, isNew: false)
    }

    private func publish(
        _ result: TreeCapture.Result, on base: SnapshotIdentity?, request: CaptureRequest,
        place: StagingArea.Directory, staging: StagingArea
    ) throws(SnapshotError) -> Stored? {
        let identity = result.identity
        let record = SnapshotRecord(
            created: Syscall.wallClock().seconds, source: request.source, counts: result.counts, notes: result.notes)
        for isLastAttempt in [false, true] {
            if let stored = try existing(identity, request: request) {
                try storing(identity) { () throws(SyscallError) in try staging.remove(place) }
                return stored
            }
            var isPublished = try storing(identity) { () throws(SyscallError) in
                if !isLastAttempt {
                    try complete(place, identity: identity, record: record, durability: request.durability)
                }
                return try staging.publish(place, as: TerminatedName(identity.description.utf8))
            }
            // Either another capture was faster, or what is there is damaged and makes room.
            if !isPublished, (try? snapshot(identity)) == nil {
                // Layers may lie on it, and they need a whole tree.
                if base != nil { return nil }
                isPublished = try replaceDamaged(identity, with: place, staging: staging)
            }
            if isPublished {
                let published = try storing(identity) { () throws(SyscallError) -> SnapshotLease? in
                    try lease(identity, published: place)
                }
                guard let lease = published else { return nil }
                return Stored(snapshot: snapshot(identity, record: record, base: base), lease: lease, isNew: true)
            }
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

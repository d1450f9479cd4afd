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
        let (survey, remarks) = try survey(request, staging: staging, monitor: monitor)
        let size = CaptureSize(
            bytes: survey.bytes, entries: survey.entryCount, largest: survey.largest.items)
        if let bound = request.confirmAbove, survey.bytes > bound, case .stop = confirm(size) {
            throw SnapshotError([], .stopped)
        }
        let place: StagingArea.Directory
        do throws(SyscallError) { place = try staging.make() } catch { throw .writing(directory.bytes, error) }
        do throws(SnapshotError) {
            let result = try copy(survey, request: request, to: place.descriptor.number, monitor: monitor)
            let (snapshot, isNew) = try publish(result, request: request, place: place, staging: staging)
            return CaptureReport(
                snapshot: snapshot, isNew: isNew, notes: result.notes.all, remarks: remarks, size: size)
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

    private func survey(
        _ request: CaptureRequest, staging: StagingArea, monitor: CaptureMonitor
    ) throws(SnapshotError) -> (TreeSurvey, remarks: [String]) {
        var options = TreeWalk.Options()
        do throws(SyscallError) {
            options.excluded = try Syscall.fstat(staging.snapshots.number)
        } catch {
            throw .reading(directory.bytes, error)
        }
        if request.appliesIgnoreRules {
            options.rules = try IgnoreRules(project: request.project, includesGit: request.includesGit)
        }
        let survey = try TreeWalk(root: request.project, options: options, monitor: monitor).run()
        return (survey, options.rules?.remarks ?? [])
    }

    private func copy(
        _ survey: TreeSurvey, request: CaptureRequest, to place: CInt, monitor: CaptureMonitor
    ) throws(SnapshotError) -> TreeCapture.Result {
        let tree: OwnedFileDescriptor
        do throws(SyscallError) {
            try Syscall.makeDirectory(Self.treeName, at: place, mode: 0o700)
            tree = try Syscall.open(Self.treeName, at: place, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        } catch {
            throw .writing([], error)
        }
        let owner = Syscall.effectiveUser == 0 ? request.owner : nil
        return try TreeCapture(
            survey: survey, source: request.project, destination: tree.number, owner: owner, monitor: monitor
        ).run()
    }

    private func publish(
        _ result: TreeCapture.Result, request: CaptureRequest, place: StagingArea.Directory, staging: StagingArea
    ) throws(SnapshotError) -> (Snapshot, isNew: Bool) {
        let identity = result.manifest.identity
        let record = SnapshotRecord(
            created: Syscall.wallClock().seconds, source: request.source, counts: result.counts, notes: result.notes)
        for isLastAttempt in [false, true] {
            if let known = try? snapshot(identity) {
                if request.durability == .immediate { try settle(identity) }
                try storing(identity) { () throws(SyscallError) in try staging.remove(place) }
                return (known, false)
            }
            let isPublished = try storing(identity) { () throws(SyscallError) in
                if !isLastAttempt {
                    try complete(place, manifest: result.manifest, record: record, durability: request.durability)
                }
                return try staging.publish(place, as: TerminatedName(identity.description.utf8))
            }
            if isPublished { return (snapshot(identity, record: record), true) }
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
        _ place: StagingArea.Directory, manifest: Manifest, record: SnapshotRecord, durability: Durability
    ) throws(SyscallError) {
        let number = place.descriptor.number
        try Syscall.writeFile(Self.manifestName, at: number, manifest.bytes, mode: 0o600)
        try Syscall.writeFile(Self.recordName, at: number, record.json(identity: manifest.identity), mode: 0o600)
        switch durability {
        // The rename may reach the disk before the files do, so they go first, all at once.
        case .immediate: try Syscall.syncFileSystem(of: number)
        case .deferred: try Syscall.writeFile(Self.unsettledName, at: number, try Self.bootIdentity(), mode: 0o600)
        }
    }
}

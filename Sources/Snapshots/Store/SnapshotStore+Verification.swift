import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension SnapshotStore {
    /// Reads a whole snapshot again and compares everything with its manifest; nothing differs in a sound one.
    ///
    /// A snapshot that is not sound is used no more: ``snapshot(_:)`` refuses it, and a capture of the same content
    /// replaces it.
    ///
    /// - Throws: ``SnapshotError/Reason/damaged(_:)`` when the manifest itself is not the one of the identity, and the
    ///   error of a file that cannot be read.
    package func verify(
        _ identity: SnapshotIdentity,
        progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation = { _ in .proceed }
    ) throws(SnapshotError) -> [SnapshotDifference] {
        // What a removal takes away meanwhile would look like damage.
        let lease = try lease(identity)
        defer {
            lease.end()
            // What each thread has freed would stay with it, and the next snapshot would take as much again.
            Syscall.releaseFreedMemory()
        }
        let manifest = try soundManifest(of: identity)
        try verifyRecord(of: identity)
        let base = baseForReading(identity)
        var trees: [HeldDescriptor] = []
        for layer in [identity] + (base.map { [$0] } ?? []) {
            do throws(SyscallError) {
                trees.append(
                    HeldDescriptor(try Syscall.open(treePath(of: layer), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)))
            } catch  where error.errno == .noSuchFileOrDirectory {
                let difference = SnapshotDifference(path: [UInt8(ascii: ".")], kind: .missing)
                noteDamage(of: identity, difference.description)
                return [difference]
            } catch {
                throw .reading(identity.description.utf8, error)
            }
        }
        guard let stored = StoredManifest(try reader(manifest, of: identity)) else { throw malformed(identity) }
        var comparison = ManifestComparison(stored)
        let notes = try Self.show(trees, progress: progress) { comparison.take($0, lines: $1) }
        comparison.finish()
        guard !comparison.isMalformed else { throw malformed(identity) }
        let special: [CaptureNote.Kind] = [.device, .socket, .fifo, .mountPoint]
        let extra = notes.filter { special.contains($0.kind) }.flatMap(\.examples)
        let differences = comparison.differences + extra.map { SnapshotDifference(path: $0, kind: .extra) }
        noteDamage(of: identity, differences.first?.description)
        // Of what lies below only the layers tell, once it is no snapshot itself; nothing may be built on it either.
        if !differences.isEmpty, let base, baseForReading(base) == nil { _ = try? verify(base, progress: progress) }
        return differences
    }

    /// What `base` says, whether it is sound or not; nil when there is none.
    func baseForReading(_ identity: SnapshotIdentity) -> SnapshotIdentity? {
        let path = path(of: identity).appending(Self.baseName.string)
        guard let bytes = try? Syscall.readFile(path, limit: 4096) else { return nil }
        return SnapshotIdentity(String(decoding: bytes.dropLast(), as: UTF8.self))
    }

    private func malformed(_ identity: SnapshotIdentity) -> SnapshotError {
        damaged(identity, "its manifest is malformed")
    }

    /// Shows the entries that stored trees have together, the top one first, with their paths and lines; gives what else
    /// was noted.
    private static func show(
        _ trees: [HeldDescriptor], progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation,
        to take: ([UInt8], ArraySlice<UInt8>) -> Void
    ) throws(SnapshotError) -> [CaptureNote] {
        guard let below = trees.last else { throw SnapshotError([], .notFound) }
        var options = TreeWalk.Options()
        options.isCapture = false
        let monitor = CaptureMonitor(report: progress)
        let survey = try TreeWalk(root: below.number, options: options, monitor: monitor).run()
        monitor.expect(files: survey.files.count, bytes: survey.bytes)
        let job = TreeJob(
            survey: survey, source: below.number, destination: nil, owner: nil, monitor: monitor, isCapture: false)
        let records = try job.run()
        var notes = survey.notes
        notes.add(records.notes)
        let manifest = TreeManifest(survey: survey, records: records)
        guard trees.count > 1, let top = trees.first else {
            _ = manifest.write(to: { (_: [UInt8]) throws(Never) in }, showing: { take($1, $2) })
            return notes.all
        }
        let layer = try UpperTree(reading: top.number, isLayer: true, progress: progress)
        var merge = OverlayMerge(layer)
        _ = manifest.write(to: { (_: [UInt8]) throws(Never) in }, showing: { merge.take($1, lines: $2, show: take) })
        merge.finish(show: take)
        return notes.all + layer.special
    }
}

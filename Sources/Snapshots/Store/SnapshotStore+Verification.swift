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
        defer { lease.end() }
        let expected = try manifest(of: identity)
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
        let (actual, notes) = try Self.read(trees, progress: progress)
        let special: [CaptureNote.Kind] = [.device, .socket, .fifo, .mountPoint]
        let extra = notes.filter { special.contains($0.kind) }.flatMap(\.examples)
        let differences =
            SnapshotDifference.between(expected, actual) + extra.map { SnapshotDifference(path: $0, kind: .extra) }
        noteDamage(of: identity, differences.first?.description)
        // Of what lies below only the layers tell, once it is no snapshot itself; nothing may be built on it either.
        if !differences.isEmpty, let base, baseForReading(base) == nil { _ = try? verify(base, progress: progress) }
        return differences
    }

    /// What `base` says, whether it is sound or not; nil when there is none.
    private func baseForReading(_ identity: SnapshotIdentity) -> SnapshotIdentity? {
        let path = path(of: identity).appending(Self.baseName.string)
        guard let bytes = try? Syscall.readFile(path, limit: 4096) else { return nil }
        return SnapshotIdentity(String(decoding: bytes.dropLast(), as: UTF8.self))
    }

    /// The manifest that stored trees have together, the top one first.
    private static func read(
        _ trees: [HeldDescriptor], progress: @escaping @Sendable (CaptureProgress) -> CaptureContinuation
    ) throws(SnapshotError) -> (Manifest, [CaptureNote]) {
        guard let below = trees.last else { throw SnapshotError([], .notFound) }
        let (base, notes) = try read(tree: below.number, monitor: CaptureMonitor(report: progress))
        guard trees.count > 1, let top = trees.first else { return (base, notes) }
        let layer = try UpperTree(reading: top.number, isLayer: true, progress: progress)
        return (layer.merged(over: base), notes + layer.special)
    }

    /// The manifest that a stored tree has.
    static func read(
        tree: CInt, monitor: CaptureMonitor
    ) throws(SnapshotError) -> (Manifest, [CaptureNote]) {
        var options = TreeWalk.Options()
        options.isCapture = false
        let survey = try TreeWalk(root: tree, options: options, monitor: monitor).run()
        monitor.expect(files: survey.files.count, bytes: survey.bytes)
        let job = TreeJob(
            survey: survey, source: tree, destination: nil, owner: nil, monitor: monitor, isCapture: false)
        let records = try job.run()
        var notes = survey.notes
        notes.add(records.notes)
        let text = TreeManifest(survey: survey, records: records).write()
        return (Manifest(canonical: text.bytes), notes.all)
    }
}

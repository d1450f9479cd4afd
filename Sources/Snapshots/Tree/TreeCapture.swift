import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Copies a surveyed tree into an empty directory, and tells what the copy holds.
struct TreeCapture {
    /// The copy in numbers and as a manifest.
    struct Result: Sendable {
        let identity: SnapshotIdentity
        let counts: TreeCounts
        let notes: CaptureNotes
        /// What was found in the files.
        let records: TreeJob.Result
    }

    private let source: CInt
    private let destination: CInt
    private let owner: FileOwner?
    private let monitor: CaptureMonitor
    private let known: KnownFiles
    private let behind: WriteBehind?
    private var survey: TreeSurvey
    private var notes = CaptureNotes()

    /// Prepares a copy.
    ///
    /// - Parameters:
    ///   - survey: What to copy.
    ///   - source: The open directory that was surveyed.
    ///   - destination: The open, empty directory of the copy.
    ///   - known: Files that need not be read, or not be stored again.
    ///   - isDurable: Whether the copy is to be on the disk soon.
    init(
        survey: TreeSurvey, source: CInt, destination: CInt, owner: FileOwner?, monitor: CaptureMonitor,
        known: KnownFiles, isDurable: Bool
    ) {
        behind = isDurable ? WriteBehind(destination: destination) : nil
        self.survey = survey
        self.source = source
        self.destination = destination
        self.owner = owner
        self.monitor = monitor
        self.known = known
    }

    /// Tells what a copy would hold, and copies nothing.
    static func foresee(
        survey: TreeSurvey, source: CInt, monitor: CaptureMonitor, known: KnownFiles
    ) throws(SnapshotError) -> Result {
        monitor.expect(files: survey.files.count, bytes: survey.bytes)
        let job = TreeJob(
            survey: survey, source: source, destination: nil, owner: nil, monitor: monitor, isCapture: true,
            known: known)
        let records = try job.run()
        var notes = survey.notes
        notes.add(records.notes)
        let (identity, counts) = TreeManifest(survey: survey, records: records).write { _ throws(Never) in }
        return Result(identity: identity, counts: counts, notes: notes, records: records)
    }

    /// Copies everything, and writes the manifest to an open, empty file.
    ///
    /// On failure the destination is left half filled, for the caller to remove.
    consuming func run(manifest: CInt) throws(SnapshotError) -> Result {
        try makeDirectories()
        try makeLinks()
        monitor.expect(files: survey.files.count, bytes: survey.bytes)
        let job = TreeJob(
            survey: survey, source: source, destination: destination, owner: owner, monitor: monitor,
            isCapture: true, known: known, behind: behind)
        let records = try job.run()
        try finishDirectories()
        notes.add(survey.notes)
        notes.add(records.notes)
        do throws(SyscallError) {
            let (identity, counts) = try TreeManifest(survey: survey, records: records).write {
                (part: [UInt8]) throws(SyscallError) in
                try Syscall.writeAll(manifest, part, 0..<part.count)
            }
            return Result(identity: identity, counts: counts, notes: notes, records: records)
        } catch {
            throw .writing([], error)
        }
    }

    private func makeDirectories() throws(SnapshotError) {
        var cursor = TreeCursor(root: destination)
        for directory in survey.directories.indices.dropFirst() {
            do throws(SyscallError) {
                let parent = try cursor.descriptor(
                    for: Int(survey.directories[directory].parent), in: survey)
                try Syscall.makeDirectory(survey.name(of: directory), at: parent, mode: 0o700)
            } catch {
                throw .writing(survey.path(ofDirectory: directory), error)
            }
        }
    }

    private func makeLinks() throws(SnapshotError) {
        var cursor = TreeCursor(root: destination)
        for link in survey.links {
            do throws(SyscallError) {
                let parent = try cursor.descriptor(for: Int(link.directory), in: survey)
                try Self.makeLink(link, in: survey, at: parent, owner: owner)
            } catch {
                throw .writing(survey.path(inDirectory: link.directory, at: link.nameStart), error)
            }
        }
    }

    /// Makes a symbolic link in its open directory.
    static func makeLink(
        _ link: TreeSurvey.Link, in survey: TreeSurvey, at parent: CInt, owner: FileOwner?
    ) throws(SyscallError) {
        let name = survey.name(inDirectory: link.directory, at: link.nameStart)
        try Syscall.symlink(to: TerminatedName(link.target), name, at: parent)
        if let owner { try Syscall.changeOwner(name, at: parent, user: owner.user, group: owner.group) }
        try Syscall.setModificationTime(name, at: parent, link.modified)
    }

    /// Sets what directories have besides entries, the deepest first: a mode may take away the right to go deeper,
    /// and each new entry changed the time.
    private mutating func finishDirectories() throws(SnapshotError) {
        var cursor = TreeCursor(root: destination, climbs: true)
        for directory in survey.directories.indices.reversed() {
            let node = survey.directories[directory]
            do throws(SyscallError) {
                let descriptor = try cursor.descriptor(for: directory, in: survey)
                survey.directories[directory].attributes = try TreeMetadata.apply(
                    attributes: node.attributes, owner: owner, mode: node.mode, modified: node.modified,
                    to: descriptor, notes: &notes, path: survey.path(ofDirectory: directory))
            } catch {
                throw .writing(survey.path(ofDirectory: directory), error)
            }
        }
    }
}

import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Reads files one after the other, and writes copies of them when the job has a destination.
///
/// One worker serves one thread.
struct FileWorker {
    private static let attempts = 3
    /// File systems stamp changes with a clock that advances every 1 to 10 ms: a file that changed this recently,
    /// in nanoseconds, could change again without any other time stamp.
    private static let settlingTime: Int64 = 20_000_000

    private let job: TreeJob
    private var reader = ContentReader()
    private var source: TreeCursor
    private var destination: TreeCursor?
    private var sharing: FileSharing?
    private var canClone = true
    private(set) var notes = CaptureNotes()

    /// Makes a worker for its job.
    init(job: TreeJob) throws(SnapshotError) {
        self.job = job
        source = TreeCursor(root: job.source)
        destination = job.destination.map { TreeCursor(root: $0) }
        guard let tree = job.destination else { return }
        do throws(SyscallError) {
            sharing = try FileSharing(known: job.known, destination: tree, owner: job.owner)
        } catch {
            throw .writing([], error)
        }
    }

    private var isCapture: Bool { job.isCapture }

    /// Reads, and copies, one file.
    mutating func process(_ file: Int) throws(SnapshotError) -> FileRecord {
        let node = job.survey.files[file]
        let name = job.survey.name(inDirectory: node.directory, at: node.nameStart)
        let job = job
        let path = { job.survey.path(ofFile: file) }
        let sourceDirectory: CInt
        do throws(SyscallError) {
            sourceDirectory = try source.descriptor(for: Int(node.directory), in: job.survey)
        } catch {
            throw .reading(path(), error)
        }
        var target: HeldDescriptor?
        var mayBeStored = true
        for attempt in 1...Self.attempts {
            guard let opened = try open(name, at: sourceDirectory, path: path) else {
                if target != nil { try discard(name, of: Int(node.directory), path: path) }
                return .absent
            }
            let before = try settledStatus(opened.number, path: path)
            guard before.isRegular else { continue }
            if mayBeStored, target == nil, job.destination != nil, job.known.isPlausible(FileStamp(before)) {
                mayBeStored = false
                let stored = try storedRecord(opened.number, before, file: file, name: name, path: path)
                if let stored { return stored }
                try rewind(opened.number, path: path)
            }
            if job.destination != nil, target == nil { target = try create(name, in: Int(node.directory), path: path) }
            if attempt > 1, let target { try empty(target.number, path: path) }
            let result = try read(opened.number, status: before, into: target?.number, path: path)
            let after = try status(opened.number, path: path)
            guard result.length == before.size, Self.isSame(before, after) else { continue }
            try job.monitor.advance(files: 1, path: path)
            var record = try record(before, digest: result.digest, source: opened.number, target: target, path: path)
            record.isStamped = FileStamp(before) == node.stamp
            if target != nil { job.behind?.add(before.size) }
            return record
        }
        throw SnapshotError(path(), .changing)
    }

    /// Puts the stored file in place that a cache proves to have the content of a file; false when the file has to be read.
    mutating func takeKnown(_ file: Int) throws(SnapshotError) -> Bool {
        guard let stored = job.known.match(file) else { return false }
        let node = job.survey.files[file]
        let job = job
        let path = { job.survey.path(ofFile: file) }
        if job.destination != nil, job.below == nil {
            let name = job.survey.name(inDirectory: node.directory, at: node.nameStart)
            guard try share(stored, as: name, in: file, path: path) else { return false }
        }
        job.known.entry(stored).drops.note(node.stamp, in: &notes, path: path)
        try job.monitor.advance(files: 1, bytes: node.stamp.size, path: path)
        return true
    }

    /// Reads a file without copying it, and shares the stored file that turns out to be equal; nil when there is none.
    private mutating func storedRecord(
        _ source: CInt, _ status: FileStatus, file: Int, name: TerminatedName, path: () -> [UInt8]
    ) throws(SnapshotError) -> FileRecord? {
        let result: ContentReader.Result
        do throws(ContentFailure) {
            result = try reader.read(source, status: status, into: nil) { _ throws(SnapshotError) in }
        } catch {
            throw error.naming(path())
        }
        guard result.length == status.size, Self.isSame(status, try self.status(source, path: path)) else {
            return nil
        }
        let kept = notes
        var record = try record(status, digest: result.digest, source: source, target: nil, path: path)
        let alike = job.known.holding(FileStamp(status), digest: record.digest, attributes: record.attributes)
        for stored in alike where try share(stored, as: name, in: file, path: path) {
            record.isStamped = FileStamp(status) == job.survey.files[file].stamp
            try job.monitor.advance(files: 1, bytes: status.size, path: path)
            return record
        }
        notes = kept
        return nil
    }

    private mutating func share(
        _ stored: KnownFiles.StoredFile, as name: TerminatedName, in file: Int, path: () -> [UInt8]
    ) throws(SnapshotError) -> Bool {
        do throws(SyscallError) {
            let directory = try targetDirectory(Int(job.survey.files[file].directory))
            return sharing?.link(stored, as: name, at: directory, over: job.below) ?? false
        } catch {
            throw .writing(path(), error)
        }
    }

    private func rewind(_ source: CInt, path: () -> [UInt8]) throws(SnapshotError) {
        do throws(SyscallError) { _ = try Syscall.seek(source, to: 0) } catch { throw .reading(path(), error) }
    }

    /// Gives a file that was already copied a further name, if it still is the same file.
    mutating func link(_ file: Int, to first: Int, group: TreeSurvey.Group) throws(SnapshotError) -> Bool {
        let (node, firstNode) = (job.survey.files[file], job.survey.files[first])
        do throws(SyscallError) {
            let name = job.survey.name(inDirectory: node.directory, at: node.nameStart)
            let directory = try source.descriptor(for: Int(node.directory), in: job.survey)
            let status = try Syscall.lstat(name, at: directory)
            guard status.device == group.device, status.inode == group.inode else { return false }
        } catch {
            return false
        }
        guard let destination = job.destination else { return true }
        do throws(SyscallError) {
            var firstCursor = TreeCursor(root: destination)
            var cursor = TreeCursor(root: destination)
            try Syscall.link(
                job.survey.name(inDirectory: firstNode.directory, at: firstNode.nameStart),
                at: try firstCursor.descriptor(for: Int(firstNode.directory), in: job.survey),
                to: job.survey.name(inDirectory: node.directory, at: node.nameStart),
                at: try cursor.descriptor(for: Int(node.directory), in: job.survey))
            return true
        } catch  where error.errno == .tooManyLinks {
            return false
        } catch {
            throw .writing(job.survey.path(ofFile: file), error)
        }
    }

    // MARK: Source

    /// Opens a file; nil when it is not there any more.
    private mutating func open(
        _ name: TerminatedName, at directory: CInt, path: () -> [UInt8]
    ) throws(SnapshotError) -> HeldDescriptor? {
        // Without O_NONBLOCK a named pipe or a lease that takes the file's place would block the capture.
        let flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY
        var waits = 0
        while true {
            do throws(SyscallError) {
                return HeldDescriptor(
                    try Syscall.open(name, at: directory, flags, resolve: .withinTree))
            } catch {
                switch error.errno {
                case .noSuchFileOrDirectory:
                    notes.add(.vanished, path())
                    return nil
                case .improperLink:
                    notes.add(.mountPoint, path())
                    return nil
                case .resourceTemporarilyUnavailable where waits < 50:
                    waits += 1
                    Syscall.sleep(nanoseconds: Self.settlingTime)
                default:
                    throw .reading(path(), error)
                }
            }
        }
    }

    private func status(_ descriptor: CInt, path: () -> [UInt8]) throws(SnapshotError) -> FileStatus {
        do throws(SyscallError) { return try Syscall.fstat(descriptor) } catch { throw .reading(path(), error) }
    }

    /// The status of a file whose next change would show in its time stamps.
    private func settledStatus(_ descriptor: CInt, path: () -> [UInt8]) throws(SnapshotError) -> FileStatus {
        var status = try status(descriptor, path: path)
        guard isCapture else { return status }
        for _ in 0..<3 {
            let now = Syscall.wallClock()
            // Far apart in either direction, for example after the clock was set, nothing needs waiting for.
            guard abs(now.seconds - status.changed.seconds) <= 1 else { break }
            let age =
                (now.seconds - status.changed.seconds) * 1_000_000_000 + now.nanoseconds
                - status.changed.nanoseconds
            guard (0..<Self.settlingTime).contains(age) else { break }
            Syscall.sleep(nanoseconds: Self.settlingTime - age)
            status = try self.status(descriptor, path: path)
        }
        return status
    }

    private static func isSame(_ before: FileStatus, _ after: FileStatus) -> Bool {
        before.inode == after.inode && before.size == after.size && before.modified == after.modified
            && before.changed == after.changed
    }

    // MARK: Content

    private mutating func read(
        _ source: CInt, status: FileStatus, into target: CInt?, path: () -> [UInt8]
    ) throws(SnapshotError) -> ContentReader.Result {
        let monitor = job.monitor
        let step = { (count: Int64) throws(SnapshotError) in try monitor.advance(bytes: count, path: path) }
        do throws(ContentFailure) {
            // Hashing the clone, not the source, makes the digest that of what is stored.
            if let target, clone(source, to: target) {
                let cloned = try self.status(ofClone: target)
                return try reader.read(target, status: cloned, into: nil, step: step)
            }
            return try reader.read(source, status: status, into: target, step: step)
        } catch {
            throw error.naming(path())
        }
    }

    private func status(ofClone target: CInt) throws(ContentFailure) -> FileStatus {
        do throws(SyscallError) { return try Syscall.fstat(target) } catch { throw .write(error) }
    }

    /// Shares all data of the source, where the file system can.
    private mutating func clone(_ source: CInt, to target: CInt) -> Bool {
        guard canClone else { return false }
        do throws(SyscallError) {
            try Syscall.cloneFile(from: source, to: target)
            return true
        } catch {
            // Whatever the reason, copying tells more exactly what is wrong; these hold for all files of the tree.
            let isGeneral: [Errno] = [
                .notSupported, .notSupportedOnSocket, .improperLink, .inappropriateIOCTLForDevice,
            ]
            if isGeneral.contains(error.errno) { canClone = false }
            return false
        }
    }

    private mutating func record(
        _ status: FileStatus, digest: ContentDigest, source: CInt, target: HeldDescriptor?, path: () -> [UInt8]
    ) throws(SnapshotError) -> FileRecord {
        var record = FileRecord()
        let noted = notes
        record.state = .content
        record.mode = status.permissions
        record.size = status.size
        record.modified = status.modified
        record.digest = digest
        if isCapture, record.mode & 0o7000 != 0 {
            notes.add(.specialModeBits, path())
            record.mode &= 0o777
        }
        do throws(SyscallError) {
            record.attributes = try ExtendedAttribute.read(
                source, isCapture: isCapture, notes: &notes, path: path())
        } catch {
            throw .reading(path(), error)
        }
        guard let target else {
            record.drops = FileDrops(before: noted, after: notes)
            return record
        }
        do throws(SyscallError) {
            record.attributes = try TreeMetadata.apply(
                attributes: record.attributes, owner: job.owner, mode: record.mode, modified: record.modified,
                to: target.number, notes: &notes, path: path())
        } catch {
            throw .writing(path(), error)
        }
        record.drops = FileDrops(before: noted, after: notes)
        return record
    }

    // MARK: Target

    private mutating func create(
        _ name: TerminatedName, in directory: Int, path: () -> [UInt8]
    ) throws(SnapshotError) -> HeldDescriptor {
        do throws(SyscallError) {
            let parent = try targetDirectory(directory)
            return HeldDescriptor(
                try Syscall.open(name, at: parent, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600))
        } catch {
            throw .writing(path(), error)
        }
    }

    private mutating func targetDirectory(_ directory: Int) throws(SyscallError) -> CInt {
        guard var cursor = destination else { throw SyscallError("open", errno: .badFileDescriptor) }
        let descriptor = try cursor.descriptor(for: directory, in: job.survey)
        destination = cursor
        return descriptor
    }

    private func empty(_ target: CInt, path: () -> [UInt8]) throws(SnapshotError) {
        do throws(SyscallError) {
            try Syscall.truncate(target, to: 0)
            _ = try Syscall.seek(target, to: 0)
        } catch {
            throw .writing(path(), error)
        }
    }

    private mutating func discard(
        _ name: TerminatedName, of directory: Int, path: () -> [UInt8]
    ) throws(SnapshotError) {
        do throws(SyscallError) {
            try Syscall.unlink(name, at: try targetDirectory(directory))
        } catch {
            throw .writing(path(), error)
        }
    }
}

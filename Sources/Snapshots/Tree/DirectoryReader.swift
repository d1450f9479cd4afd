import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What one directory of a walk holds, before it has a place in the survey.
struct DirectoryContent {
    /// One entry that is taken.
    struct Item {
        let start: Int
        let count: Int
        let status: FileStatus
        let kind: Kind
    }

    /// What becomes of an entry.
    enum Kind {
        /// With the rules to enter it with.
        case directory(IgnoreScope?)
        case file
        /// With its text.
        case link([UInt8])
        /// A device 0/0 of an overlay's upper directory.
        case whiteout
    }

    var names: [UInt8] = []
    var mode: UInt32 = 0
    var modified = FileTime(seconds: 0, nanoseconds: 0)
    var attributes: [ExtendedAttribute] = []
    var changed = FileTime(seconds: 0, nanoseconds: 0)
    var key = TreeSurvey.FileKey(device: 0, inode: 0)
    var isSettled = false
    var items: [Item] = []
    var notes = CaptureNotes()
    /// How many patterns its ignore files hold.
    var patternCount = 0
}

/// Reads directories of a walk one after the other: their names, and the status of each entry.
///
/// One serves one thread.
struct DirectoryReader {
    private let options: TreeWalk.Options
    private let monitor: CaptureMonitor
    private var cursor: PathCursor
    private var content = DirectoryContent()
    /// The path of the entry at hand, in a buffer that is used again, and where its last component begins.
    private var path: [UInt8] = []
    private var nameStart = 0
    private var known: KnownDirectories?

    /// Prepares reading below an open directory.
    init(root: CInt, options: TreeWalk.Options, monitor: CaptureMonitor) {
        self.options = options
        self.monitor = monitor
        cursor = PathCursor(root: root)
    }

    /// Reads a directory; nil when it is another mount.
    ///
    /// - Parameters:
    ///   - directory: Its path.
    ///   - seen: When it was modified as the directory above was read, if it was.
    ///   - scope: The rules to enter it with.
    mutating func read(
        _ directory: [UInt8], seen: FileTime?, scope: IgnoreScope?
    ) throws(SnapshotError) -> DirectoryContent? {
        let descriptor: CInt
        do throws(SyscallError) {
            descriptor = try cursor.descriptor(for: directory)
        } catch  where error.errno == .improperLink {
            return nil
        } catch {
            throw .reading(directory, error)
        }
        // A name that is not there any more makes what is known worth nothing.
        if let listing = try knownListing(descriptor, path: directory),
            try take(listing, of: directory, descriptor: descriptor, scope: scope, isKnown: true)
        {
            return content
        }
        content = DirectoryContent()
        let listing = try list(descriptor, seen: seen, path: directory)
        _ = try take(listing, of: directory, descriptor: descriptor, scope: scope, isKnown: false)
        return content
    }

    /// Takes all entries; false as soon as one is missing from a directory whose names were known before.
    private mutating func take(
        _ listing: DirectoryListing, of directory: [UInt8], descriptor: CInt, scope: IgnoreScope?, isKnown: Bool
    ) throws(SnapshotError) -> Bool {
        content.names = listing.names
        path = directory.isEmpty ? directory : directory + [UInt8(ascii: "/")]
        nameStart = path.count
        let inner = try rulesInside(scope, descriptor: descriptor, listing: listing)
        content.items.reserveCapacity(listing.items.count)
        var told = 0
        for item in listing.items {
            if content.items.count - told == Self.tellingStep { try tell(from: &told) }
            path.removeSubrange(nameStart...)
            path += listing.names[item.start..<(item.start + item.count)]
            if try !take(item, descriptor: descriptor, scope: inner) {
                if isKnown { return false }
                content.notes.add(.vanished, path)
            }
        }
        try tell(from: &told)
        return true
    }

    /// As many entries of a large directory are told of at once.
    private static let tellingStep = 4096

    /// Tells the monitor of the files from a place on, which moves to the end.
    private func tell(from start: inout Int) throws(SnapshotError) {
        var (files, bytes) = (0, Int64(0))
        for item in content.items[start...] {
            guard case .file = item.kind else { continue }
            files += 1
            bytes = bytes.addingReportingOverflow(item.status.size).partialValue
        }
        start = content.items.count
        try monitor.find(files: files, bytes: bytes) { path }
    }

    /// The names in a directory that has not changed since they were read; nil when that is not certain.
    private mutating func knownListing(
        _ descriptor: CInt, path: [UInt8]
    ) throws(SnapshotError) -> DirectoryListing? {
        if known == nil { known = options.known?.directories }
        guard let known else { return nil }
        let status: FileStatus
        do throws(SyscallError) { status = try Syscall.fstat(descriptor) } catch { throw .reading(path, error) }
        guard let names = known.names(status) else { return nil }
        content = DirectoryContent()
        note(status, path: path)
        content.isSettled = true
        return DirectoryListing(names: names)
    }

    private mutating func note(_ status: FileStatus, path: [UInt8]) {
        content.mode = status.permissions
        if options.isCapture, content.mode & 0o7000 != 0 {
            content.notes.add(.specialModeBits, path)
            content.mode &= 0o777
        }
        content.modified = status.modified
        content.changed = status.changed
        content.key = .init(device: status.device, inode: status.inode)
    }

    /// Lists a directory, again while it changes, and records its status.
    private mutating func list(
        _ descriptor: CInt, seen: FileTime?, path: [UInt8]
    ) throws(SnapshotError) -> DirectoryListing {
        do throws(SyscallError) {
            var before: FileTime
            if let seen { before = seen } else { before = try Syscall.fstat(descriptor).modified }
            for _ in 0..<10 {
                let listing = try Syscall.directoryListing(descriptor)
                let after = try Syscall.fstat(descriptor)
                if before == after.modified {
                    note(after, path: path)
                    var notes = CaptureNotes()
                    content.attributes = try ExtendedAttribute.read(
                        descriptor, isCapture: options.isCapture, notes: &notes, path: path)
                    content.isSettled =
                        content.attributes.isEmpty && notes.all.isEmpty
                        && options.clock?.isOver(directory: after.changed) == true
                    content.notes.add(notes)
                    return listing
                }
                before = after.modified
                _ = try Syscall.seek(descriptor, to: 0)
            }
        } catch {
            throw .reading(path, error)
        }
        throw SnapshotError(path, .changing)
    }

    private mutating func rulesInside(
        _ scope: IgnoreScope?, descriptor: CInt, listing: DirectoryListing
    ) throws(SnapshotError) -> IgnoreScope? {
        guard let scope, let rules = options.rules else { return scope }
        var hasGit = false
        var hasCloche = false
        for item in listing.items where listing.names[item.start] == UInt8(ascii: ".") {
            let name = listing.names[item.start..<(item.start + item.count)]
            if name.elementsEqual(IgnoreRules.gitName) { hasGit = true }
            if name.elementsEqual(IgnoreRules.clocheName) { hasCloche = true }
        }
        return try rules.scope(
            scope, in: descriptor, base: path, hasGit: hasGit, hasCloche: hasCloche,
            patternCount: &content.patternCount)
    }

    private mutating func take(
        _ item: DirectoryListing.Item, descriptor: CInt, scope: IgnoreScope?
    ) throws(SnapshotError) -> Bool {
        let name = TerminatedName(in: content.names, at: item.start)
        let status: FileStatus
        do throws(SyscallError) {
            status = try Syscall.lstat(name, at: descriptor)
        } catch  where error.errno == .noSuchFileOrDirectory {
            return false
        } catch {
            throw .reading(path, error)
        }
        var inner = scope
        if let scope {
            let outcome = scope.decide(path: path, name: nameStart, isDirectory: status.isDirectory)
            if case .leaveOut = outcome {
                content.notes.add(.ignored, path)
                return true
            }
            if status.isDirectory { inner = scope.entering(path: path, name: nameStart, outcome: outcome) }
        }
        guard path.count <= options.pathLimit else {
            throw SnapshotError(path, .pathTooLong(limit: options.pathLimit))
        }
        guard content.items.count < options.entryLimit else {
            throw SnapshotError(path, .tooMany("entries", limit: options.entryLimit))
        }
        if let kind = try kind(of: status, name: name, descriptor: descriptor, scope: inner) {
            content.items.append(
                DirectoryContent.Item(start: item.start, count: item.count, status: status, kind: kind))
        }
        return true
    }

    /// What becomes of an entry; nil, and a note, when it is not taken.
    private mutating func kind(
        of status: FileStatus, name: TerminatedName, descriptor: CInt, scope: IgnoreScope?
    ) throws(SnapshotError) -> DirectoryContent.Kind? {
        switch status.mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR:
            if let stores = options.stores, stores.isStore(status, name: name.bytes, at: descriptor) {
                content.notes.add(.store, path)
                return nil
            }
            return .directory(scope)
        case S_IFLNK:
            do throws(SyscallError) {
                return .link(try Syscall.readLink(name, at: descriptor))
            } catch {
                throw .reading(path, error)
            }
        case S_IFCHR where options.collectsWhiteouts && status.deviceNumber == 0: return .whiteout
        case S_IFIFO: content.notes.add(.fifo, path)
        case S_IFSOCK: content.notes.add(.socket, path)
        default: content.notes.add(.device, path)
        }
        return nil
    }
}

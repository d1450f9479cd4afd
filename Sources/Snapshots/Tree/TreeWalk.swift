import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// The walk that surveys a tree.
///
/// It reads directories and the status of their entries, opens no file, and keeps two descriptors open at most.
struct TreeWalk {
    /// What the walk takes and how far it goes.
    struct Options: Sendable {
        /// Rules of a project; nil takes everything.
        var rules: IgnoreRules?
        /// A directory that is never entered, by device and inode.
        var excluded: FileStatus?
        /// Whether setuid, setgid, sticky and foreign attributes are dropped, as a capture does.
        var isCapture = true
        /// Whether devices 0/0 are collected instead of noted.
        var collectsWhiteouts = false
        /// The most entries.
        var entryLimit = 10_000_000
        /// The longest path, in bytes.
        var pathLimit = 65_536
    }

    private let root: CInt
    private let options: Options
    private let monitor: CaptureMonitor
    private var survey = TreeSurvey()
    private var cursor: TreeCursor
    private var groups: [FileKey: Int32] = [:]
    private var patternCount = 0
    private var pending: [(directory: Int, scope: IgnoreScope?)] = []
    /// The directory that was visited last, and its path: most often the one above the next.
    private var last: (directory: Int, path: [UInt8]) = (0, [])

    private struct FileKey: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// Prepares a walk below an open directory.
    init(root: CInt, options: Options, monitor: CaptureMonitor) {
        self.root = root
        self.options = options
        self.monitor = monitor
        cursor = TreeCursor(root: root)
    }

    /// Walks the whole tree.
    consuming func run() throws(SnapshotError) -> TreeSurvey {
        survey.directories.append(TreeSurvey.Directory(parent: -1, nameStart: 0, pathLength: 0))
        pending.append((0, options.rules?.root))
        while let (directory, scope) = pending.popLast() {
            try visit(directory, scope: scope)
        }
        dropSingleGroups()
        return survey
    }

    private mutating func visit(_ directory: Int, scope: IgnoreScope?) throws(SnapshotError) {
        let path = path(of: directory)
        last = (directory, path)
        try monitor.advance { path }
        let descriptor: CInt
        do throws(SyscallError) {
            descriptor = try cursor.listable(directory, in: survey)
        } catch  where error.errno == .improperLink {
            survey.notes.add(.mountPoint, path)
            return
        } catch {
            throw .reading(path, error)
        }
        let listing = try list(directory, descriptor: descriptor, path: path)
        let base = path.isEmpty ? path : path + [UInt8(ascii: "/")]
        let inner = try scope.map { scope throws(SnapshotError) in
            try rulesInside(scope, descriptor: descriptor, base: base, listing: listing)
        }
        var entries = EntryBuilder(base: base, names: listing.names)
        survey.directories[directory].names = listing.names
        for item in listing.items {
            entries.select(item)
            try take(item, of: directory, descriptor: descriptor, scope: inner, entries: &entries)
        }
        survey.directories[directory].entries = entries.entries
    }

    private func path(of directory: Int) -> [UInt8] {
        guard directory > 0, Int(survey.directories[directory].parent) == last.directory else {
            return survey.path(ofDirectory: directory)
        }
        let name = survey.name(of: directory).bytes
        return last.path.isEmpty ? name : last.path + [UInt8(ascii: "/")] + name
    }

    /// Lists a directory, again while it changes, and records its status.
    private mutating func list(
        _ directory: Int, descriptor: CInt, path: [UInt8]
    ) throws(SnapshotError) -> DirectoryListing {
        do throws(SyscallError) {
            for _ in 0..<10 {
                let before = try Syscall.fstat(descriptor)
                let listing = try Syscall.directoryListing(descriptor)
                let after = try Syscall.fstat(descriptor)
                if before.modified == after.modified {
                    var mode = after.permissions
                    if options.isCapture, mode & 0o7000 != 0 {
                        survey.notes.add(.specialModeBits, path)
                        mode &= 0o777
                    }
                    survey.directories[directory].mode = mode
                    survey.directories[directory].modified = after.modified
                    survey.directories[directory].attributes = try ExtendedAttribute.read(
                        descriptor, isCapture: options.isCapture, notes: &survey.notes, path: path)
                    return listing
                }
                _ = try Syscall.seek(descriptor, to: 0)
            }
        } catch {
            throw .reading(path, error)
        }
        throw SnapshotError(path, .changing)
    }

    private mutating func rulesInside(
        _ scope: IgnoreScope, descriptor: CInt, base: [UInt8], listing: DirectoryListing
    ) throws(SnapshotError) -> IgnoreScope {
        guard let rules = options.rules else { return scope }
        var hasGit = false
        var hasCloche = false
        for item in listing.items where listing.names[item.start] == UInt8(ascii: ".") {
            let name = listing.names[item.start..<(item.start + item.count)]
            if name.elementsEqual(IgnoreRules.gitName) { hasGit = true }
            if name.elementsEqual(IgnoreRules.clocheName) { hasCloche = true }
        }
        return try rules.scope(
            scope, in: descriptor, base: base, hasGit: hasGit, hasCloche: hasCloche, patternCount: &patternCount)
    }

    private mutating func take(
        _ item: DirectoryListing.Item, of directory: Int, descriptor: CInt, scope: IgnoreScope?,
        entries: inout EntryBuilder
    ) throws(SnapshotError) {
        let name = TerminatedName(in: survey.directories[directory].names, at: item.start)
        let status: FileStatus
        do throws(SyscallError) {
            status = try Syscall.lstat(name, at: descriptor)
        } catch  where error.errno == .noSuchFileOrDirectory {
            survey.notes.add(.vanished, entries.path)
            return
        } catch {
            throw .reading(entries.path, error)
        }
        var inner = scope
        if let scope {
            let outcome = scope.decide(path: entries.path, name: entries.name, isDirectory: status.isDirectory)
            if case .leaveOut = outcome {
                survey.notes.add(.ignored, entries.path)
                return
            }
            if status.isDirectory {
                inner = scope.entering(path: entries.path, name: entries.name, outcome: outcome)
            }
        }
        guard entries.path.count <= options.pathLimit else {
            throw SnapshotError(entries.path, .pathTooLong(limit: options.pathLimit))
        }
        guard survey.entryCount < options.entryLimit else {
            throw SnapshotError(entries.path, .tooMany("entries", limit: options.entryLimit))
        }
        if status.isDirectory {
            takeDirectory(item, of: directory, status: status, scope: inner, entries: &entries)
        } else if status.isRegular {
            takeFile(item, of: directory, status: status, entries: &entries)
        } else if status.isSymbolicLink {
            try takeLink(item, name: name, of: directory, descriptor: descriptor, status: status, entries: &entries)
        } else if options.collectsWhiteouts, status.mode & S_IFMT == S_IFCHR, status.deviceNumber == 0 {
            survey.whiteouts.append((Int32(directory), Int32(item.start)))
        } else {
            survey.notes.add(Self.specialKind(status), entries.path)
        }
    }

    private mutating func takeDirectory(
        _ item: DirectoryListing.Item, of directory: Int, status: FileStatus, scope: IgnoreScope?,
        entries: inout EntryBuilder
    ) {
        if let excluded = options.excluded, excluded.device == status.device, excluded.inode == status.inode {
            survey.notes.add(.store, entries.path)
            return
        }
        let index = survey.directories.count
        var node = TreeSurvey.Directory(
            parent: Int32(directory), nameStart: Int32(item.start), pathLength: Int32(entries.path.count))
        // Kept for directories that the walk cannot enter; the others get the status of their listing.
        node.mode = status.permissions & 0o777
        node.modified = status.modified
        survey.directories.append(node)
        entries.add(item, .directory, index)
        pending.append((index, scope))
    }

    private mutating func takeFile(
        _ item: DirectoryListing.Item, of directory: Int, status: FileStatus, entries: inout EntryBuilder
    ) {
        let index = Int32(survey.files.count)
        var group: Int32 = -1
        if status.links > 1 {
            let key = FileKey(device: status.device, inode: status.inode)
            if let known = groups[key] {
                group = known
                survey.groups[Int(known)].files.append(index)
            } else {
                group = Int32(survey.groups.count)
                groups[key] = group
                survey.groups.append(
                    TreeSurvey.Group(device: status.device, inode: status.inode, files: [index]))
            }
        }
        if group < 0 || survey.groups[Int(group)].files.count == 1 {
            survey.bytes = survey.bytes.addingReportingOverflow(status.size).partialValue
            survey.largest.add(size: status.size) { entries.path }
        }
        survey.files.append(
            TreeSurvey.File(
                directory: Int32(directory), nameStart: Int32(item.start), group: group, stamp: FileStamp(status)))
        entries.add(item, .file, Int(index))
    }

    private mutating func takeLink(
        _ item: DirectoryListing.Item, name: TerminatedName, of directory: Int, descriptor: CInt,
        status: FileStatus, entries: inout EntryBuilder
    ) throws(SnapshotError) {
        let target: [UInt8]
        do throws(SyscallError) {
            target = try Syscall.readLink(name, at: descriptor)
        } catch {
            throw .reading(entries.path, error)
        }
        entries.add(item, .link, survey.links.count)
        survey.links.append(
            TreeSurvey.Link(
                directory: Int32(directory), nameStart: Int32(item.start), target: target,
                modified: status.modified))
    }

    /// A file whose other names lie outside the tree is an ordinary file here.
    private mutating func dropSingleGroups() {
        for group in survey.groups where group.files.count == 1 {
            for file in group.files { survey.files[Int(file)].group = -1 }
        }
    }

    private static func specialKind(_ status: FileStatus) -> CaptureNote.Kind {
        switch status.mode & S_IFMT {
        case S_IFIFO: .fifo
        case S_IFSOCK: .socket
        default: .device
        }
    }
}

/// Collects the entries of one directory, with the path of the entry at hand in a buffer that is used again.
private struct EntryBuilder {
    private(set) var entries: [TreeSurvey.Entry] = []
    /// The path of the selected entry.
    private(set) var path: [UInt8]
    /// Where its last component begins.
    let name: Int
    private let names: [UInt8]

    init(base: [UInt8], names: [UInt8]) {
        path = base
        name = base.count
        self.names = names
    }

    mutating func select(_ item: DirectoryListing.Item) {
        path.removeSubrange(name...)
        path += names[item.start..<(item.start + item.count)]
    }

    mutating func add(_ item: DirectoryListing.Item, _ kind: TreeSurvey.EntryKind, _ index: Int) {
        entries.append(
            TreeSurvey.Entry(
                nameStart: Int32(item.start), nameCount: Int16(item.count), kind: kind, index: Int32(index)))
    }
}

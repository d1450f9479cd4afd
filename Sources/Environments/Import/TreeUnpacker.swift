import Isolation
import LinuxSystem
import Snapshots
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Makes the files of an archive below a directory.
///
/// Every name is resolved by openat2(2) with that directory as the root, so that links of the archive, through links of
/// the archive, lead to nothing outside. Nothing privileged is made: no devices, no setuid bits, no attributes but the
/// users' own. Entries of a later archive replace those of an earlier one, as layers of images do.
struct TreeUnpacker {
    static let inside: PathResolution = [.inRoot, .noMagicLinks]

    let root: CInt
    private let limits: UnpackLimits
    private let owners: OwnerRule
    /// Whether names that begin with `.wh.` remove what earlier layers have.
    let isLayer: Bool
    var report = UnpackReport()
    /// Inodes that this archive made, or directories that it has an entry for: its own whiteouts leave them.
    var own: Set<UInt64> = []
    /// Directories with the times that they get when nothing is made in them any more.
    private var directories: [(path: [UInt8], time: FileTime)] = []
    /// The directory of the entry before.
    private var parent: (path: [UInt8], directory: OpenedFile)?

    /// Unpacks into `root`, an open directory that the caller keeps open.
    init(root: CInt, limits: UnpackLimits, owners: OwnerRule, isLayer: Bool) {
        self.root = root
        self.limits = limits
        self.owners = owners
        self.isLayer = isLayer
    }

    /// Unpacks all of an archive; what was made stays when it throws.
    mutating func unpack(_ source: ByteSource) throws(ArchiveError) {
        var reader = TarReader(source, allowsMissingEnd: isLayer)
        while let entry = try reader.next() {
            try check(reader)
            try make(entry, &reader)
        }
        while try reader.drain() { try check(reader) }
        for (path, time) in directories.reversed() { setTime(of: path, time) }
    }

    private func check(_ reader: TarReader) throws(ArchiveError) {
        // Headers of empty files are no bytes of files, but have to come from somewhere too.
        let room = limits.bytes.addingReportingOverflow(Int64(limits.entries) * 2048)
        guard room.overflow || reader.position <= room.partialValue else { throw tooLarge() }
    }

    private func tooLarge() -> ArchiveError {
        ArchiveError(.tooLarge, "it unpacks to more than \(limits.bytes) bytes")
    }

    mutating func count(bytes: Int64, _ name: [UInt8]) throws(ArchiveError) {
        guard bytes >= 0, bytes <= limits.bytes - report.bytes else {
            throw ArchiveError(
                .tooLarge, "`\(shown(name))` has \(bytes) bytes: with it, it unpacks to more than \(limits.bytes)")
        }
        report.bytes += bytes
    }

    mutating func countEntry() throws(ArchiveError) {
        guard report.entries < limits.entries else {
            throw ArchiveError(.tooLarge, "it unpacks to more than \(limits.entries) files")
        }
        report.entries += 1
    }

    private mutating func make(_ entry: TarEntry, _ reader: inout TarReader) throws(ArchiveError) {
        let path = try components(entry.name)
        if entry.name.first == UInt8(ascii: "/") { report.note(.absoluteName, entry.name) }
        guard let name = path.last else { return try makeRoot(entry) }
        if isLayer, try removeLower(name, path.dropLast()) { return }
        if entry.kind == .device { return report.note(.device, entry.name) }
        if entry.kind == .fifo { return report.note(.fifo, entry.name) }
        let directory = try parentDirectory(path.dropLast(), entry.name)
        let item = TerminatedName(name)
        switch entry.kind {
        case .directory:
            try makeDirectory(entry, item, directory)
            directories.append((joined(path), entry.modified))
        case .file: try makeFile(entry, item, directory, &reader)
        case .symbolicLink: try makeSymbolicLink(entry, item, directory)
        case .hardLink: try makeHardLink(entry, item, directory)
        case .device, .fifo: break
        }
    }

    /// The parts of a name; none for the root itself.
    func components(_ name: [UInt8]) throws(ArchiveError) -> [[UInt8]] {
        var parts: [[UInt8]] = []
        guard name.count < 4096 else { throw ArchiveError(.refused, "a name of \(name.count) bytes: `\(shown(name))`") }
        for part in name.split(separator: UInt8(ascii: "/")) where !part.elementsEqual([0x2E]) {
            guard !part.elementsEqual([0x2E, 0x2E]) else {
                throw ArchiveError(.refused, "the name `\(shown(name))` leads out of the image")
            }
            guard part.count <= 255 else {
                throw ArchiveError(.refused, "a part of the name `\(shown(name))` has \(part.count) bytes")
            }
            parts.append(Array(part))
        }
        // What is deeper could be made, and not be taken stock of.
        guard parts.count < TreeListing.depthLimit else {
            throw ArchiveError(
                .refused,
                "a name of \(parts.count) parts, of which there may be \(TreeListing.depthLimit - 1): `\(shown(name))`")
        }
        return parts
    }

    func joined(_ path: some Sequence<[UInt8]>) -> [UInt8] { Array(path.joined(separator: [UInt8(ascii: "/")])) }
}

// MARK: - Directories

extension TreeUnpacker {
    /// Opens a directory by its path from the root; links in it stay inside.
    func openDirectory(_ path: [UInt8]) throws(SyscallError) -> OpenedFile {
        let name = TerminatedName(path.isEmpty ? Array(".".utf8) : path)
        return OpenedFile(try Syscall.open(name, at: root, O_RDONLY | O_DIRECTORY, resolve: Self.inside))
    }

    /// What was opened may be gone.
    mutating func forgetParent() { parent = nil }

    /// The directory for an entry, made where it is missing.
    private mutating func parentDirectory(
        _ path: ArraySlice<[UInt8]>, _ entry: [UInt8]
    ) throws(ArchiveError) -> OpenedFile {
        let whole = joined(path)
        if let parent, parent.path == whole { return parent.directory }
        var opened: OpenedFile
        do throws(SyscallError) {
            opened = try openDirectory(whole)
        } catch  where error.errno == .noSuchFileOrDirectory {
            opened = try makeMissing(path, entry)
        } catch {
            throw inTheWay(error, entry)
        }
        parent = (whole, opened)
        return opened
    }

    private mutating func makeMissing(
        _ path: ArraySlice<[UInt8]>, _ entry: [UInt8]
    ) throws(ArchiveError) -> OpenedFile {
        do throws(SyscallError) {
            var above = try openDirectory([])
            for end in path.indices {
                let prefix = joined(path[...end])
                do throws(SyscallError) {
                    above = try openDirectory(prefix)
                } catch  where error.errno == .noSuchFileOrDirectory {
                    let name = TerminatedName(path[end])
                    try Syscall.makeDirectory(name, at: above.number, mode: 0o755)
                    try give(name, above, 0, 0)
                    above = try openDirectory(prefix)
                    own.insert(try Syscall.fstat(above.number).inode)
                    report.entries += 1
                }
            }
            guard report.entries <= limits.entries else { throw SyscallError("mkdir", errno: .fileTooLarge) }
            return above
        } catch  where error.errno == .fileTooLarge {
            throw ArchiveError(.tooLarge, "it unpacks to more than \(limits.entries) files")
        } catch {
            throw inTheWay(error, entry)
        }
    }

    private func inTheWay(_ error: SyscallError, _ entry: [UInt8]) -> ArchiveError {
        switch error.errno {
        case .notDirectory, .tooManySymbolicLinkLevels, .fileExists:
            ArchiveError(.refused, "what lies above `\(shown(entry))` is a file, or a link to no directory")
        default: ArchiveError(error)
        }
    }

    private mutating func makeRoot(_ entry: TarEntry) throws(ArchiveError) {
        guard entry.kind == .directory else {
            throw ArchiveError(.refused, "the root of the image is no directory")
        }
        try ArchiveError.calling { () throws(SyscallError) in
            // Whoever runs in the image has to be able to pass.
            try Syscall.changeMode(of: root, entry.mode & 0o1777 | 0o555)
        }
        directories.append(([], entry.modified))
    }

    private mutating func makeDirectory(
        _ entry: TarEntry, _ name: TerminatedName, _ parent: OpenedFile
    ) throws(ArchiveError) {
        try makingRoom(entry, name, parent, keepsDirectory: true) { () throws(SyscallError) in
            try Syscall.makeDirectory(name, at: parent.number, mode: 0o700)
        }
        try setAll(entry, try open(name, parent, O_RDONLY | O_DIRECTORY))
    }

    private func open(_ name: TerminatedName, _ parent: OpenedFile, _ flags: CInt) throws(ArchiveError) -> CInt {
        do throws(SyscallError) {
            return try Syscall.open(name, at: parent.number, flags | O_NOFOLLOW, resolve: [.beneath, .noSymlinks])
                .release()
        } catch {
            throw ArchiveError(error)
        }
    }

    /// Times of directories are for people; one that is gone again has none.
    private func setTime(of path: [UInt8], _ time: FileTime) {
        guard let directory = try? openDirectory(path) else { return }
        try? Syscall.setModificationTime(of: directory.number, time)
    }
}

// MARK: - Files and links

extension TreeUnpacker {
    private mutating func makeFile(
        _ entry: TarEntry, _ name: TerminatedName, _ parent: OpenedFile, _ reader: inout TarReader
    ) throws(ArchiveError) {
        try count(bytes: entry.size, entry.name)
        var file: CInt = -1
        try makingRoom(entry, name, parent) { () throws(SyscallError) in
            file = try Syscall.open(
                name, at: parent.number, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode: 0o600
            ).release()
        }
        do throws(ArchiveError) {
            try write(entry, file, &reader)
        } catch {
            _ = Glibc.close(file)
            throw error
        }
        try setAll(entry, file)
    }

    private func write(_ entry: TarEntry, _ file: CInt, _ reader: inout TarReader) throws(ArchiveError) {
        for region in entry.regions ?? [SparseRegion(offset: 0, length: entry.size)] {
            if region.offset > 0 {
                _ = try ArchiveError.calling { () throws(SyscallError) in
                    try Syscall.seek(file, to: region.offset)
                }
            }
            var left = region.length
            while left > 0 {
                left -= try reader.read(upTo: left) { buffer, range throws(ArchiveError) in
                    do throws(SyscallError) {
                        try Syscall.writeAll(file, buffer, range)
                    } catch {
                        throw ArchiveError(error)
                    }
                }
            }
        }
        if entry.regions != nil {
            try ArchiveError.calling { () throws(SyscallError) in try Syscall.truncate(file, to: entry.size) }
        }
    }

    private mutating func makeSymbolicLink(
        _ entry: TarEntry, _ name: TerminatedName, _ parent: OpenedFile
    ) throws(ArchiveError) {
        guard !entry.target.isEmpty, entry.target.count < 4096 else {
            throw ArchiveError(.refused, "the link `\(shown(entry.name))` names \(entry.target.count) bytes")
        }
        try makingRoom(entry, name, parent) { () throws(SyscallError) in
            try Syscall.symlink(to: TerminatedName(entry.target), name, at: parent.number)
        }
        let (user, group) = owner(entry)
        try ArchiveError.calling { () throws(SyscallError) in
            try give(name, parent, user, group)
            try Syscall.setModificationTime(name, at: parent.number, entry.modified)
        }
    }

    private mutating func makeHardLink(
        _ entry: TarEntry, _ name: TerminatedName, _ parent: OpenedFile
    ) throws(ArchiveError) {
        let target = try components(entry.target)
        let missing = ArchiveError(
            .refused, "`\(shown(entry.name))` is a hard link to `\(shown(entry.target))`, which is no file of the image"
        )
        guard let last = target.last else { throw missing }
        let old = TerminatedName(last)
        let source: OpenedFile
        let status: FileStatus
        do throws(SyscallError) {
            source = try openDirectory(joined(target.dropLast()))
            status = try Syscall.lstat(old, at: source.number)
        } catch {
            throw missing
        }
        guard !status.isDirectory else { throw missing }
        // A link to itself would be removed to make room for itself.
        if let same = try? Syscall.lstat(name, at: parent.number), same.inode == status.inode { return }
        try makingRoom(entry, name, parent) { () throws(SyscallError) in
            try Syscall.link(old, at: source.number, to: name, at: parent.number)
        }
    }

    /// Makes an entry; what has its name already goes first.
    private mutating func makingRoom(
        _ entry: TarEntry, _ name: TerminatedName, _ parent: OpenedFile, keepsDirectory: Bool = false,
        _ body: () throws(SyscallError) -> Void
    ) throws(ArchiveError) {
        do throws(SyscallError) {
            do throws(SyscallError) {
                try body()
            } catch  where error.errno == .fileExists {
                let status = try Syscall.lstat(name, at: parent.number)
                let isOwn = own.contains(status.inode)
                if keepsDirectory, status.isDirectory {
                    own.insert(status.inode)
                    return
                }
                if isOwn { report.note(.duplicate, entry.name) }
                try remove(name, parent)
                try body()
            }
            // A further name of a file is as old as the file.
            if entry.kind != .hardLink { own.insert(try Syscall.lstat(name, at: parent.number).inode) }
        } catch {
            throw ArchiveError(error)
        }
        try countEntry()
    }

    mutating func remove(_ name: TerminatedName, _ parent: OpenedFile) throws(SyscallError) {
        forgetParent()
        try TreeRemoval.remove(directory: parent.number, name: FilePath(bytes: name.bytes))
    }
}

// MARK: - Owners, modes, attributes

extension TreeUnpacker {
    /// Sets everything of an open file or directory but its content, and closes it.
    private mutating func setAll(_ entry: TarEntry, _ file: CInt) throws(ArchiveError) {
        defer { _ = Glibc.close(file) }
        let isDirectory = entry.kind == .directory
        if !isDirectory, entry.mode & 0o6000 != 0 { report.note(.privilege, entry.name) }
        let (user, group) = owner(entry)
        try ArchiveError.calling { () throws(SyscallError) in
            if !owners.isSingle { try Syscall.changeOwner(of: file, user: user, group: group) }
            try Syscall.changeMode(of: file, entry.mode & (isDirectory ? 0o3777 : 0o777))
        }
        try setAttributes(entry, file)
        if !isDirectory {
            try ArchiveError.calling { () throws(SyscallError) in
                try Syscall.setModificationTime(of: file, entry.modified)
            }
        }
    }

    private mutating func setAttributes(_ entry: TarEntry, _ file: CInt) throws(ArchiveError) {
        var isRefused = entry.hasForeignAttributes
        for (name, value) in entry.attributes {
            if name.starts(with: "user.overlay.".utf8) || name.starts(with: "trusted.overlay.".utf8) {
                report.note(.overlayAttribute, entry.name)
                continue
            }
            guard name.starts(with: "user.".utf8), name.count <= 255, !name.contains(0), value.count <= 65536 else {
                isRefused = true
                continue
            }
            do throws(SyscallError) {
                try Syscall.setAttribute(TerminatedName(name), of: file, value)
            } catch  where [.notSupported, .noSpace, .permissionDenied].contains(error.errno) {
                isRefused = true
            } catch {
                throw ArchiveError(error)
            }
        }
        if isRefused { report.note(.attribute, entry.name) }
    }

    private mutating func owner(_ entry: TarEntry) -> (user: UInt32, group: UInt32) {
        if owners.isSingle { return (0, 0) }
        let user = Self.inside(entry.user, owners.users)
        let group = Self.inside(entry.group, owners.groups)
        if user == nil || group == nil { report.note(.owner, entry.name) }
        return (user ?? 65534, group ?? 65534)
    }

    private static func inside(_ id: Int64, _ ranges: [IdentityMap.Range]) -> UInt32? {
        for range in ranges where id >= Int64(range.outside) && id - Int64(range.outside) < Int64(range.count) {
            return range.inside + UInt32(id - Int64(range.outside))
        }
        return (0..<65536).contains(id) ? UInt32(id) : nil
    }

    private func give(
        _ name: TerminatedName, _ parent: OpenedFile, _ user: UInt32, _ group: UInt32
    ) throws(SyscallError) {
        if !owners.isSingle { try Syscall.changeOwner(name, at: parent.number, user: user, group: group) }
    }
}

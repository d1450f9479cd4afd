package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Removes whole trees.
///
/// Every step goes by a directory's descriptor and the name of one entry, follows no link and enters no other mount,
/// so what someone changes meanwhile can hide entries or stop the removal, but never lead it out of the tree.
/// At most about a hundred descriptors are open: what lies deeper is first moved up to the tree's own directory.
package struct TreeRemoval {
    private static let depthLimit = 96
    /// How often a directory that was emptied may turn out not to be; ends the race against a writer.
    private static let roundLimit = 100_000

    private struct Level {
        let directory: HeldDescriptor
        /// The name of this directory in the one above.
        let name: TerminatedName
        let listing: DirectoryListing
        var next = 0
    }

    private var levels: [Level] = []
    private var moved = 0
    private var rounds = 0

    /// Removes an entry of an open directory with all that is below it; when there is none, nothing happens.
    ///
    /// Directories whose owner took his own rights away get them back first. What cannot be removed is named in the
    /// error; the rest of the tree may then be gone already, and calling again goes on.
    ///
    /// - Parameters:
    ///   - directory: The open directory above.
    ///   - name: One component.
    package static func remove(directory: CInt, name: FilePath) throws(SyscallError) {
        let bytes = name.bytes
        guard !bytes.isEmpty, !bytes.contains(UInt8(ascii: "/")), name != ".", name != ".." else {
            throw SyscallError("unlink", name.string, errno: .invalidArgument)
        }
        var removal = TreeRemoval()
        try removal.run(directory: directory, name: TerminatedName(bytes))
    }

    private mutating func run(directory: CInt, name: TerminatedName) throws(SyscallError) {
        guard try !removeEntry(name, type: DT_UNKNOWN, at: directory) else { return }
        try enter(name, at: directory)
        while let level = levels.last {
            if level.next < level.listing.items.count {
                let item = level.listing.items[level.next]
                levels[levels.count - 1].next += 1
                try removeOrEnter(TerminatedName(in: level.listing.names, at: item.start), type: Int(item.type))
            } else {
                levels.removeLast()
                let above = levels.last?.directory.number ?? directory
                // Moved directories, and files that were made meanwhile, need another round.
                guard try !removeDirectory(level.name, at: above) else { continue }
                rounds += 1
                guard rounds < Self.roundLimit else { throw SyscallError("unlink", errno: .directoryNotEmpty) }
                try enter(level.name, at: above)
            }
        }
    }

    private mutating func removeOrEnter(_ name: TerminatedName, type: Int) throws(SyscallError) {
        guard let level = levels.last else { return }
        let directory = level.directory.number
        guard try !removeEntry(name, type: type, at: directory) else { return }
        if levels.count < Self.depthLimit {
            try enter(name, at: directory)
        } else if let top = levels.first, try !removeDirectory(name, at: directory) {
            try open(name, at: directory, makingAccessible: true)
            try moveUp(name, at: directory, top: top.directory.number)
        }
    }

    /// Removes what is no directory; false when it is one.
    private func removeEntry(_ name: TerminatedName, type: Int, at directory: CInt) throws(SyscallError) -> Bool {
        if type == DT_DIR { return false }
        do throws(SyscallError) {
            try Syscall.unlink(name, at: directory)
            return true
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory: return true
            case .isDirectory: return false
            // POSIX has EPERM for directories; some file systems still give it.
            case .notPermitted where (try? Syscall.lstat(name, at: directory))?.isDirectory == true: return false
            default: throw error
            }
        }
    }

    /// Removes an empty directory; false when it is not empty.
    private func removeDirectory(_ name: TerminatedName, at directory: CInt) throws(SyscallError) -> Bool {
        do throws(SyscallError) {
            try Syscall.unlink(name, at: directory, directory: true)
            return true
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory: return true
            case .directoryNotEmpty, .fileExists: return false
            default: throw error
            }
        }
    }

    private mutating func enter(_ name: TerminatedName, at directory: CInt) throws(SyscallError) {
        guard let opened = try open(name, at: directory, makingAccessible: true) else { return }
        let listing = try Syscall.directoryListing(opened.number)
        levels.append(Level(directory: opened, name: name, listing: listing))
    }

    /// Opens a directory with all rights of its owner; nil when it is not there any more.
    @discardableResult
    private func open(
        _ name: TerminatedName, at directory: CInt, makingAccessible: Bool
    ) throws(SyscallError) -> HeldDescriptor? {
        do throws(SyscallError) {
            let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
            let opened = HeldDescriptor(
                try Syscall.open(name, at: directory, flags, resolve: .withinTree))
            let mode = try Syscall.fstat(opened.number).permissions
            if mode & 0o700 != 0o700 {
                // Who may remove without these rights needs them not; otherwise the first unlink tells.
                try? Syscall.changeMode(of: opened.number, mode | 0o700)
            }
            return opened
        } catch {
            switch error.errno {
            case .noSuchFileOrDirectory: return nil
            case .permissionDenied where makingAccessible:
                try Syscall.changeMode(name, at: directory, 0o700)
                return try open(name, at: directory, makingAccessible: false)
            default: throw error
            }
        }
    }

    private mutating func moveUp(_ name: TerminatedName, at directory: CInt, top: CInt) throws(SyscallError) {
        while true {
            moved += 1
            do throws(SyscallError) {
                return try Syscall.move(name, at: directory, to: TerminatedName(".removed-\(moved)".utf8), at: top)
            } catch  where error.errno == .fileExists {
                continue
            }
        }
    }
}

package import LinuxSystem
package import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// What a tree takes on disk.
///
/// Files that are open but have no name any more are not seen, so this is a measure and not a limit.
package struct DiskUsage: Sendable, Hashable {
    /// Sum of the sizes in bytes, holes included.
    package private(set) var apparent: Int64 = 0
    /// Bytes that the file system has set aside for content, directories included.
    package private(set) var allocated: Int64 = 0
    /// Entries that are no directories; several names of one file count as one.
    package private(set) var files = 0
    /// Directories, the tree's own included.
    package private(set) var directories = 0
    /// Bytes of ``allocated`` in files that have further names elsewhere: removing the tree does not free them.
    package private(set) var shared: Int64 = 0

    /// Bytes that removing the tree frees.
    package var exclusive: Int64 { allocated - shared }

    /// Files with several names, and how many of them were seen.
    private struct Names {
        var seen: UInt64 = 1
        let all: UInt64
        let allocated: Int64
    }

    /// Measures what is below an open directory, without following links or entering other mounts.
    ///
    /// Entries that go away meanwhile and directories that may not be read are left out.
    package static func measure(_ directory: CInt) throws(SyscallError) -> DiskUsage {
        var usage = DiskUsage()
        var seen: [Key: Names] = [:]
        try usage.add(directory, seen: &seen)
        usage.addShared(seen)
        return usage
    }

    /// Measures several trees as one: a file with names in two of them counts once.
    ///
    /// What is not there takes nothing.
    ///
    /// - Parameter kept: Trees that others need, so that removing them frees nothing.
    package static func measure(
        _ directories: [FilePath], shared kept: [FilePath] = []
    ) throws(SyscallError) -> DiskUsage {
        var usage = DiskUsage()
        var seen: [Key: Names] = [:]
        for directory in directories {
            do throws(SyscallError) {
                let opened = HeldDescriptor(try Syscall.open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
                try usage.add(opened.number, seen: &seen)
            } catch  where error.errno == .noSuchFileOrDirectory {
                continue
            }
        }
        usage.addShared(seen)
        guard !kept.isEmpty else { return usage }
        let other = try measure(kept)
        usage.apparent += other.apparent
        usage.allocated += other.allocated
        usage.files += other.files
        usage.directories += other.directories
        usage.shared += other.allocated
        return usage
    }

    private mutating func addShared(_ seen: [Key: Names]) {
        for names in seen.values where names.seen < names.all {
            shared = shared.addingReportingOverflow(names.allocated).partialValue
        }
    }

    private mutating func add(_ directory: CInt, seen: inout [Key: Names]) throws(SyscallError) {
        add(try Syscall.fstat(directory))
        var survey = TreeSurvey()
        survey.directories.append(.init(parent: -1, nameStart: 0, pathLength: 0))
        var cursor = TreeCursor(root: directory)
        var pending = [0]
        while let node = pending.popLast() {
            guard let descriptor = try Self.open(node, survey: survey, cursor: &cursor) else { continue }
            let listing = try Syscall.directoryListing(descriptor)
            survey.directories[node].names = listing.names
            for item in listing.items {
                let name = TerminatedName(in: listing.names, at: item.start)
                guard let status = try? Syscall.lstat(name, at: descriptor) else { continue }
                if status.links > 1, !status.isDirectory {
                    let key = Key(device: status.device, inode: status.inode)
                    if seen[key] != nil {
                        seen[key]?.seen += 1
                        continue
                    }
                    seen[key] = Names(all: status.links, allocated: status.allocated)
                }
                add(status)
                guard status.isDirectory else { continue }
                pending.append(survey.directories.count)
                survey.directories.append(
                    .init(parent: Int32(node), nameStart: Int32(item.start), pathLength: 0))
            }
        }
    }

    private struct Key: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private static func open(
        _ node: Int, survey: TreeSurvey, cursor: inout TreeCursor
    ) throws(SyscallError) -> CInt? {
        do throws(SyscallError) {
            return try cursor.listable(node, in: survey)
        } catch {
            let isLeftOut: [Errno] = [
                .noSuchFileOrDirectory, .permissionDenied, .improperLink, .notDirectory, .tooManySymbolicLinkLevels,
            ]
            if isLeftOut.contains(error.errno) { return nil }
            throw error
        }
    }

    private mutating func add(_ status: FileStatus) {
        allocated = allocated.addingReportingOverflow(status.allocated).partialValue
        if status.isDirectory {
            directories += 1
        } else {
            files += 1
            apparent = apparent.addingReportingOverflow(status.size).partialValue
        }
    }
}

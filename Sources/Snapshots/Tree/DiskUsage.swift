package import LinuxSystem
import SystemPackage

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

    /// Measures what is below an open directory, without following links or entering other mounts.
    ///
    /// Entries that go away meanwhile and directories that may not be read are left out.
    package static func measure(_ directory: CInt) throws(SyscallError) -> DiskUsage {
        var usage = DiskUsage()
        var seen: Set<Key> = []
        usage.add(try Syscall.fstat(directory))
        var survey = TreeSurvey()
        survey.directories.append(.init(parent: -1, nameStart: 0, pathLength: 0))
        var cursor = TreeCursor(root: directory)
        var pending = [0]
        while let node = pending.popLast() {
            guard let descriptor = try open(node, survey: survey, cursor: &cursor) else { continue }
            let listing = try Syscall.directoryListing(descriptor)
            survey.directories[node].names = listing.names
            for item in listing.items {
                let name = TerminatedName(in: listing.names, at: item.start)
                guard let status = try? Syscall.lstat(name, at: descriptor) else { continue }
                if status.links > 1, !status.isDirectory,
                    !seen.insert(Key(device: status.device, inode: status.inode)).inserted
                {
                    continue
                }
                usage.add(status)
                guard status.isDirectory else { continue }
                pending.append(survey.directories.count)
                survey.directories.append(
                    .init(parent: Int32(node), nameStart: Int32(item.start), pathLength: 0))
            }
        }
        return usage
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

import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Gives files that the store already holds a name in a new tree.
///
/// One serves one thread.
struct FileSharing {
    private let known: KnownFiles
    private let owner: FileOwner
    private var cursors: [[TreeCursor]]

    /// Shares into the tree of an open directory.
    ///
    /// - Parameter owner: Who is to own what is stored; nil is whoever owns the directory.
    init(known: KnownFiles, destination: CInt, owner: FileOwner?) throws(SyscallError) {
        let status = try Syscall.fstat(destination)
        self.known = known
        self.owner = owner ?? FileOwner(user: status.user, group: status.group)
        cursors = known.sources.map { source in source.trees.map { TreeCursor(root: $0.number) } }
    }

    /// Links a stored file as `name` of an open directory, if it still is what the cache says; false leaves nothing.
    ///
    /// Whatever prevents it (no more links to a file, a snapshot that is just removed) a copy is always possible.
    ///
    /// - Parameter isTaken: Whether the file with an inode already stands for another one, besides those that were linked.
    mutating func link(
        _ stored: KnownFiles.StoredFile, as name: TerminatedName, at directory: CInt,
        unless isTaken: (UInt64) -> Bool = { _ in false }
    ) -> Bool {
        let entry = known.entry(stored)
        guard link(entry, of: stored.source, as: name, at: directory) else { return false }
        if let status = try? Syscall.lstat(name, at: directory), isSound(status, entry), !isTaken(status.inode),
            known.claim(inode: status.inode)
        {
            return true
        }
        // The name is ours, in a tree that nobody else knows; if it stays, the copy fails on it and says so.
        try? Syscall.unlink(name, at: directory)
        return false
    }

    /// Links a file from the topmost of the trees that has its directory and its name.
    private mutating func link(
        _ entry: StatCache.Entry, of source: Int, as name: TerminatedName, at directory: CInt
    ) -> Bool {
        let survey = known.sources[source].cache.survey
        for index in cursors[source].indices {
            do throws(SyscallError) {
                let place = try cursors[source][index].descriptor(for: Int(entry.directory), in: survey)
                try Syscall.link(
                    survey.name(inDirectory: entry.directory, at: entry.nameStart), at: place, to: name, at: directory)
                return true
            } catch  where error.errno == .noSuchFileOrDirectory {
                continue
            } catch {
                return false
            }
        }
        return false
    }

    private func isSound(_ status: FileStatus, _ entry: StatCache.Entry) -> Bool {
        status.isRegular && status.size == entry.stamp.size && status.permissions == entry.stamp.storedMode
            && status.modified == entry.stamp.modified && status.user == owner.user && status.group == owner.group
    }
}

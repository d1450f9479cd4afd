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
    private var cursors: [TreeCursor?]

    /// Shares into the tree of an open directory.
    ///
    /// - Parameter owner: Who is to own what is stored; nil is whoever owns the directory.
    init(known: KnownFiles, destination: CInt, owner: FileOwner?) throws(SyscallError) {
        let status = try Syscall.fstat(destination)
        self.known = known
        self.owner = owner ?? FileOwner(user: status.user, group: status.group)
        cursors = known.sources.map { source in source.tree.map { TreeCursor(root: $0.number) } }
    }

    /// Links a stored file as `name` of an open directory, if it still is what the cache says; false leaves nothing.
    ///
    /// Whatever prevents it (no more links to a file, a snapshot that is just removed) a copy is always possible.
    mutating func link(
        _ stored: KnownFiles.StoredFile, as name: TerminatedName, at directory: CInt
    ) -> Bool {
        guard var cursor = cursors[stored.source] else { return false }
        let entry = known.entry(stored)
        let survey = known.sources[stored.source].cache.survey
        do throws(SyscallError) {
            let place = try cursor.descriptor(for: Int(entry.directory), in: survey)
            cursors[stored.source] = cursor
            try Syscall.link(
                survey.name(inDirectory: entry.directory, at: entry.nameStart), at: place, to: name, at: directory)
        } catch {
            return false
        }
        if let status = try? Syscall.lstat(name, at: directory), isSound(status, entry),
            known.claim(inode: status.inode)
        {
            return true
        }
        // The name is ours, in a tree that nobody else knows; if it stays, the copy fails on it and says so.
        try? Syscall.unlink(name, at: directory)
        return false
    }

    private func isSound(_ status: FileStatus, _ entry: StatCache.Entry) -> Bool {
        status.isRegular && status.size == entry.stamp.size && status.permissions == entry.stamp.storedMode
            && status.modified == entry.stamp.modified && status.user == owner.user && status.group == owner.group
    }
}

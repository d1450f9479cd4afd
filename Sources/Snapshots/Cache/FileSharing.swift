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
    /// - Parameter below: The tree that the new one is a layer over: what that has stands for a file already.
    mutating func link(
        _ stored: KnownFiles.StoredFile, as name: TerminatedName, at directory: CInt,
        over below: BaseTree? = nil
    ) -> Bool {
        let entry = known.entry(stored)
        guard let tree = link(entry, of: stored.source, as: name, at: directory) else { return false }
        if let status = try? Syscall.lstat(name, at: directory), isSound(status, entry),
            !isIn(below, status.inode, stored.source, tree), known.claim(inode: status.inode)
        {
            return true
        }
        // The name is ours, in a tree that nobody else knows; if it stays, the copy fails on it and says so.
        try? Syscall.unlink(name, at: directory)
        return false
    }

    /// Whether a file that was found in a tree of a source lies in the tree below.
    ///
    /// The project's last snapshot lies on that tree, or is it, and its layer has nothing of what it lies on: only for
    /// files of other projects the tree below has to be walked.
    private func isIn(_ below: BaseTree?, _ inode: UInt64, _ source: Int, _ tree: Int) -> Bool {
        guard let below else { return false }
        if source == 0, known.own != nil { return tree == cursors[0].count - 1 }
        return below.holds(inode)
    }

    /// Links a file from the topmost of the trees that has its directory and its name; gives which one that is.
    private mutating func link(
        _ entry: StatCache.Entry, of source: Int, as name: TerminatedName, at directory: CInt
    ) -> Int? {
        let survey = known.sources[source].cache.survey
        for index in cursors[source].indices {
            do throws(SyscallError) {
                let place = try cursors[source][index].descriptor(for: Int(entry.directory), in: survey)
                try Syscall.link(
                    survey.name(inDirectory: entry.directory, at: entry.nameStart), at: place, to: name, at: directory)
                return index
            } catch  where error.errno == .noSuchFileOrDirectory {
                continue
            } catch {
                return nil
            }
        }
        return nil
    }

    private func isSound(_ status: FileStatus, _ entry: StatCache.Entry) -> Bool {
        status.isRegular && status.size == entry.stamp.size && status.permissions == entry.stamp.storedMode
            && status.modified == entry.stamp.modified && status.user == owner.user && status.group == owner.group
    }
}

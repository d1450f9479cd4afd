import LinuxSystem
import PlainText
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

extension SnapshotStore {
    /// Marks what a verification found, so that the snapshot is used by nobody, shared with none, and made anew by the
    /// next capture of the same content; or takes the mark away from one that is sound.
    ///
    /// Another snapshot may share the damaged file: without caches the next capture of each project reads everything.
    func noteDamage(of identity: SnapshotIdentity, _ found: String?) {
        // A mark that cannot be written is written by the next verification; what was found is told in any case.
        guard let snapshots = try? Syscall.open(directory, O_RDONLY | O_DIRECTORY),
            let place = try? Syscall.open(
                TerminatedName(identity.description.utf8), at: snapshots.number,
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW, resolve: .withinTree)
        else { return }
        guard let found else {
            try? Syscall.unlink(Self.damagedName, at: place.number)
            return
        }
        StatCacheDirectory(snapshots: snapshots.number)?.clear()
        try? Syscall.writeFile(
            Self.damagedName, at: place.number, Array(found.utf8.prefix(4096)), mode: 0o600)
    }

    /// Marks damage that has no place in the tree, and gives the error that tells it.
    func damaged(_ identity: SnapshotIdentity, _ found: String) -> SnapshotError {
        noteDamage(of: identity, found)
        return SnapshotError(identity.description.utf8, .damaged(found))
    }

    /// What a verification found; nil when it found nothing.
    func damage(of identity: SnapshotIdentity) -> String? {
        let mark = path(of: identity).appending(Self.damagedName.string)
        guard Syscall.exists(mark) else { return nil }
        let text = try? Syscall.readFile(mark, limit: 8192)
        return text.map(displayName) ?? "damage"
    }
}

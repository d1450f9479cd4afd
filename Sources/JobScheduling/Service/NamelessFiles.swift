import Isolation
import LinuxSystem
import SystemPackage

#if canImport(Glibc)
    import Glibc
#endif

/// Files in a user's `/data` that his runs have open and that have no name any more: no walk through the store finds them.
///
/// One that is only mapped, or on its way from one process to another, is not seen.
enum NamelessFiles {
    /// What they take, for a user whose ids nobody else has; where others have them nobody knows whose they are.
    static func bytes(in store: FilePath) throws -> Int64 {
        let service = try StoreOwner.sharedStore(of: store)
        let identity = try HostIdentity.stored(in: store)
        guard service != store, try identity != HostIdentity.stored(in: service),
            // A user who has run nothing yet has none.
            let data = try? Syscall.lstat(store.appending("data"))
        else { return 0 }
        var seen: Set<UInt64> = []
        var sum: Int64 = 0
        let processes = try Syscall.open("/proc", O_RDONLY | O_DIRECTORY)
        for process in try Syscall.directoryEntries(processes.number) {
            let name = TerminatedName(process.name)
            // A process may end at any moment, and close a file at any moment.
            guard process.name.first.map({ (48...57).contains($0) }) == true,
                let status = try? Syscall.fileStatus(name, at: processes.number), identity.has(status.user),
                let files = try? Syscall.open(
                    FilePath(bytes: process.name + Array("/fd".utf8)), at: processes.number, O_RDONLY | O_DIRECTORY)
            else { continue }
            while let some = (try? Syscall.nextDirectoryEntries(files.number, bytes: 4096)) ?? nil {
                for file in some {
                    guard let status = try? Syscall.fileStatus(TerminatedName(file.name), at: files.number),
                        status.isRegular, status.links == 0, status.device == data.device, identity.has(status.user),
                        seen.insert(status.inode).inserted
                    else { continue }
                    sum += status.allocated
                }
            }
        }
        return sum
    }
}

extension IdentityMap {
    /// Whether a user id of the host is one of these.
    fileprivate func has(_ user: UInt32) -> Bool {
        users.contains { user >= $0.outside && user - $0.outside < $0.count }
    }
}
